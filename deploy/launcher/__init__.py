"""The command `headwater` of the wheel, and the only package that the wheel adds for others to import.

Headwater's own packages (`services`, `libs`, `deploy`) are in a folder beside this file, which goes on the path first,
so they meet no packages of the same names. In a checkout, `pip install -e .` finds them there.
"""

import sys
from pathlib import Path

_INSTALLED = Path(__file__).with_name("root")
ROOT = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2]


def main() -> None:
    """Run the command."""
    sys.path.insert(0, str(ROOT))
    from deploy.command.app import main as command  # noqa: PLC0415 - found by the line above

    command()

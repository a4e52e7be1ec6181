"""One Headwater per mode, and all stories begun together: a story waits a good part of its time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.clients.matrix import Cell
from tests.clients.story import Fleet, Stage


@pytest.fixture(scope="session")
async def fleet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fleet]:
    """The stories of the cells that were selected, under way."""
    cells = list(dict.fromkeys(_cells(request.session.items)))
    async with AsyncExitStack() as exits:
        modes = list({cell.mode for cell in cells})
        opened = await asyncio.gather(
            *(
                exits.enter_async_context(
                    Stage.open(mode, tmp_path_factory.mktemp(f"headwater-{mode}"))
                )
                for mode in modes
            )
        )
        stages = dict(zip(modes, opened, strict=True))
        fleet = Fleet(
            folder=tmp_path_factory.mktemp("homes"),
            whole=request.config.getoption("clients") == "whole",
            stages=stages,
            exits=exits,
        )
        exits.push_async_callback(fleet.stop)
        fleet.begin(cells)
        yield fleet


def _cells(items: list[pytest.Item]) -> list[Cell]:
    params = [item.callspec.params for item in items if hasattr(item, "callspec")]
    return [cell for given in params if isinstance(cell := given.get("cell"), Cell)]

"""Whatever one tenant or a stranger does to the API, another tenant's requests are answered meanwhile.

The bounds here are generous, for a machine that does other things, too; without the limits, each of these attacks keeps
others waiting for six seconds to a minute, or takes a gigabyte. `python -m tests.bench.hostile` has the exact figures.
"""

from collections.abc import AsyncIterator

import pytest

from tests.support.hostile import ATTACKS, MEGABYTE, World, a_world, felt_under

SOON = 3.0  # seconds
MOST = 512 * MEGABYTE


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_world(tmp_path_factory.mktemp("hostile")) as found:
        await felt_under(found, None, each=5)  # plans are compiled, connections open
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
async def test_others_are_answered_during(world: World, name: str) -> None:
    felt = await felt_under(world, ATTACKS[name])

    assert felt.transition_p99 < SOON
    assert felt.read_p99 < SOON
    assert felt.peak_memory < MOST
    assert felt.same_processes

"""Whatever one tenant or a stranger does to the API, another tenant's requests are answered meanwhile.

The bounds here are generous, for a machine that does other things, too; without the limits, each of these attacks keeps
others waiting for six seconds to a minute, or takes a gigabyte. `python -m tests.bench.hostile` has the exact figures.
"""

from collections.abc import AsyncIterator

import pytest

from tests.support.attacks import ATTACKS, FLOODS
from tests.support.hostile import MEGABYTE, World, a_world, felt_under, with_heartbeats
from tests.support.watched_runs import LATE, SILENCE

SOON = 3.0  # seconds
MOST = 512 * MEGABYTE
ALL = ATTACKS | FLOODS


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_world(tmp_path_factory.mktemp("hostile")) as found:
        await felt_under(found, each=5)  # plans are compiled, connections open
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
async def test_others_are_answered_during(world: World, name: str) -> None:
    felt = await felt_under(world, [ALL[name]])

    assert felt.transition_p99 < SOON
    assert felt.read_p99 < SOON
    assert felt.peak_memory < MOST
    assert felt.same_processes


@pytest.mark.slow
async def test_under_all_at_once_pings_are_taken_and_the_dead_alone_are_found(world: World) -> None:
    async with with_heartbeats(world) as heard:
        felt = await felt_under(world, list(ALL.values()), at_least=SILENCE + LATE)

    assert felt.peak_memory < MOST
    assert felt.same_processes
    assert heard.missed == 0
    assert heard.false == 0
    assert heard.found_after is not None
    assert heard.found_after >= SILENCE

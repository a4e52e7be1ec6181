"""The exact queries that recorded clients sent are answered, twice: compiled, and recalled with other literals."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.gateway.reads.documents import lift
from tests.integration.gateway.reads.asking import Asker, asking
from tests.integration.gateway.reads.world import A_TENANT, World, make_world, store
from tests.support.engines import Database

_SECTIONS = re.split(
    r"^### ", Path(__file__).with_name("client_operations.graphql").read_text(), flags=re.MULTILINE
)[1:]


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(1)


@pytest.fixture(scope="module")
async def asker(database: Database, world: World) -> AsyncIterator[Asker]:
    await store(world, database.admin_pool)
    async with asking(database.postgres_url("reader")) as found:
        yield found


def _filled(section: str, *, uuid: str, name: str, timestamp: str) -> str:
    text = section.split("\n", maxsplit=1)[1]
    text = text.replace('"<uuid>"...', f'"{uuid}", "{uuid}"')
    return text.replace("<uuid>", uuid).replace("<name>", name).replace("<ts>", timestamp)


@pytest.mark.parametrize("section", _SECTIONS, ids=lambda section: section.split("\n")[0])
async def test_a_recorded_query_is_answered_whatever_its_literals(
    asker: Asker, world: World, section: str
) -> None:
    table = "task_run" if section.startswith("get_task_run_info") else "flow_run"
    one, other = (str(row["id"]) for row in world.of(table, A_TENANT)[:2])
    first = _filled(section, uuid=one, name="alpha", timestamp="2026-01-02T00:00:00+00:00")
    again = _filled(section, uuid=other, name='b"', timestamp="2026-01-02 01:02:03.5")
    again = again.replace('"b""', '"b\\""')

    await asker.data(first)
    recalled = asker.path.recall(lift(again), None, None)
    answer = await asker.ask(again)

    assert recalled is not None
    assert "errors" not in answer

"""Any query over any rows is answered as the slow, obvious evaluator answers it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.gateway.reads.asking import Asker, asking
from tests.integration.gateway.reads.queries import Queries
from tests.integration.gateway.reads.reference import Evaluator, canonical, rendered
from tests.integration.gateway.reads.world import (
    A_TENANT,
    ANOTHER_TENANT,
    World,
    make_world,
    store,
)
from tests.support.engines import Database
from tests.support.examples import examples

_EXAMPLES = settings(
    max_examples=examples(80),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
)


@dataclass(frozen=True)
class Compared:
    """A database and the rows that it has."""

    asker: Asker
    world: World
    queries: Queries


@pytest.fixture(scope="module", params=[11, 12, 13])
async def compared(database: Database, request: pytest.FixtureRequest) -> AsyncIterator[Compared]:
    world = make_world(request.param)
    await store(world, database.admin_pool)
    async with asking(database.postgres_url("reader")) as asker:
        yield Compared(asker, world, Queries(asker.path.catalog, world))


@_EXAMPLES
@given(data=st.data())
async def test_every_query_is_answered_as_by_the_slow_evaluator(
    compared: Compared, data: st.DataObject
) -> None:
    tenant = data.draw(st.sampled_from([A_TENANT, ANOTHER_TENANT]))
    root = data.draw(compared.queries.roots())
    text, variables = rendered(root)
    expected = Evaluator(compared.world, compared.asker.path.catalog, tenant).answer(root)

    answer = (await compared.asker.data(text, variables, tenant=tenant))[root.field.key]

    wanted, found = canonical(expected, answer)
    assert found == wanted, text

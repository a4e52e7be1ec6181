"""Any query over any rows is answered as the slow, obvious evaluator answers it."""

import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

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
from tests.support.examples import ARE_OTHERS, examples

_FIRST = int(os.environ.get("HEADWATER_TEST_SEED", "0")) or (
    random.SystemRandom().getrandbits(48) if ARE_OTHERS else 1
)
"""The seed of the first query. The next have the next; a failure says its own."""


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


async def test_every_query_is_answered_as_by_the_slow_evaluator(compared: Compared) -> None:
    catalog = compared.asker.path.catalog
    evaluators = {
        tenant: Evaluator(compared.world, catalog, tenant) for tenant in (A_TENANT, ANOTHER_TENANT)
    }
    for seed in range(_FIRST, _FIRST + examples(150)):
        dice = random.Random(seed)  # noqa: S311 - test data
        tenant = dice.choice([A_TENANT, ANOTHER_TENANT])
        root = compared.queries.root(dice)
        text, variables = rendered(root)
        asked = f"HEADWATER_TEST_SEED={seed} {tenant} {text} {variables}"
        try:
            expected = evaluators[tenant].answer(root)
            answer = await compared.asker.data(text, variables, tenant=tenant)
        except Exception as error:
            error.add_note(asked)
            raise
        wanted, found = canonical(expected, answer[root.field.key])
        assert found == wanted, asked

"""How PostgreSQL plans the statements that read the queue: once, and by the queue's index, whoever owns the runs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest

from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.database import Connection, statement
from libs.runtime.ids import new_id
from services.runs.app import Runs
from services.runs.dispatch import leases, queue_database
from tests.support.engines import Stack
from tests.support.ledger import Client, Flow, tenant_with_flow

LOOK = statement(leases.__file__, "look")
CLAIM = statement(leases.__file__, "claim")
HORIZON = timedelta(seconds=3)
MANY = 5_000
"""Runs of the largest tenant, in several hundred pages."""
FEW_PAGES = 100


@pytest.fixture
async def flow(stack: Stack, ledger: Runs) -> Flow:
    return await tenant_with_flow(stack.admin_pool)


async def plans_of(connection: Connection, sql: str) -> tuple[int, int]:
    """How often the statement was executed on this connection by a plan kept from before, and by one of its own."""
    row = await connection.fetchrow(
        "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1", sql
    )
    assert row is not None
    return row["generic_plans"], row["custom_plans"]


@asynccontextmanager
async def kept_plans(ledger: Runs, flow: Flow) -> AsyncIterator[Callable[[], Awaitable[list[int]]]]:
    """Plan both statements now; what is given says how many pages each reads by that plan, whenever it is called."""
    executions = [
        f"EXECUTE claim ('{flow.tenant_id}', '{{[]}}', 4)",
        f"EXECUTE look ('{{{flow.tenant_id}}}', '3 s')",
    ]
    async with ledger.dispatch.leases._queue_database.pool.acquire() as connection:
        await connection.execute(f"PREPARE claim AS {CLAIM}; PREPARE look AS {LOOK}")

        async def pages_read() -> list[int]:
            plans = [
                (await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {each}"))[0]
                for each in executions
            ]
            return [
                plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
                for plan in plans
            ]

        await pages_read()
        try:
            yield pages_read
        finally:
            await connection.execute("DEALLOCATE claim; DEALLOCATE look")


async def copies_of(stack: Stack, run_id: UUID, *, count: int, state: str, own: bool) -> None:
    """So many runs more like this one, of its tenant or each of another."""
    columns: list[str] = await stack.admin_pool.fetchval(
        """
        SELECT array_agg(column_name::text) FROM information_schema.columns
        WHERE table_schema = 'runs' AND table_name = 'flow_run' AND is_generated = 'NEVER'
        """
    )
    values = {"id": "gen_random_uuid()", "state": f"'{state}'"}
    if not own:
        values["tenant_id"] = "gen_random_uuid()"
    await stack.admin_pool.execute(
        f"INSERT INTO runs.flow_run ({', '.join(columns)})"
        f" SELECT {', '.join(values.get(name, name) for name in columns)}"
        " FROM runs.flow_run, generate_series(1, $2) WHERE id = $1",
        run_id,
        count,
    )


async def test_a_statement_that_reads_the_queue_is_not_planned_again(
    ledger: Runs, bus: Bus, flow: Flow
) -> None:
    client = Client(bus, flow.tenant_id)
    for hours in range(3):
        await client.create(flow, scheduled_start_time=utc_now() + timedelta(hours=hours + 1))

    async with ledger.dispatch.leases._queue_database.transaction() as connection:
        for _ in range(8):
            await connection.fetch(LOOK, [flow.tenant_id], HORIZON)
            await connection.fetch(CLAIM, flow.tenant_id, ["[]"], 4)
        looks = await plans_of(connection, LOOK)
        claims = await plans_of(connection, CLAIM)

    assert looks[0] >= 8
    assert claims[0] >= 8
    assert (looks[1], claims[1]) == (0, 0)


async def test_only_the_connections_of_the_queue_are_planned_so(ledger: Runs) -> None:
    async with ledger.database.transaction() as connection:
        ledgers = {
            name: await connection.fetchval(f"SHOW {name}") for name in queue_database.SESSION
        }
    async with ledger.dispatch.leases._queue_database.transaction() as connection:
        queues = {
            name: await connection.fetchval(f"SHOW {name}") for name in queue_database.SESSION
        }

    assert queues == queue_database.SESSION
    assert ledgers == {
        "plan_cache_mode": "auto",
        "enable_sort": "on",
        "enable_incremental_sort": "on",
    }


async def test_plans_made_when_there_were_few_runs_are_good_when_there_are_many(
    stack: Stack, ledger: Runs, bus: Bus, flow: Flow
) -> None:
    """In a young table other indexes look as good as the queue's; their plans would read all runs of the tenant."""
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow, scheduled_start_time=utc_now() + timedelta(hours=1))
    await client.create(flow)
    await copies_of(stack, run_id, count=300, state="Scheduled", own=True)

    async with kept_plans(ledger, flow) as pages_read:
        before = await pages_read()
        await copies_of(stack, run_id, count=MANY, state="Scheduled", own=True)
        after = await pages_read()

    assert max(before) < FEW_PAGES
    assert max(after) < FEW_PAGES


@pytest.mark.parametrize("is_analysed", [False, True], ids=["new", "analysed"])
@pytest.mark.parametrize("state", ["Success", "Scheduled"])
async def test_a_pass_reads_few_pages_however_many_runs_the_tenant_has(
    stack: Stack, ledger: Runs, bus: Bus, *, flow: Flow, state: str, is_analysed: bool
) -> None:
    """With thousands of tenants the average one has few runs, so any index looks good enough to PostgreSQL."""
    client = Client(bus, flow.tenant_id)
    later = utc_now() + timedelta(hours=1)
    run_id = await client.create(flow, scheduled_start_time=later)
    await copies_of(stack, run_id, count=MANY, state=state, own=True)
    await copies_of(stack, run_id, count=MANY // 2, state="Scheduled", own=False)
    await client.create(flow)
    if is_analysed:
        await stack.admin_pool.execute("VACUUM ANALYZE runs.flow_run")

    async with kept_plans(ledger, flow) as pages_read:
        pages = await pages_read()

    assert max(pages) < FEW_PAGES


async def test_a_look_finds_the_sets_of_the_tenants_it_was_asked_about_and_of_no_other(
    stack: Stack, ledger: Runs, bus: Bus
) -> None:
    """The sets are found by going on along the index, where the next tenant's follow."""
    flows = sorted(
        [await tenant_with_flow(stack.admin_pool) for _ in range(4)], key=lambda f: f.tenant_id
    )
    for flow in (flows[1], flows[3]):
        for labels in ([], ["a"], ["a", "b"]):
            await Client(bus, flow.tenant_id).create(flow, labels=labels)
    tenants = [flow.tenant_id for flow in flows]

    found = {
        asked: {
            (each.tenant_id, each.labels)
            for each in await ledger.dispatch.leases.look(asked, horizon=HORIZON)
        }
        for asked in [(tenants[0],), (tenants[1],), (tenants[2],), tuple(tenants), (new_id(),)]
    }

    sets = {frozenset[str](), frozenset({"a"}), frozenset({"a", "b"})}
    second = {(tenants[1], labels) for labels in sets}
    fourth = {(tenants[3], labels) for labels in sets}
    assert list(found.values()) == [set(), second, set(), second | fourth, set()]

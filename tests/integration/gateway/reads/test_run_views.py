"""One run's page: its mapped tasks in one call, why a task run waits, which agents could take it."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from libs.runtime.ids import new_id
from tests.integration.gateway.reads.asking import Asker, asking
from tests.integration.gateway.reads.world import A_TENANT, ANOTHER_TENANT
from tests.support.engines import Database


@pytest.fixture(scope="module")
async def asker(database: Database) -> AsyncIterator[Asker]:
    async with asking(database.postgres_url("reader")) as found:
        yield found


class Given:
    """Makes rows as no service is asked to."""

    def __init__(self, database: Database) -> None:
        self._pool = database.admin_pool

    async def flow_run(self, *, state: str = "Running", labels: str = "[]") -> UUID:
        run = new_id()
        await self._pool.execute(
            "INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version, scheduled_start_time,"
            " auto_scheduled, state, state_timestamp, serialized_state, labels)"
            " VALUES ($1, $2, $3, $4, 'run', 3, now(), false, $5, now(), '{}', $6::text::jsonb)",
            run, A_TENANT, new_id(), new_id(), state, labels,
        )  # fmt: skip
        return run

    async def task_run(
        self, run: UUID, task: UUID, *, state: str, index: int = -1, starts_in: str | None = None,
        serialized: str = "{}",
    ) -> UUID:  # fmt: skip
        made = new_id()
        await self._pool.execute(
            "INSERT INTO runs.task_run (id, tenant_id, flow_run_id, task_id, map_index, version, start_time, end_time,"
            " state, state_timestamp, state_start_time, serialized_state) VALUES ($1, $2, $3, $4, $5, 3,"
            " '2026-01-01T00:00:00Z'::timestamptz + make_interval(secs => $5::int),"
            " '2026-01-01T01:00:00Z'::timestamptz + make_interval(secs => $5::int), $6, now(),"
            " now() + $7::text::interval, $8::text::jsonb)",
            made, A_TENANT, run, task, index, state, starts_in, serialized,
        )  # fmt: skip
        return made

    async def task(self, name: str) -> UUID:
        task = new_id()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute(
                "INSERT INTO registry.task (id, tenant_id, flow_id, name, slug) VALUES ($1, $2, $3, $4, $4)",
                task, A_TENANT, new_id(), name,
            )  # fmt: skip
        return task

    async def edge(self, before: UUID, after: UUID) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute(
                "INSERT INTO registry.edge (id, tenant_id, flow_id, upstream_task_id, downstream_task_id)"
                " VALUES ($1, $2, $3, $4, $5)",
                new_id(), A_TENANT, new_id(), before, after,
            )  # fmt: skip

    async def agent(self, name: str, labels: str, *, silent_for: str | None) -> None:
        await self._pool.execute(
            "INSERT INTO runs.agent (id, tenant_id, name, type, labels, last_queried)"
            " VALUES ($1, $2, $3, 'LocalAgent', $4::text::jsonb, now() - $5::text::interval)",
            new_id(), A_TENANT, name, labels, silent_for,
        )  # fmt: skip

    async def full_limit(self, tag: str) -> None:
        await self._pool.execute(
            'INSERT INTO runs.task_tag_limit (id, tenant_id, tag, "limit") VALUES ($1, $2, $3, 0)',
            new_id(), A_TENANT, tag,
        )  # fmt: skip


@pytest.fixture(scope="module")
def given(database: Database) -> Given:
    return Given(database)


SUMMARY = """query ($run: uuid!) { mapped_summary(flow_run_id: $run) {
    task_id children state_counts min_start_time max_end_time first_failed_map_index } }"""


async def test_a_runs_mapped_tasks_are_summed_up_in_one_call(asker: Asker, given: Given) -> None:
    run, mapped, plain = await given.flow_run(), new_id(), new_id()
    await given.task_run(run, plain, state="Success")
    await given.task_run(run, mapped, state="Mapped")
    for index, state in enumerate(["Success", "TriggerFailed", "Failed", "Success"]):
        await given.task_run(run, mapped, state=state, index=index)

    found = await asker.data(SUMMARY, {"run": str(run)})

    assert found["mapped_summary"] == [
        {
            "task_id": str(mapped),
            "children": 4,
            "state_counts": {"Success": 2, "TriggerFailed": 1, "Failed": 1},
            "min_start_time": "2026-01-01T00:00:00+00:00",
            "max_end_time": "2026-01-01T01:00:03+00:00",
            "first_failed_map_index": 1,
        }
    ]


async def test_another_tenants_run_looks_like_none(asker: Asker, given: Given) -> None:
    run = await given.flow_run()
    await given.task_run(run, new_id(), state="Success", index=0)
    await given.agent("ours", "[]", silent_for="1 second")
    agents = f'{{ flow_run_agents(flow_run_id: "{run}") {{ name }} }}'

    theirs = await asker.data(SUMMARY, {"run": str(run)}, tenant=ANOTHER_TENANT)
    their_agents = await asker.data(agents, tenant=ANOTHER_TENANT)
    unknown = await asker.data(SUMMARY, {"run": str(new_id())}, tenant=ANOTHER_TENANT)

    assert theirs == unknown == {"mapped_summary": []}
    assert their_agents == {"flow_run_agents": []}


async def test_a_task_run_has_a_duration(asker: Asker, given: Given) -> None:
    task_run = await given.task_run(await given.flow_run(), new_id(), state="Success")

    data = await asker.data(f'{{ task_run_by_pk(id: "{task_run}") {{ duration }} }}')

    assert data == {"task_run_by_pk": {"duration": "01:00:00"}}


async def waiting_reason(asker: Asker, task_run: UUID) -> Any:
    data = await asker.data(f'{{ task_run_by_pk(id: "{task_run}") {{ waiting_reason }} }}')
    return data["task_run_by_pk"]["waiting_reason"]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"state": "Running"}, None),
        ({"state": "Cached"}, None),
        ({"state": "Paused"}, "needs_approval"),
        ({"state": "Paused", "starts_in": "1 hour"}, "start_time_ahead"),
        ({"state": "Retrying", "starts_in": "1 hour"}, "retry_later"),
        ({"state": "Scheduled", "starts_in": "1 hour"}, "start_time_ahead"),
        ({"state": "Queued"}, "queued"),
        (
            {"state": "Queued", "serialized": '{"context": {"tags": ["database"]}}'},
            "limit_full: tag database, limit 0",
        ),
        ({"state": "Retrying", "starts_in": "-1 second"}, "not_started"),
        ({"state": "Pending"}, "not_started"),
    ],
)
async def test_a_task_run_says_why_it_waits(
    database: Database, asker: Asker, given: Given, columns: dict[str, Any], reason: str | None
) -> None:
    await database.admin_pool.execute("TRUNCATE runs.task_tag_limit")
    await given.full_limit("database")
    task_run = await given.task_run(await given.flow_run(), new_id(), **columns)

    assert await waiting_reason(asker, task_run) == reason


async def test_a_pending_task_run_names_the_tasks_before_it(asker: Asker, given: Given) -> None:
    run = await given.flow_run()
    extract, check, load = [await given.task(name) for name in ("extract", "check", "load")]
    await given.edge(extract, load)
    await given.edge(check, load)
    await given.task_run(run, extract, state="Running")
    await given.task_run(run, check, state="Success")
    pending = await given.task_run(run, load, state="Pending")

    assert await waiting_reason(asker, pending) == "upstream_unfinished: extract"


async def test_a_task_run_of_a_run_that_does_not_run_says_so(asker: Asker, given: Given) -> None:
    run = await given.flow_run(state="Scheduled")
    pending = await given.task_run(run, new_id(), state="Pending")

    assert await waiting_reason(asker, pending) == "flow_run_not_running: Scheduled"


async def test_agents_that_could_take_a_run_come_first_and_others_say_what_they_lack(
    database: Database, asker: Asker, given: Given
) -> None:
    await database.admin_pool.execute("TRUNCATE runs.agent CASCADE")
    run = await given.flow_run(state="Scheduled", labels='["gpu", "eu"]')
    await given.agent("half", '["eu"]', silent_for="1 second")
    await given.agent("silent", '["gpu", "eu"]', silent_for="1 hour")
    await given.agent("never", '["gpu", "eu"]', silent_for=None)
    await given.agent("fits", '["gpu", "eu", "more"]', silent_for="1 second")

    data = await asker.data(
        f'{{ flow_run_agents(flow_run_id: "{run}") {{ name could_take matches is_live missing_labels }} }}'
    )

    assert [tuple(row.values()) for row in data["flow_run_agents"]] == [
        ("fits", True, True, True, []),
        ("silent", False, True, False, []),
        ("never", False, True, False, []),
        ("half", False, False, True, ["gpu"]),
    ]


async def test_a_run_without_labels_is_for_agents_without_any(
    database: Database, asker: Asker, given: Given
) -> None:
    await database.admin_pool.execute("TRUNCATE runs.agent CASCADE")
    run = await given.flow_run(state="Scheduled")
    await given.agent("labelled", '["eu"]', silent_for="1 second")
    await given.agent("plain", "[]", silent_for="1 second")

    data = await asker.data(f'{{ flow_run_agents(flow_run_id: "{run}") {{ name could_take }} }}')

    assert data["flow_run_agents"] == [
        {"name": "plain", "could_take": True},
        {"name": "labelled", "could_take": False},
    ]

"""Partitions, retention, deleting, and the reasons for being late."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from libs.contracts import runs
from libs.contracts.base import Applied
from libs.contracts.runs import RunKind
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.runs import upkeep
from services.runs.app import Runs
from services.runs.ledger import removal
from tests.support.engines import Stack
from tests.support.ledger import Client, register_flow

LATE = {"late_after": timedelta(seconds=20), "silent_after": timedelta(minutes=1)}


async def test_old_partitions_are_dropped_and_their_space_comes_back(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    old = datetime(2020, 1, 8, tzinfo=UTC)
    await upkeep.keep_partitions(ledger.database, now=old)
    await stack.admin_pool.execute(
        """
        INSERT INTO runs.log (id, created, tenant_id, timestamp, message, sequence)
        SELECT gen_random_uuid(), $1, gen_random_uuid(), $1, repeat(md5(n::text), 20), n FROM generate_series(1, 5000) n
        """,
        old,
    )
    before = await stack.admin_pool.fetchval("SELECT pg_database_size(current_database())")

    dropped = await upkeep.drop_old(
        ledger.database,
        states=timedelta(days=180),
        logs=timedelta(days=30),
        runs=None,
        now=utc_now(),
    )

    after = await stack.admin_pool.fetchval("SELECT pg_database_size(current_database())")
    assert "log_w202002" in dropped
    assert "flow_run_state_w202002" in dropped
    assert before - after > 4_000_000
    assert await upkeep.drop_old(
        ledger.database, states=timedelta(days=180), logs=timedelta(days=30), runs=None, now=utc_now()
    ) == []  # fmt: skip


async def test_retention_that_is_off_drops_nothing(stack: Stack, bus: Bus, ledger: Runs) -> None:
    await upkeep.keep_partitions(ledger.database, now=datetime(2021, 1, 6, tzinfo=UTC))

    dropped = await upkeep.drop_old(
        ledger.database, states=None, logs=None, runs=None, now=utc_now()
    )

    assert dropped == []


async def test_finished_runs_past_their_retention_are_deleted_with_all_that_is_theirs(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    old, fresh, unfinished = [await client.start(flow) for _ in range(3)]
    await client.set(old, "Success")
    moment = utc_now()
    await client.set(fresh, "Success")

    deleted = await removal.runs_older_than(
        ledger.database, moment + timedelta(microseconds=1)
    ) + await removal.runs_older_than(ledger.database, moment + timedelta(microseconds=1))

    left = await stack.admin_pool.fetch(
        "SELECT id FROM runs.flow_run WHERE flow_id = $1 ORDER BY id", flow.id
    )
    assert deleted == 1
    assert [row["id"] for row in left] == [fresh, unfinished]


async def test_deleting_a_run_leaves_nothing_of_it(stack: Stack, bus: Bus, ledger: Runs) -> None:
    flow = await register_flow(stack.admin_pool, tasks=2)
    client = Client(bus, flow.tenant_id)
    run_id = await client.start(flow)
    task = await client.task_run(run_id, flow.task_ids[0])
    await bus.call(
        runs.WRITE_ARTIFACT,
        runs.WriteArtifact(
            tenant_id=flow.tenant_id, task_run_id=task.id, artifact_kind="link", data={"link": "x"}
        ),
    )

    deleted = await bus.call(
        runs.DELETE_FLOW_RUN, runs.DeleteFlowRun(tenant_id=flow.tenant_id, flow_run_id=run_id)
    )
    again = await bus.call(
        runs.DELETE_FLOW_RUN, runs.DeleteFlowRun(tenant_id=flow.tenant_id, flow_run_id=run_id)
    )

    assert isinstance(deleted, Applied)
    assert isinstance(again, Applied)
    assert (deleted.success, again.success) == (True, False)
    for table in ("flow_run", "task_run", "flow_run_state", "task_run_state", "task_run_artifact"):
        count = await stack.admin_pool.fetchval(
            f"SELECT count(*) FROM runs.{table} WHERE tenant_id = $1", flow.tenant_id
        )
        assert count == 0, table


async def test_names_and_labels_can_be_set(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow, labels=["a"])
    task = await client.task_run(run_id, flow.task_ids[0])

    async def update(kind: RunKind, id_: UUID, **fields: object) -> str:
        reply = await bus.call(
            runs.UPDATE_RUN,
            runs.UpdateRun.model_validate(
                {"tenant_id": flow.tenant_id, "run_kind": kind, "run_id": id_} | fields
            ),
        )
        return str(reply.success) if isinstance(reply, Applied) else reply.code.value

    assert await update(RunKind.FLOW_RUN, run_id, labels=["c", "b", "c"]) == "True"
    assert await client.queue("b", "c") == [run_id]
    assert await update(RunKind.FLOW_RUN, run_id, name="new name") == "True"
    assert await update(RunKind.TASK_RUN, task.id, name="new name") == "True"
    assert await update(RunKind.FLOW_RUN, new_id(), name="x") == "False"
    assert await update(RunKind.FLOW_RUN, run_id, name="") == "name_invalid"
    assert await update(RunKind.TASK_RUN, task.id, labels=["a"]) == "invalid"


async def test_names_and_artifacts_are_kept_without_what_cannot_be(stack: Stack, bus: Bus) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    task = await client.task_run(run_id, flow.task_ids[0])
    data = {"markdown": "x" * 3_000_000, "a\0": "\0", "path": r"C:\u0000"}

    for kind, id_ in ((RunKind.FLOW_RUN, run_id), (RunKind.TASK_RUN, task.id)):
        await bus.call(
            runs.UPDATE_RUN,
            runs.UpdateRun(
                tenant_id=flow.tenant_id, run_kind=kind, run_id=id_, name="a\0" + "é" * 1000
            ),
        )
    artifact = await bus.call(
        runs.WRITE_ARTIFACT,
        runs.WriteArtifact(
            tenant_id=flow.tenant_id, task_run_id=task.id, artifact_kind="k\0", data=data
        ),
    )

    assert isinstance(artifact, Applied)
    name = "a�" + "é" * 496 + "…"
    for table, id_ in (("flow_run", run_id), ("task_run", task.id)):
        assert (
            await stack.admin_pool.fetchval(f"SELECT name FROM runs.{table} WHERE id = $1", id_)
            == name
        )
    row = await stack.admin_pool.fetchrow(
        "SELECT kind, data FROM runs.task_run_artifact WHERE id = $1", artifact.id
    )
    assert row is not None
    assert row["kind"] == "k�"
    assert "characters were cut here" in row["data"].pop("markdown")
    assert row["data"] == {"a�": "�", "path": r"C:\u0000"}


async def test_artifacts_are_written_replaced_and_deleted_within_their_limit(
    stack: Stack, bus: Bus
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    task = await client.task_run(run_id, flow.task_ids[0])

    async def write(**fields: object) -> Applied | str:
        reply = await bus.call(
            runs.WRITE_ARTIFACT,
            runs.WriteArtifact.model_validate({"tenant_id": flow.tenant_id} | fields),
        )
        return reply if isinstance(reply, Applied) else reply.code.value

    made = await write(task_run_id=task.id, artifact_kind="markdown", data={"markdown": "# x"})
    assert isinstance(made, Applied)
    too_large = {"numbers": [1000000] * 150_000}
    assert await write(task_run_id=task.id, artifact_kind="markdown", data=too_large) == (
        "artifact_too_large"
    )
    assert await write(artifact_id=made.id, data=too_large) == "artifact_too_large"
    assert await write(task_run_id=new_id(), artifact_kind="link", data={}) == "task_run_not_found"
    assert await write(artifact_id=made.id, data={"markdown": "# y"}) == made
    row = await stack.admin_pool.fetchrow(
        "SELECT * FROM runs.task_run_artifact WHERE id = $1", made.id
    )
    assert row is not None
    assert (row["kind"], row["data"], row["tenant_id"]) == (
        "markdown",
        {"markdown": "# y"},
        flow.tenant_id,
    )
    assert await write(artifact_id=made.id) == made
    gone = await write(artifact_id=made.id)
    assert isinstance(gone, Applied)
    assert gone.success is False


@pytest.mark.parametrize(
    ("agent_labels", "silent", "reason"),
    [
        (None, False, "no_matching_agent"),
        (["b"], False, "no_matching_agent"),
        (["a", "b"], True, "agent_silent"),
        (["a", "b"], False, "not_claimed"),
    ],
)
async def test_a_late_run_says_why_it_has_not_started(
    stack: Stack,
    bus: Bus,
    ledger: Runs,
    agent_labels: list[str] | None,
    reason: str,
    *,
    silent: bool,
) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    if agent_labels is not None:
        await bus.call(
            runs.REGISTER_AGENT,
            runs.RegisterAgent(tenant_id=flow.tenant_id, type="LocalAgent", labels=agent_labels),
        )
    due = utc_now() + timedelta(seconds=30)
    run_id = await client.create(flow, labels=["a"], scheduled_start_time=due)
    asked = due + timedelta(seconds=20)
    if not silent:
        await stack.admin_pool.execute(
            "UPDATE runs.agent SET last_queried = $2 WHERE tenant_id = $1", flow.tenant_id, asked
        )
    else:
        await stack.admin_pool.execute(
            "UPDATE runs.agent SET last_queried = $2 WHERE tenant_id = $1",
            flow.tenant_id,
            asked - timedelta(seconds=61),
        )

    await upkeep.mark_late(ledger.database, **LATE, now=asked - timedelta(seconds=1))
    on_time = await _reason(stack, run_id)
    await upkeep.mark_late(ledger.database, **LATE, now=asked)
    late = await _reason(stack, run_id)
    await client.set(run_id, "Submitted")

    assert (on_time, late, await _reason(stack, run_id)) == (None, reason, None)


async def test_a_paused_run_says_that_it_is_paused(stack: Stack, bus: Bus, ledger: Runs) -> None:
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    run_id = await client.create(flow)
    await client.set(run_id, "Paused")

    await upkeep.mark_late(ledger.database, **LATE, now=utc_now() + timedelta(minutes=1))

    assert await _reason(stack, run_id) == "paused"


async def _reason(stack: Stack, run_id: UUID) -> str | None:
    reason: str | None = await stack.admin_pool.fetchval(
        "SELECT late_reason FROM runs.flow_run WHERE id = $1", run_id
    )
    return reason

"""Actions on runs: the commands that people give, done by the worker of deliveries."""

from typing import Any
from uuid import UUID

import pytest

from libs.runtime.ids import new_id
from services.registry.app import Registry
from services.registry.settings import RegistrySettings
from tests.support.automations import Rules
from tests.support.engines import Stack
from tests.support.ledger import Flow
from tests.support.running import running

pytestmark = pytest.mark.usefixtures("gateway")


async def done(rules: Rules) -> list[tuple[str, str | None]]:
    """Do what is owed until nothing is; (status, error) of each delivery of the tenant."""
    while True:
        await rules.handled()
        if not await rules.service.deliveries.worker.tick():
            break
        await rules.service.deliveries.worker.settled()
    return [(row["status"], row["last_error"]) for row in await rules.owed()]


async def state_of(rules: Rules, run_id: UUID) -> str:
    state: str = await rules.stack.admin_pool.fetchval(
        "SELECT state FROM runs.flow_run WHERE id = $1", run_id
    )
    return state


async def test_a_run_is_cancelled_and_a_second_time_nothing_happens(
    rules: Rules, flow: Flow
) -> None:
    await rules.hook(await rules.action({"cancel_flow_run": {}}), "Running", "Cancelling")

    run_id = await rules.client.start(flow)

    assert await done(rules) == [("delivered", None)] * 2
    assert await state_of(rules, run_id) == "Cancelling"


async def test_a_run_that_was_scheduled_anew_since_the_event_is_left_alone(
    rules: Rules, flow: Flow
) -> None:
    await rules.hook(await rules.action({"cancel_flow_run": {}}), "Failed")
    run_id = await rules.client.start(flow)
    await rules.client.set(run_id, "Failed")
    await rules.client.set(run_id, "Scheduled", by_person=True)

    assert await done(rules) == [("delivered", None)]
    assert await state_of(rules, run_id) == "Scheduled"


async def test_schedules_of_the_events_flow_are_paused(
    stack: Stack, rules: Rules, flow: Flow
) -> None:
    registry = Registry(
        RegistrySettings(postgres_url=stack.postgres_url("registry"), nats_url=stack.nats_url)
    )
    await rules.hook(await rules.action({"pause_schedule": {}}), "Failed")
    async with running(registry, ticks=False):
        await rules.client.set(await rules.client.start(flow), "Failed")
        outcome = await done(rules)

    is_active = await stack.admin_pool.fetchval(
        "SELECT is_schedule_active FROM registry.flow WHERE id = $1", flow.id
    )
    assert outcome == [("delivered", None)]
    assert not is_active


async def test_an_automation_that_starts_itself_stops_at_three_and_says_so(
    rules: Rules, flow: Flow
) -> None:
    hook = await rules.hook(await rules.action({"create_flow_run": {}}), "Scheduled")

    first = await rules.client.create(flow)

    outcome = await done(rules)
    runs = await rules.stack.admin_pool.fetch(
        "SELECT id, idempotency_key FROM runs.flow_run WHERE tenant_id = $1", rules.tenant_id
    )
    made = [row for row in runs if row["id"] != first]
    assert [status for status, _ in outcome] == ["delivered"] * 3 + ["failed"]
    assert "3 automations in a row" in str(outcome[-1][1])
    assert str(hook) in str(outcome[-1][1])
    assert len(made) == 3
    assert all(row["idempotency_key"].startswith("automation:") for row in made)


async def key_of(rules: Rules, user_id: UUID, role: str) -> UUID:
    key_id = new_id()
    await rules.stack.admin_pool.execute(
        "INSERT INTO gateway.api_key (id, tenant_id, user_id, name, role, hash) VALUES ($1, $2, $3, 'k', $4, $5)",
        key_id,
        rules.tenant_id,
        user_id,
        role,
        key_id.bytes,
    )
    return key_id


async def trail(rules: Rules) -> list[Any]:
    rows: list[Any] = await rules.stack.admin_pool.fetch(
        "SELECT * FROM gateway.audit_log WHERE tenant_id = $1 ORDER BY timestamp", rules.tenant_id
    )
    return rows


async def test_an_action_has_the_rights_that_who_made_the_hook_has_now(
    rules: Rules, flow: Flow
) -> None:
    admin, member = new_id(), new_id()
    await key_of(rules, admin, "tenant_admin")
    key_id = await key_of(rules, member, "user")
    action = await rules.action({"cancel_flow_run": {}}, created_by=admin)
    hook = await rules.hook(action, "Running", created_by=member)

    first = await rules.client.start(flow)
    allowed = await done(rules)
    await rules.stack.admin_pool.execute(
        "UPDATE gateway.api_key SET role = 'read_only' WHERE id = $1", key_id
    )
    second = await rules.client.start(flow)
    [_, refused] = await done(rules)

    assert allowed == [("delivered", None)]
    assert await state_of(rules, first) == "Cancelling"
    assert await state_of(rules, second) == "Running"
    assert refused[0] == "failed"
    assert f"user {member}" in str(refused[1])
    assert "update:run" in str(refused[1])
    lines = await trail(rules)
    assert [line["message"] for line in lines] == ["cancel_flow_run", "cancel_flow_run refused"]
    assert [line["object_id"] for line in lines] == [first, second]
    assert {line["actor"] for line in lines} == {f"automation:{hook}"}
    assert {line["user_id"] for line in lines} == {member}
    notes = await rules.stack.admin_pool.fetch(
        "SELECT content FROM gateway.message WHERE tenant_id = $1", rules.tenant_id
    )
    assert ["update:run" in note["content"]["message"] for note in notes] == [True]


async def test_who_has_no_good_key_any_more_has_no_right(rules: Rules, flow: Flow) -> None:
    member = new_id()
    key_id = await key_of(rules, member, "user")
    action = await rules.action({"create_flow_run": {}})
    await rules.hook(action, "Failed", created_by=member)
    await rules.stack.admin_pool.execute(
        "UPDATE gateway.api_key SET revoked_at = now() WHERE id = $1", key_id
    )

    await rules.client.set(await rules.client.start(flow), "Failed")

    [(status, error)] = await done(rules)
    assert status == "failed"
    assert "create:run" in str(error)

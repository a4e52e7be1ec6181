"""Which state changes owe what, on real engines: the ledger's events in, rows of `delivery` out."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from libs.contracts import automations
from libs.contracts.base import Applied, Refused
from libs.contracts.registry import FlowGroupDeleted
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.automations.app import Automations
from services.automations.domain.occurrences import VARIABLES, id_of_state
from tests.support.automations import Rules, automations_on
from tests.support.engines import Stack
from tests.support.ledger import Client, Flow, bus_on, register_flow


async def another_flow(rules: Rules) -> Flow:
    return await register_flow(rules.stack.admin_pool, tenant_id=rules.tenant_id)


async def failed_run(rules: Rules, flow: Flow, message: str = "it broke") -> UUID:
    run_id = await rules.client.start(flow)
    await rules.client.set(run_id, {"type": "Failed", "message": message})
    return run_id


@pytest.mark.parametrize("spelled", ["Triggerfailed", "TRIGGERFAILED", "TriggerFailed"])
async def test_a_state_is_meant_however_it_is_spelled(
    rules: Rules, flow: Flow, spelled: str
) -> None:
    await rules.hook(await rules.action(), spelled)

    await rules.client.set(await rules.client.start(flow), "TriggerFailed")

    assert await rules.states_owed() == ["TriggerFailed"]


async def test_who_asks_for_a_state_does_not_hear_of_its_children(rules: Rules, flow: Flow) -> None:
    await rules.hook(await rules.action(), "Failed")

    await rules.client.set(await rules.client.start(flow), "TriggerFailed")
    await failed_run(rules, flow)

    assert await rules.states_owed() == ["Failed"]


async def test_a_hook_for_every_flow_hears_of_flows_that_are_registered_later(
    rules: Rules, flow: Flow
) -> None:
    absent = await rules.hook(await rules.action(), "Failed")
    empty = await rules.hook(await rules.action(), "Failed", flows=[])

    await failed_run(rules, await another_flow(rules))

    await rules.handled()
    assert {row["hook_id"] for row in await rules.owed()} == {absent, empty}


async def test_a_hook_for_a_flow_group_hears_of_all_its_versions_and_of_no_other_flow(
    rules: Rules, flow: Flow
) -> None:
    await rules.hook(await rules.action(), "Failed", flows=[flow])
    second = await register_flow(
        rules.stack.admin_pool, tenant_id=rules.tenant_id, group_id=flow.group_id, version=2
    )

    runs = [await failed_run(rules, each) for each in (flow, second, await another_flow(rules))]

    await rules.handled()
    found = [row["event"]["flow_run_id"] for row in await rules.owed()]
    # In one transaction they are as old as each other.
    assert sorted(found) == sorted(str(run) for run in runs[:2])


async def test_two_hooks_with_one_action_owe_it_once(rules: Rules, flow: Flow) -> None:
    action = await rules.action()
    await rules.hook(action, "Failed")
    await rules.hook(action, "Failed", flows=[flow])

    await failed_run(rules, flow)

    assert await rules.states_owed() == ["Failed"]


async def test_another_tenant_is_owed_nothing(stack: Stack, rules: Rules, flow: Flow) -> None:
    await rules.hook(await rules.action(), "Failed")
    other = await register_flow(stack.admin_pool)

    await failed_run(Rules(stack, rules.service, Client(rules.client.bus, other.tenant_id)), other)

    assert await rules.states_owed() == []


async def test_an_event_has_every_variable_with_its_aliases_and_the_default_message(
    rules: Rules, flow: Flow
) -> None:
    hook = await rules.hook(await rules.action(), "Failed")

    run_id = await failed_run(rules, flow, "no disk")

    await rules.handled()
    [row] = await rules.owed()
    event = row["event"]
    version = await rules.stack.admin_pool.fetchval(
        "SELECT version FROM runs.flow_run WHERE id = $1", run_id
    )
    name = await rules.stack.admin_pool.fetchval(
        "SELECT name FROM runs.flow_run WHERE id = $1", run_id
    )
    link = f"http://127.0.0.1:4200/{rules.tenant_id}/flow-run/{run_id}"
    assert event.keys() <= VARIABLES
    assert event["message"] == (
        f"Run {name} of flow a flow entered state Failed with message no disk."
        f" See {link} for more details."
    )
    assert event["id"] == event["event_id"] == str(id_of_state(run_id, version))
    assert event["event_name"] == event["event_type"] == "FlowRunStateChangedEvent"
    assert (event["state"], event["state_message"]) == ("Failed", "no disk")
    assert (event["flow_id"], event["flow_group_id"]) == (str(flow.id), str(flow.group_id))
    assert (event["tenant_id"], event["tenant_slug"]) == (str(rules.tenant_id),) * 2
    assert (row["hook_id"], row["status"], row["receiver"]) == (hook, "pending", None)


async def test_conditions_are_about_labels_projects_parameters_and_duration(
    rules: Rules, flow: Flow
) -> None:
    project = await rules.stack.admin_pool.fetchval(
        "SELECT p.name FROM registry.project p JOIN registry.flow f ON f.project_id = p.id WHERE f.id = $1",
        flow.id,
    )
    wanted = {
        "labels": {"labels": ["gpu"]},
        "project": {"projects": [project]},
        "parameters": {"parameters": {"x": 1}},
        "other label": {"labels": ["gpu", "big"]},
        "other project": {"projects": ["another"]},
        "other value": {"parameters": {"x": 2}},
        "too short": {"min_duration_seconds": 3600},
    }
    hooks = {
        await rules.hook(await rules.action(), "Failed", conditions=conditions): name
        for name, conditions in wanted.items()
    }

    run_id = await rules.client.start(flow, labels=["gpu"], parameters={"x": 1})
    await rules.client.set(run_id, "Failed")

    await rules.handled()
    fired = {hooks[row["hook_id"]] for row in await rules.owed()}
    assert fired == {"labels", "project", "parameters"}


async def test_a_hook_that_is_switched_off_owes_nothing_until_it_is_on_again(
    rules: Rules, flow: Flow
) -> None:
    hook = await rules.hook(await rules.action(), "Failed")

    async def switch(*, on: bool) -> None:
        reply = await rules.ask(
            automations.UPDATE_HOOK,
            automations.UpdateHook(
                tenant_id=rules.tenant_id, hook_id=hook, changes={"is_active": on}
            ),
        )
        assert reply.success

    await switch(on=False)
    await failed_run(rules, flow)
    before = await rules.states_owed()
    await switch(on=True)
    # Not for what happened while it was off.
    await rules.service.upkeep.search_histories(utc_now() + timedelta(minutes=1))
    searched = await rules.owed()
    await failed_run(rules, flow)

    assert (before, searched) == ([], [])
    assert await rules.states_owed() == ["Failed"]


async def test_deleting_an_action_deletes_its_hooks_and_what_it_still_owes(
    rules: Rules, flow: Flow
) -> None:
    action = await rules.action()
    await rules.hook(action, "Failed")
    await failed_run(rules, flow)
    await rules.handled()

    deleted = await rules.ask(
        automations.DELETE_ACTION,
        automations.DeleteAction(tenant_id=rules.tenant_id, action_id=action),
    )
    await failed_run(rules, flow)

    await rules.handled()
    hooks = await rules.stack.admin_pool.fetchval(
        "SELECT count(*) FROM automations.hook WHERE tenant_id = $1", rules.tenant_id
    )
    assert deleted.success
    assert hooks == 0
    assert [row["status"] for row in await rules.owed()] == ["switched_off"]


async def test_an_edit_while_runs_fail_loses_no_event_and_doubles_none(
    stack: Stack, rules: Rules, flow: Flow
) -> None:
    """The web UI edits a hook by making the new one and then deleting the old one. Two replicas handle the events."""
    action = await rules.action()
    hook = await rules.hook(action, "Failed")
    runs: list[UUID] = []

    async def fail_many() -> None:
        for _ in range(8):
            runs.extend(await asyncio.gather(*(failed_run(rules, flow) for _ in range(5))))

    async with automations_on(stack):
        failing = asyncio.create_task(fail_many())
        while not failing.done():
            newer = await rules.hook(action, "Failed")
            await rules.ask(
                automations.DELETE_HOOK,
                automations.DeleteHook(tenant_id=rules.tenant_id, hook_id=hook),
            )
            hook = newer
        await failing
        await rules.handled()

    owed = [row["event"]["flow_run_id"] for row in await rules.owed()]
    assert sorted(owed) == sorted(str(run) for run in runs)


async def test_what_no_event_told_is_found_in_the_histories_once_under_the_same_id(
    rules: Rules, automations: Automations, flow: Flow
) -> None:
    await rules.hook(await rules.action(), "Failed", flows=[flow])
    await failed_run(rules, flow)
    await rules.handled()
    [owed] = await rules.owed()
    # As if JetStream had lost the event.
    await rules.stack.admin_pool.execute(
        "DELETE FROM automations.delivery WHERE tenant_id = $1", rules.tenant_id
    )
    later = utc_now() + timedelta(minutes=1)

    await automations.upkeep.search_histories(later)
    await automations.upkeep.search_histories(later + timedelta(minutes=1))

    [found] = await rules.owed()
    assert (found["event_id"], found["dedup"]) == (owed["event_id"], owed["dedup"])


async def test_a_search_of_the_histories_owes_nothing_to_hooks_that_are_newer(
    rules: Rules, automations: Automations, flow: Flow
) -> None:
    await rules.hook(await rules.action(), "Failed")
    await failed_run(rules, flow)
    await rules.handled()
    await rules.stack.admin_pool.execute(
        "DELETE FROM automations.hook WHERE tenant_id = $1", rules.tenant_id
    )
    await rules.stack.admin_pool.execute(
        "DELETE FROM automations.delivery WHERE tenant_id = $1", rules.tenant_id
    )
    await rules.hook(await rules.action(), "Failed")

    await automations.upkeep.search_histories(utc_now() + timedelta(minutes=1))

    assert await rules.owed() == []


async def test_a_deleted_flow_group_leaves_hooks_and_the_last_one_takes_its_hook_along(
    stack: Stack, rules: Rules, automations: Automations, flow: Flow
) -> None:
    other = await another_flow(rules)
    both = await rules.hook(await rules.action(), "Failed", flows=[flow, other])
    alone = await rules.hook(await rules.action(), "Failed", flows=[other])
    event = FlowGroupDeleted(
        event_id=new_id(), at=utc_now(), tenant_id=rules.tenant_id, flow_group_id=other.group_id
    )

    await automations.upkeep.on_flow_group_deleted(event)

    rows = await stack.admin_pool.fetch(
        "SELECT id, event_tags FROM automations.hook WHERE tenant_id = $1", rules.tenant_id
    )
    assert [row["id"] for row in rows] == [both]
    assert alone not in {row["id"] for row in rows}
    assert rows[0]["event_tags"]["flow_group_id"] == [str(flow.group_id)]


async def test_hooks_about_what_is_gone_are_found_also_when_the_event_was_lost(
    stack: Stack, rules: Rules, automations: Automations
) -> None:
    other = await another_flow(rules)
    await rules.hook(await rules.action(), "Failed", flows=[other])
    await stack.admin_pool.execute("DELETE FROM registry.flow_group WHERE id = $1", other.group_id)

    await automations.upkeep.prune()

    left = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM automations.hook WHERE tenant_id = $1", rules.tenant_id
    )
    assert left == 0


async def test_a_tenant_has_at_most_five_hundred_hooks(stack: Stack, rules: Rules) -> None:
    action = await rules.action()
    await stack.admin_pool.execute(
        "INSERT INTO automations.hook (id, tenant_id, event_type, action_id)"
        " SELECT gen_random_uuid(), $1, 'FlowRunStateChangedEvent', $2 FROM generate_series(1, 499)",
        rules.tenant_id,
        action,
    )

    asked = [
        rules.ask_hook(action, automations.EventType.STATE_CHANGED, {"state": ["Failed"]})
        for _ in range(5)
    ]
    replies = await asyncio.gather(*asked)

    made = [reply for reply in replies if isinstance(reply, Applied)]
    refused = [reply for reply in replies if isinstance(reply, Refused)]
    assert (len(made), len(refused)) == (1, 4)
    assert "500 hooks" in refused[0].fields["reason"]


async def test_a_hook_names_only_what_its_tenant_has(
    stack: Stack, rules: Rules, flow: Flow
) -> None:
    foreign = await register_flow(stack.admin_pool)
    tags = {"state": ["Failed"], "flow_group_id": [str(foreign.group_id)]}
    action = await rules.action()

    of_another = await rules.ask_hook(action, automations.EventType.STATE_CHANGED, tags)
    without_action = await rules.ask_hook(
        new_id(), automations.EventType.STATE_CHANGED, {"state": ["Failed"]}
    )

    assert isinstance(of_another, Refused)
    assert of_another.fields["reason"].startswith("flow_group_ids: this tenant has no flow group")
    assert isinstance(without_action, Refused)
    assert without_action.fields["reason"].startswith("action_id: this tenant has no action")


async def test_a_second_replica_obeys_a_change_from_its_commit_on(
    stack: Stack, rules: Rules, flow: Flow
) -> None:
    """Rules are in memory on both; nothing tells them, they look at the version."""
    hook = await rules.hook(await rules.action(), "Failed")
    async with automations_on(stack) as second, bus_on(stack):
        async with second.database.transaction() as connection:
            before = await second.changes._rulesets.of(connection, [rules.tenant_id])
        await rules.ask(
            automations.DELETE_HOOK,
            automations.DeleteHook(tenant_id=rules.tenant_id, hook_id=hook),
        )
        async with second.database.transaction() as connection:
            after = await second.changes._rulesets.of(connection, [rules.tenant_id])

    assert len(before[rules.tenant_id].hooks.on_state("Failed", None)) == 1
    assert after[rules.tenant_id].hooks.on_state("Failed", None) == []

"""Tests by people: once, by the very path of every delivery."""

import asyncio
from datetime import timedelta

import pytest

from libs.contracts.deliveries import (
    TEST_ACTION,
    TEST_CLOUD_HOOK,
    TEST_SECONDS,
    TestAction,
    TestCloudHook,
)
from libs.runtime.ids import new_id
from services.automations.delivery.worker import Limits
from tests.support.delivering import World
from tests.support.eventually import eventually
from tests.support.owed import EVENT, an_action, owe


async def hook(world: World, kind: str, config: dict[str, object]) -> TestCloudHook:
    made = await world.pool.fetchval(
        "INSERT INTO gateway.cloud_hook (id, tenant_id, type, config)"
        " VALUES (gen_random_uuid(), $1, $2, $3) RETURNING id",
        world.tenant, kind, config,
    )  # fmt: skip
    return TestCloudHook(tenant_id=world.tenant, cloud_hook_id=made)


async def trial(world: World) -> TestAction:
    # Longer than a busy machine may stand still between two requests of a test.
    world.service.deliveries.trials.same = timedelta(hours=1)
    action = await an_action(world.pool, world.tenant, {"url": world.receiver.url})
    return TestAction(tenant_id=world.tenant, action_id=action, user_id=new_id())


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_every_2xx_is_a_success(world: World, status: int) -> None:
    world.receiver.answer(status)

    tested = await world.service.deliveries.trials.test_action(await trial(world))

    assert (tested.succeeded, tested.error, tested.status) == (True, None, status)
    assert tested.latency_ms is not None
    [got] = world.receiver.received
    assert got.json["is_test_event"] is True
    assert tested.delivery_id is not None
    assert (await world.delivery(tested.delivery_id))["status"] == "delivered"


async def test_a_failure_is_one_request_also_when_the_web_page_asks_again(world: World) -> None:
    world.receiver.answer(500)
    request = await trial(world)
    trials = world.service.deliveries.trials

    first = await trials.test_action(request)
    again = await trials.test_action(request)
    await world.deliver()

    assert len(world.receiver.received) == 1
    assert not first.succeeded
    assert first.error is not None
    assert "500" in first.error
    assert again == first


async def test_two_at_the_same_time_are_one_request_and_another_person_is_another(
    world: World,
) -> None:
    request = await trial(world)
    trials = world.service.deliveries.trials
    world.receiver.hang()
    both = [asyncio.create_task(trials.test_action(request)) for _ in range(2)]
    await eventually(lambda: world.receiver.waiting == 1)
    world.receiver.release()

    first, second = await asyncio.gather(*both)
    await trials.test_action(request.model_copy(update={"user_id": new_id()}))

    assert first == second
    assert first.succeeded
    assert len(world.receiver.received) == 2


async def test_a_test_whose_process_died_is_tried_once_more_and_leaves_no_note(
    world: World,
) -> None:
    action = await an_action(world.pool, world.tenant, {"url": world.receiver.url})
    asked = {**EVENT, "is_test_event": True}
    # What is left of it when its lease ends.
    left = await owe(world.pool, world.tenant, action_id=action, event=asked)
    world.receiver.answer(500)

    await world.deliver()

    row = await world.delivery(left)
    assert (row["status"], row["attempts"]) == ("failed", 1)
    assert (
        await world.pool.fetch("SELECT FROM gateway.message WHERE tenant_id = $1", world.tenant)
        == []
    )


def test_a_test_ends_before_the_gateway_gives_up_and_its_request_before_the_test() -> None:
    patient = Limits(at_once=1, of_one=1, within=30, lease=timedelta(minutes=1))

    request, whole = patient.request(is_test=True), patient.longest_try(is_test=True)

    assert 10 < request < whole < TEST_SECONDS
    assert TEST_ACTION.timeout == TEST_CLOUD_HOOK.timeout == TEST_SECONDS
    assert patient.request(is_test=False) == 30
    assert patient.longest_try(is_test=False) == 45


async def test_an_unknown_action_is_said(world: World) -> None:
    tested = await world.service.deliveries.trials.test_action(
        TestAction(tenant_id=world.tenant, action_id=new_id())
    )

    assert not tested.succeeded
    assert tested.error is not None
    assert tested.error.startswith("this tenant has no action of this id")


async def test_an_action_on_runs_is_not_tried_with_an_invented_one(world: World) -> None:
    action = await an_action(world.pool, world.tenant, {}, kind="CancelFlowRunAction")

    tested = await world.service.deliveries.trials.test_action(
        TestAction(tenant_id=world.tenant, action_id=action)
    )

    assert not tested.succeeded


async def test_a_cloud_hook_is_tried_in_the_words_of_server(world: World) -> None:
    request = await hook(world, "WEBHOOK", {"url": world.receiver.url})

    tested = await world.service.deliveries.trials.test_cloud_hook(request)

    assert tested.succeeded
    event = world.receiver.received[0].json["event"]
    assert event["is_test_event"] is True
    assert event["flow"]["name"] == "Cloud Hook Test Flow"
    assert (event["state"]["state"], event["state"]["message"]) == ("Success", "Test success state")
    assert event["state"]["serialized_state"] == {
        "type": "Success",
        "message": "Test success state",
    }


async def test_a_cloud_hook_to_the_inbox_puts_a_message_there(world: World) -> None:
    request = await hook(world, "PREFECT_MESSAGE", {})

    tested = await world.service.deliveries.trials.test_cloud_hook(request)

    assert tested.succeeded
    [note] = await world.pool.fetch(
        "SELECT * FROM gateway.message WHERE tenant_id = $1", world.tenant
    )
    assert (note["type"], note["content"]["event"]["state"]) == ("CLOUD_HOOK", "Success")


async def test_an_unknown_cloud_hook_or_run_is_an_invalid_id(world: World) -> None:
    trials = world.service.deliveries.trials
    known = await hook(world, "WEBHOOK", {"url": world.receiver.url})

    for request in (
        TestCloudHook(tenant_id=world.tenant, cloud_hook_id=new_id()),
        known.model_copy(update={"flow_run_id": new_id()}),
    ):
        tested = await trials.test_cloud_hook(request)
        assert (tested.succeeded, tested.error) == (False, "Invalid ID")

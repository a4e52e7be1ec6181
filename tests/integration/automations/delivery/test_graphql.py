"""The log of deliveries, tests of actions, and sending again, over HTTP as people use them."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import orjson
import pytest
from graphql import parse

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.reads import ReadPath
from tests.integration.gateway.reads.asking import schema_of
from tests.support.delivering import World
from tests.support.gql import Gql
from tests.support.owed import a_tenant, an_action, owe

LOG = """
query ($id: uuid!) {
    delivery_by_pk(id: $id) {
        status attempts receiver last_error event_type action { id }
        tries(order_by: {number: asc}) { number status answer error latency_ms }
    }
}
"""
AGAIN = "mutation ($id: UUID!) { redeliver(input: {delivery_id: $id}) { success error } }"
TEST = """
mutation ($id: UUID!) {
    test_action(input: {action_id: $id}) { success error status latency_ms answer delivery_id }
}
"""


@pytest.fixture
async def api(world: World, gateway: Gateway) -> AsyncIterator[Gql]:
    """What the tenant's people ask."""
    headers = {"X-PREFECT-TENANT-ID": str(world.tenant)}
    async with Gql(f"http://127.0.0.1:{gateway.port}", headers=headers) as gql:
        yield gql


async def webhook(world: World, tenant_id: UUID | None = None) -> UUID:
    """A webhook to the receiver of the test."""
    return await an_action(world.pool, tenant_id or world.tenant, {"url": world.receiver.url})


async def refusal(api: Gql, delivery_id: UUID) -> str:
    """Why a delivery is not sent again."""
    answer = (await api(AGAIN, id=str(delivery_id)))["redeliver"]
    assert answer["success"] is False
    error: str = answer["error"]
    return error


async def test_the_log_shows_each_try_and_what_was_answered(world: World, api: Gql) -> None:
    action = await webhook(world)
    delivery = await owe(world.pool, world.tenant, action_id=action)
    world.receiver.answer(404, b"no such hook" + b"!" * 2_000)
    await world.deliver()

    shown = (await api(LOG, id=str(delivery)))["delivery_by_pk"]

    assert (shown["status"], shown["attempts"], shown["receiver"]) == ("failed", 1, "127.0.0.1")
    assert (shown["last_error"], shown["action"]) == (
        "the receiver answered 404",
        {"id": str(action)},
    )
    [attempt] = shown["tries"]
    assert (attempt["number"], attempt["status"]) == (1, 404)
    assert attempt["answer"].startswith("no such hook!")
    assert len(attempt["answer"]) == 1_024
    assert attempt["latency_ms"] >= 0


async def test_a_dead_letter_is_found_in_the_inbox_sent_again_and_arrives_under_its_key(
    world: World, api: Gql
) -> None:
    delivery = await owe(world.pool, world.tenant, action_id=await webhook(world))
    world.receiver.answer(403, b"who are you")
    await world.deliver()
    [note] = (await api("{ message { content } }"))["message"]
    world.receiver.answer(200, b"thanks")

    sent = (await api(AGAIN, id=note["content"]["delivery_id"]))["redeliver"]
    await world.deliver()

    assert note["content"]["delivery_id"] == str(delivery)
    assert sent == {"success": True, "error": None}
    assert world.receiver.keys == [f"key-{delivery}"] * 2
    shown = (await api(LOG, id=str(delivery)))["delivery_by_pk"]
    assert (shown["status"], shown["last_error"]) == ("delivered", None)
    assert [(each["number"], each["status"], each["answer"]) for each in shown["tries"]] == [
        (1, 403, "who are you"),
        (2, 200, "thanks"),
    ]


async def test_what_cannot_be_sent_again_is_refused_with_its_reason(world: World, api: Gql) -> None:
    gone = await webhook(world)
    pending = await owe(world.pool, world.tenant, action_id=await webhook(world))
    orphan = await owe(world.pool, world.tenant, action_id=gone)
    stranger = await a_tenant(world.pool)
    foreign = await owe(world.pool, stranger, action_id=await webhook(world, stranger))
    await world.pool.execute(
        "UPDATE automations.delivery SET status = 'failed' WHERE id = ANY ($1)", [orphan, foreign]
    )
    await world.pool.execute("DELETE FROM automations.action WHERE id = $1", gone)

    reasons = [await refusal(api, each) for each in (pending, orphan, foreign, new_id())]

    assert f"delivery {pending} is still being tried" in reasons[0]
    assert "its action or cloud hook was deleted" in reasons[1]
    assert (
        reasons[2]
        == f"This tenant has no delivery {foreign}: it was deleted, or is another tenant's."
    )
    assert reasons[3].startswith("This tenant has no delivery")
    assert (await world.delivery(foreign))["status"] == "failed"


@pytest.mark.parametrize("status", [200, 202])
async def test_a_test_succeeds_with_any_2xx_and_shows_the_answer(
    world: World, api: Gql, status: int
) -> None:
    world.receiver.answer(status, b"taken")

    tested = (await api(TEST, id=str(await webhook(world))))["test_action"]

    assert (tested["success"], tested["error"]) == (True, None)
    assert (tested["status"], tested["answer"]) == (status, "taken")
    assert tested["latency_ms"] >= 0
    [got] = world.receiver.received
    assert got.json["is_test_event"] is True
    shown = (await api(LOG, id=tested["delivery_id"]))["delivery_by_pk"]
    assert (shown["status"], len(shown["tries"])) == ("delivered", 1)


async def test_a_test_that_fails_is_an_error_with_the_status_and_the_answer(
    world: World, api: Gql
) -> None:
    world.receiver.answer(500, b"out of paper")

    [error] = await api.errors(TEST, id=str(await webhook(world)))

    assert error["message"] == "The test failed: the receiver answered 500."
    shown = error["extensions"]
    assert (shown["status"], shown["answer"]) == (500, "out of paper")
    assert shown["latency_ms"] >= 0
    assert (await world.delivery(UUID(shown["delivery_id"])))["status"] == "failed"


async def test_a_test_of_no_action_or_of_one_that_acts_on_runs_says_so(
    world: World, api: Gql
) -> None:
    stranger = await a_tenant(world.pool)
    cancelling = await an_action(world.pool, world.tenant, {}, kind="CancelFlowRunAction")

    [unknown] = await api.errors(TEST, id=str(await webhook(world, stranger)))
    [of_runs] = await api.errors(TEST, id=str(cancelling))

    assert "this tenant has no action of this id" in unknown["message"]
    assert "acts on a real run" in of_runs["message"]
    assert world.receiver.received == []


async def test_the_newest_tries_of_a_tenant_are_found_by_an_index(world: World) -> None:
    delivery = await owe(world.pool, world.tenant, action_id=await webhook(world))
    await world.pool.execute(
        "INSERT INTO automations.delivery_attempt (id, delivery_id, tenant_id, number, started, latency_ms)"
        " SELECT gen_random_uuid(), $1, CASE WHEN n % 50 = 0 THEN $2 ELSE gen_random_uuid() END, n,"
        " now() - n * interval '1 s', 1 FROM generate_series(1, 10000) n",
        delivery, world.tenant,
    )  # fmt: skip
    await world.pool.execute("ANALYZE automations.delivery_attempt")
    path = ReadPath.build()
    schema_of(path)
    text = "{ delivery_attempt(order_by: {started: desc}, limit: 50) { number error } }"
    [bound] = path.compile(text, parse(text), None, {}).bound
    reader = await asyncpg.connect(world.stack.postgres_url("reader"))
    try:
        plan = await reader.fetchval(
            f"EXPLAIN (FORMAT JSON) {bound.sql}", world.tenant, *bound.values
        )
    finally:
        await reader.close()

    assert "delivery_attempt_tenant_started_idx" in str(orjson.loads(plan))

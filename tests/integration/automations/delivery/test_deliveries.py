"""Deliveries on a real PostgreSQL, with a real gateway that opens secrets and a real receiver."""

import asyncio
from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
import structlog
from prometheus_client import REGISTRY
from standardwebhooks import Webhook

from libs.contracts.deliveries import Redeliver, SentAgain
from services.automations.domain.breaker import FAILURES
from services.automations.domain.retries import DELAYS
from services.gateway.vault import Vault
from tests.support.alerts import rules
from tests.support.delivering import PEPPER, World, delivering_on
from tests.support.eventually import eventually
from tests.support.owed import EVENT, a_tenant, an_action, owe
from tests.support.receivers import receiver
from tests.support.running import running

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY_OF_NOW = "whsec_" + b64encode(b"k" * 32).decode()
KEY_BEFORE = "whsec_" + b64encode(b"b" * 32).decode()


async def webhook(world: World, path: str = "/hook", **config: object) -> UUID:
    """A webhook to the receiver of the test."""
    return await an_action(world.pool, world.tenant, {"url": world.receiver.url + path, **config})


async def test_what_is_owed_arrives_with_its_key_and_is_in_the_log(world: World) -> None:
    delivery = await owe(world.pool, world.tenant, action_id=await webhook(world))

    assert await world.deliver() == 1

    [got] = world.receiver.received
    assert (got.path, got.json["state"], got.key) == ("/hook", "Failed", f"key-{delivery}")
    assert got.headers["idempotency-key"] == got.key
    assert got.headers["x-prefect-event-id"] == got.json["id"]
    row, [attempt] = await world.delivery(delivery), await world.attempts(delivery)
    assert (row["status"], row["attempts"], row["receiver"], row["last_error"]) == (
        "delivered",
        1,
        "127.0.0.1",
        None,
    )
    assert row["finished"] is not None
    assert (attempt["number"], attempt["status"], attempt["answer"], attempt["error"]) == (
        1,
        200,
        "ok",
        None,
    )


async def test_a_receiver_that_is_down_for_an_hour_gets_everything_once_under_one_key_each(
    world: World,
) -> None:
    action = await webhook(world)
    owed = [await owe(world.pool, world.tenant, action_id=action, due=NOW) for _ in range(20)]
    await world.receiver.stop()
    at = NOW
    while at < NOW + timedelta(hours=1):
        await world.deliver(at)
        at += MINUTE
    assert {row["status"] for row in [await world.delivery(each) for each in owed]} == {"pending"}

    await world.receiver.start()
    while at < NOW + timedelta(hours=4):
        await world.deliver(at)
        at += 5 * MINUTE

    assert Counter(world.receiver.keys) == {f"key-{each}": 1 for each in owed}
    for each in owed:
        row, attempts = await world.delivery(each), await world.attempts(each)
        assert row["status"] == "delivered"
        assert len(attempts) == row["attempts"]
        assert [attempt["status"] for attempt in attempts][-1] == 200


async def test_the_first_that_arrives_again_brings_all_that_wait_for_hours(
    world: World,
) -> None:
    action = await webhook(world)
    owed = [
        await owe(world.pool, world.tenant, action_id=action, due=NOW) for _ in range(FAILURES + 3)
    ]
    await world.receiver.stop()
    for minutes in range(60):
        await world.deliver(NOW + minutes * MINUTE)
    await world.receiver.start()
    owed.append(await owe(world.pool, world.tenant, action_id=action, due=NOW + 60 * MINUTE))

    for minutes in range(60, 75):
        await world.deliver(NOW + minutes * MINUTE)

    assert Counter(world.receiver.keys) == {f"key-{each}": 1 for each in owed}


async def test_what_waits_for_an_open_breaker_uses_up_no_try(world: World) -> None:
    action = await webhook(world)
    world.receiver.answer(503)
    owed = [await owe(world.pool, world.tenant, action_id=action, due=NOW) for _ in range(40)]

    await world.deliver(NOW)
    await world.deliver(NOW + timedelta(seconds=1))

    rows = [await world.delivery(each) for each in owed]
    tried = [row for row in rows if row["attempts"]]
    assert FAILURES <= len(tried) < len(owed)
    assert len(world.receiver.received) == sum(row["attempts"] for row in rows)
    assert all("left alone" in row["last_error"] for row in rows if not row["attempts"])


async def test_after_the_last_try_it_is_kept_as_failed_and_the_inbox_says_so_once(
    world: World,
) -> None:
    action = await webhook(world)
    world.receiver.answer(503, b"maintenance")
    owed = [await owe(world.pool, world.tenant, action_id=action, due=NOW) for _ in range(2)]
    at = NOW
    while at < NOW + 2 * sum(DELAYS, timedelta(0)):
        await world.deliver(at)
        at += timedelta(minutes=20)

    for each in owed:
        row, attempts = await world.delivery(each), await world.attempts(each)
        assert row["status"] == "failed"
        assert "the last of 8 tries" in row["last_error"]
        assert [attempt["answer"] for attempt in attempts] == ["maintenance"] * 8
    [note] = await world.pool.fetch(
        "SELECT * FROM gateway.message WHERE tenant_id = $1", world.tenant
    )
    assert note["type"] == "MESSAGE"
    assert "127.0.0.1" in note["content"]["message"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
async def test_a_refusal_for_good_is_asked_once(world: World, status: int) -> None:
    delivery = await owe(world.pool, world.tenant, action_id=await webhook(world), due=NOW)
    world.receiver.answer(status, location="http://127.0.0.1:1/elsewhere")

    for hours in range(48):
        await world.deliver(NOW + timedelta(hours=hours))

    assert len(world.receiver.received) == 1
    row = await world.delivery(delivery)
    assert row["status"] == "failed"
    assert str(status) in row["last_error"]


async def test_410_switches_off_what_leads_there_and_nothing_else(world: World) -> None:
    action, other = await webhook(world), await webhook(world)
    hooks = {}
    for each in (action, other):
        hooks[each] = await world.pool.fetchval(
            "INSERT INTO automations.hook (id, tenant_id, event_type, action_id)"
            " VALUES (gen_random_uuid(), $1, 'FlowRunStateChangedEvent', $2) RETURNING id",
            world.tenant, each,
        )  # fmt: skip
    world.receiver.answer(410)
    delivery = await owe(world.pool, world.tenant, action_id=action)

    await world.deliver()

    assert (await world.delivery(delivery))["status"] == "switched_off"
    rows = await world.pool.fetch(
        "SELECT id, is_active FROM automations.hook WHERE tenant_id = $1", world.tenant
    )
    assert {row["id"]: row["is_active"] for row in rows} == {
        hooks[action]: False,
        hooks[other]: True,
    }


async def test_410_switches_off_a_cloud_hook_too(world: World) -> None:
    hook = await world.pool.fetchval(
        "INSERT INTO gateway.cloud_hook (id, tenant_id, type, config)"
        " VALUES (gen_random_uuid(), $1, 'WEBHOOK', $2) RETURNING id",
        world.tenant, {"url": world.receiver.url},
    )  # fmt: skip
    world.receiver.answer(410)
    await owe(world.pool, world.tenant, cloud_hook_id=hook)

    await world.deliver()

    assert world.receiver.received[0].json["event"]["type"] == "FlowRunStateChange"
    assert (
        await world.pool.fetchval("SELECT active FROM gateway.cloud_hook WHERE id = $1", hook)
        is False
    )


async def test_a_receiver_that_names_a_time_is_left_alone_until_then_and_others_are_not(
    world: World,
) -> None:
    slow, quick = await webhook(world, "/slow"), await webhook(world, "/quick")
    async with receiver() as elsewhere:
        other = await an_action(world.pool, await a_tenant(world.pool), {"url": elsewhere.url})
        tenant = await world.pool.fetchval(
            "SELECT tenant_id FROM automations.action WHERE id = $1", other
        )
        delivery = await owe(world.pool, world.tenant, action_id=slow, due=NOW)
        world.receiver.answer(429, retry_after="7")
        await world.deliver(NOW)
        world.receiver.answer(200)
        await owe(world.pool, world.tenant, action_id=quick, due=NOW)
        await owe(world.pool, tenant, action_id=other, due=NOW)

        await world.deliver(NOW + timedelta(seconds=6.9))

        assert len(world.receiver.received) == 1
        assert len(elsewhere.received) == 1
        assert (await world.delivery(delivery))["due"] >= NOW + timedelta(seconds=7)
        await world.deliver(NOW + timedelta(seconds=30))
        assert len(world.receiver.received) == 3


async def test_a_receiver_that_hangs_delays_nobody_else(world: World) -> None:
    hanging = await webhook(world)
    for _ in range(60):
        await owe(world.pool, world.tenant, action_id=hanging)
    world.receiver.hang()
    worker = world.service.deliveries.worker
    async with receiver() as elsewhere:
        well = await an_action(world.pool, world.tenant, {"url": elsewhere.url})
        owed = [await owe(world.pool, world.tenant, action_id=well) for _ in range(30)]

        async def all_arrived() -> bool:
            await worker.tick()
            return len(elsewhere.received) == len(owed)

        # While the others hang: none of them has been answered.
        await eventually(all_arrived, timeout=25)
        await eventually(lambda: world.receiver.waiting == worker.limits.of_one)
        assert len(world.receiver.received) == worker.limits.of_one
    world.receiver.release()
    await worker.settled()


async def test_two_workers_that_take_at_the_same_time_send_each_thing_once(world: World) -> None:
    action = await webhook(world)
    owed = [await owe(world.pool, world.tenant, action_id=action) for _ in range(50)]
    async with running(delivering_on(world.stack), ticks=False) as second:

        async def all_arrived() -> bool:
            await world.service.deliveries.worker.tick()
            await second.deliveries.worker.tick()
            return len(world.receiver.received) >= len(owed)

        await eventually(all_arrived, timeout=30)
        await world.service.deliveries.worker.settled()
        await second.deliveries.worker.settled()
        assert await world.deliver() == 0

    assert Counter(world.receiver.keys) == {f"key-{each}": 1 for each in owed}


async def test_a_worker_whose_lease_has_ended_records_nothing(world: World) -> None:
    delivery = await owe(world.pool, world.tenant, action_id=await webhook(world))
    world.receiver.hang()
    worker = world.service.deliveries.worker
    await worker.tick()
    await eventually(lambda: world.receiver.waiting == 1)
    # Another worker has it now, and has delivered it.
    await world.pool.execute(
        "UPDATE automations.delivery SET lease = NULL, status = 'delivered', attempts = 7 WHERE id = $1",
        delivery,
    )

    world.receiver.release()
    await worker.settled()

    assert (await world.delivery(delivery))["attempts"] == 7
    assert await world.attempts(delivery) == []


async def test_a_stock_library_verifies_the_signature_with_either_key_while_one_is_replaced(
    world: World,
) -> None:
    await world.secret("SIGN", f"{KEY_OF_NOW} {KEY_BEFORE}")
    action = await webhook(world, signing_secret="SIGN")
    await owe(
        world.pool, world.tenant, action_id=action, event={**EVENT, "state_message": "bööm \u2603"}
    )

    await world.deliver()

    [got] = world.receiver.received
    for key in (KEY_OF_NOW, KEY_BEFORE):
        assert Webhook(key).verify(got.body, dict(got.headers)) == got.json


async def test_no_secret_is_kept_though_the_receiver_echoes_it(world: World) -> None:
    token = "T0-very-secret-token-4711"
    await world.secret("SLACK", f"{world.receiver.url}/services/{token}")
    echo = orjson.dumps({"you": f"called /services/{token}", "padding": "x" * 2000})
    world.receiver.answer(500, echo)
    with structlog.testing.capture_logs() as logs:
        for config, kind in (
            ({"webhook_url_secret": "SLACK"}, "SlackNotificationAction"),
            (
                {"webhook_url_secret": "SLACK", "message": "{state}"},
                "TeamsWebhookNotificationAction",
            ),
        ):
            action = await an_action(world.pool, world.tenant, config, kind=kind)
            await owe(world.pool, world.tenant, action_id=action)
            await world.deliver()

    assert [got.path for got in world.receiver.received] == [f"/services/{token}"] * 2
    rows = []
    for table in ("automations.delivery", "automations.delivery_attempt", "automations.action",
                  "automations.receiver", "gateway.message", "gateway.audit_log"):  # fmt: skip
        rows += await world.pool.fetch(f"SELECT to_jsonb(t)::text FROM {table} t")
    kept = " ".join(str(row[0]) for row in rows) + repr(logs)
    assert "[secret]" in kept
    assert token not in kept


@pytest.mark.parametrize("value", [None, 7, "", "https://"])
async def test_a_secret_that_is_missing_or_no_address_is_said_by_name(
    world: World, value: object
) -> None:
    if value is not None:
        await world.secret("SLACK", value)
    action = await an_action(
        world.pool, world.tenant, {"webhook_url_secret": "SLACK"}, kind="SlackNotificationAction"
    )
    delivery = await owe(world.pool, world.tenant, action_id=action)

    await world.deliver()

    row = await world.delivery(delivery)
    assert row["status"] in ("pending", "failed")
    assert "SLACK" in row["last_error"] or "address" in row["last_error"]


async def test_a_url_that_was_sealed_with_the_action_is_opened_for_it_alone(world: World) -> None:
    action = await an_action(
        world.pool, world.tenant, {"title": "t"}, kind="TeamsWebhookNotificationAction"
    )
    sealed = Vault(PEPPER.encode()).seal(
        f"{world.receiver.url}/teams", world.tenant, f"action:{action}"
    )
    await world.pool.execute(
        "UPDATE automations.action SET sealed = $2 WHERE id = $1", action, sealed
    )
    await owe(world.pool, world.tenant, action_id=action)
    copy = await an_action(
        world.pool, world.tenant, {"title": "t"}, kind="TeamsWebhookNotificationAction"
    )
    await world.pool.execute(
        "UPDATE automations.action SET sealed = $2 WHERE id = $1", copy, sealed
    )
    stolen = await owe(world.pool, world.tenant, action_id=copy)

    await world.deliver()

    assert [got.path for got in world.receiver.received] == ["/teams"]
    assert "set it again" in (await world.delivery(stolen))["last_error"]


async def test_what_is_owed_for_a_deleted_action_is_not_sent_and_says_why(world: World) -> None:
    action = await webhook(world)
    delivery = await owe(world.pool, world.tenant, action_id=action)
    await world.pool.execute("DELETE FROM automations.action WHERE id = $1", action)

    await world.deliver()

    row = await world.delivery(delivery)
    assert row["status"] == "switched_off"
    assert row["last_error"] == "the action was deleted before this was sent"


async def test_another_tenants_action_is_nobodys(world: World) -> None:
    delivery = await owe(world.pool, await a_tenant(world.pool), action_id=await webhook(world))

    await world.deliver()

    assert world.receiver.received == []
    assert (await world.delivery(delivery))["status"] == "switched_off"


async def test_a_finished_delivery_is_sent_again_under_its_key_and_its_log_goes_on(
    world: World,
) -> None:
    delivery = await owe(world.pool, world.tenant, action_id=await webhook(world))
    world.receiver.answer(404)
    await world.deliver()
    world.receiver.answer(200)
    again = Redeliver(tenant_id=world.tenant, delivery_id=delivery)
    stranger = Redeliver(tenant_id=await a_tenant(world.pool), delivery_id=delivery)

    outcomes = [
        (await world.service.deliveries.redeliver(request)).outcome
        for request in (stranger, again, again)
    ]
    await world.deliver()

    assert outcomes == [SentAgain.UNKNOWN, SentAgain.DUE, SentAgain.PENDING]
    assert world.receiver.keys == [f"key-{delivery}"] * 2
    assert (await world.delivery(delivery))["status"] == "delivered"
    assert [(each["number"], each["status"]) for each in await world.attempts(delivery)] == [
        (1, 404),
        (2, 200),
    ]


async def test_two_people_who_send_it_again_at_the_same_time_send_it_once(world: World) -> None:
    delivery = await owe(world.pool, world.tenant, action_id=await webhook(world))
    await world.deliver()
    again = Redeliver(tenant_id=world.tenant, delivery_id=delivery)

    both = await asyncio.gather(*(world.service.deliveries.redeliver(again) for _ in range(2)))
    await world.deliver()

    assert {answer.outcome for answer in both} == {SentAgain.DUE, SentAgain.PENDING}
    assert world.receiver.keys == [f"key-{delivery}"] * 2


async def test_what_is_sent_again_days_later_is_not_counted_as_late(world: World) -> None:
    delivery = await owe(world.pool, world.tenant, action_id=await webhook(world))
    world.receiver.answer(404)
    await world.deliver()
    await world.pool.execute(
        "UPDATE automations.delivery SET created = created - interval '3 days' WHERE id = $1", delivery
    )  # fmt: skip
    world.receiver.answer(200)
    counted = REGISTRY.get_sample_value("headwater_delivery_seconds_count")

    await world.service.deliveries.redeliver(
        Redeliver(tenant_id=world.tenant, delivery_id=delivery)
    )
    await world.deliver()

    assert (await world.delivery(delivery))["status"] == "delivered"
    assert REGISTRY.get_sample_value("headwater_delivery_seconds_count") == counted


async def test_a_delivery_that_waits_for_a_worker_is_alerted_until_it_is_sent(world: World) -> None:
    [rule] = [rule for rule in rules() if rule.name == "HeadwaterDeliveriesLate"]
    action = await webhook(world)

    async def fires() -> bool:
        """Whether it does, when it has been so for as long as the rule wants."""
        await world.service.deliveries.measure()
        lag = REGISTRY.get_sample_value("headwater_delivery_lag_seconds")
        assert lag is not None
        rule.since.clear()
        rule.look([(0.0, {("headwater_delivery_lag_seconds", frozenset()): lag})])
        return bool(rule.fires(rule.held_for))

    now = await world.pool.fetchval("SELECT now()")
    await owe(world.pool, world.tenant, action_id=action, due=now + timedelta(hours=1))
    before = await fires()
    await owe(world.pool, world.tenant, action_id=action, due=now - timedelta(minutes=2))
    meanwhile = await fires()
    await world.deliver()

    assert (before, meanwhile, await fires()) == (False, True, False)


async def test_the_log_is_kept_for_thirty_days_and_what_is_pending_for_longer(world: World) -> None:
    action = await webhook(world)
    old, young = NOW - timedelta(days=30, seconds=1), NOW - timedelta(days=30)
    gone = await owe(world.pool, world.tenant, action_id=action, due=old)
    kept = await owe(world.pool, world.tenant, action_id=action, due=young)
    await world.deliver(NOW)
    pending = await owe(world.pool, world.tenant, action_id=action, due=old)

    assert await world.service.deliveries.expire(NOW) == 1

    assert {row["id"] for row in await world.pool.fetch("SELECT id FROM automations.delivery")} == {
        kept,
        pending,
    }
    assert await world.attempts(gone) == []

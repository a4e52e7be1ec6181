"""The automations are killed between a try and its record: the receiver gets it again, under the same key."""

from collections import Counter

import pytest

from libs.runtime.faults import Point
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.owed import a_tenant, an_action, owe
from tests.support.receivers import receiver
from tests.support.service_process import service_process

pytestmark = pytest.mark.slow

SHORT = {
    "HEADWATER_DELIVERY_ALLOWED_NETWORKS": "127.0.0.1",
    "HEADWATER_DELIVERY_TIMEOUT": "PT1S",
    "HEADWATER_DELIVERY_LEASE": "PT2S",
}
OWED = 6


async def test_a_kill_between_sending_and_recording_loses_nothing_and_repeats_under_the_same_key(
    stack: Stack,
) -> None:
    pool = stack.admin_pool
    tenant = await a_tenant(pool)
    async with receiver() as made:
        action = await an_action(pool, tenant, {"url": made.url})
        owed = [await owe(pool, tenant, action_id=action) for _ in range(OWED)]
        async with service_process(stack, "automations", SHORT) as process:
            await process.kill()
            dying = f"{Point.AUTOMATIONS_AFTER_SEND_BEFORE_RECORD}=die"
            for _ in range(2):
                await process.start(HEADWATER_FAULTS=dying)
                await process.ended()
            sent_before_death = Counter(made.keys)
            await process.start()

            async def all_delivered() -> bool:
                states = await pool.fetch(
                    "SELECT status FROM automations.delivery WHERE tenant_id = $1", tenant
                )
                return {row["status"] for row in states} == {"delivered"}

            await eventually(all_delivered, timeout=120, pause=0.1)

    assert sum(sent_before_death.values()) >= 2
    assert set(made.keys) == {f"key-{each}" for each in owed}
    # What was sent before a death was never recorded, so it was sent again.
    assert all(Counter(made.keys)[key] > 1 for key in sent_before_death)

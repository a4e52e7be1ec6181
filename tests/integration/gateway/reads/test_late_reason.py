"""A flow says why nothing, or less than its schedule says, is planned."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from libs.runtime.ids import new_id
from tests.integration.gateway.reads.asking import Asker, asking
from tests.integration.gateway.reads.world import A_TENANT
from tests.support.engines import Database
from tests.support.ledger import register_flow

REQUIRED = [{"name": "table", "required": True, "default": "orders"}, {"name": "day"}]


def schedule(*given: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "clocks": [
            {"type": "CronClock", "cron": "0 9 * * *", "parameter_defaults": defaults}
            for defaults in given
        ]
    }


@pytest.fixture(scope="module")
async def asker(database: Database) -> AsyncIterator[Asker]:
    async with asking(database.postgres_url("reader")) as found:
        yield found


async def late_reason(asker: Asker, flow: UUID) -> str | None:
    data = await asker.data(f'{{ flow(where: {{id: {{_eq: "{flow}"}}}}) {{ late_reason }} }}')
    reason: str | None = data["flow"][0]["late_reason"]
    return reason


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"schedule": schedule(None)}, "schedule_off: parameters_missing: table"),
        (
            {"schedule": schedule({"table": 1}, {"day": 1})},
            "schedule_off: parameters_missing: table",
        ),
        ({"schedule": schedule({"table": 1}, {"table": 2})}, None),
        ({"schedule": schedule(None), "group": {"default_parameters": {"table": 1}}}, None),
        ({"schedule": schedule(None), "archived": True}, None),
        ({"schedule": schedule(None), "parameters": [{"name": "day", "required": False}]}, None),
        ({}, None),
        ({"schedule": schedule()}, "schedule_off: no_clocks"),
        ({"schedule": schedule(), "archived": True}, None),
        ({"schedule": schedule(), "group": {"schedule": schedule({"table": 1})}}, None),
        (
            {"schedule": schedule({"table": 1}), "group": {"schedule": schedule({"day": 1})}},
            "schedule_off: parameters_missing: table",
        ),
    ],
)
async def test_a_schedule_that_was_not_started_names_the_parameters_for_which(
    database: Database, asker: Asker, columns: dict[str, Any], reason: str | None
) -> None:
    flow = await register_flow(
        database.admin_pool,
        tenant_id=A_TENANT,
        is_schedule_active=False,
        **{"parameters": REQUIRED} | columns,
    )

    assert await late_reason(asker, flow.id) == reason


async def test_a_schedule_that_is_followed_shows_what_its_scheduler_found(
    database: Database, asker: Asker
) -> None:
    flow = await register_flow(
        database.admin_pool, tenant_id=A_TENANT, parameters=REQUIRED, schedule=schedule(None)
    )
    assert await late_reason(asker, flow.id) is None

    await database.admin_pool.execute(
        "INSERT INTO scheduler.schedule (flow_id, tenant_id, flow_group_id, clocks, active, fingerprint, reason)"
        " VALUES ($1, $2, $3, '{}', true, '', 'schedule_unreadable: no clocks')",
        flow.id,
        A_TENANT,
        flow.group_id,
    )

    assert await late_reason(asker, flow.id) == "schedule_unreadable: no clocks"


async def test_the_reason_of_another_tenants_flow_is_not_shown(
    database: Database, asker: Asker
) -> None:
    await register_flow(
        database.admin_pool,
        tenant_id=new_id(),
        is_schedule_active=False,
        parameters=REQUIRED,
        schedule=schedule(None),
    )

    data = await asker.data(
        '{ flow(where: {late_reason: {_like: "schedule_off%"}}) { tenant_id } }'
    )

    assert {row["tenant_id"] for row in data["flow"]} == {str(A_TENANT)}

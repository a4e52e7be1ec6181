"""How every service and engine is, as a person asks for it, on real engines."""

from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest

from libs.contracts.services import SERVICES
from libs.contracts.version import BUILD
from libs.runtime.service import Service
from services.gateway.app import Gateway
from services.gateway.keys import Role
from tests.integration.gateway.test_downloads import make_key
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.ledger import tenant_with_flow
from tests.support.running import running
from tests.support.services import all_services, services_on

HEALTH = """{ system_health { status sentence at detailed
    services { name status reason since version replicas }
    engines { name status reason since version replicas } } }"""


@pytest.fixture
async def gateway(stack: Stack, tmp_path: Any) -> AsyncIterator[Gateway]:
    async with all_services(stack, auth="off", watched_folder=tmp_path) as gateway:
        yield gateway


async def health(api: Gql) -> dict[str, Any]:
    found: dict[str, Any] = (await api(HEALTH))["system_health"]
    return found


def by_name(parts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {part["name"]: part for part in parts}


async def test_everything_is_ready_with_version_replicas_and_since_when(gateway: Gateway) -> None:
    async with Gql(f"http://127.0.0.1:{gateway.port}") as api:

        async def ready() -> dict[str, Any] | None:
            found = await health(api)
            return found if found["status"] == "ready" else None

        found = await eventually(ready, timeout=90)

    assert found["sentence"] == "Everything is ready."
    services, engines = by_name(found["services"]), by_name(found["engines"])
    assert set(services) == set(SERVICES)
    assert all(part["since"] and part["version"] == BUILD for part in services.values())
    assert all(part["replicas"] == 1 for part in services.values())
    assert set(engines) == {"postgresql", "nats", "disk"}
    assert engines["postgresql"]["version"].startswith("18")
    assert engines["nats"]["version"].startswith("2.")


async def test_a_service_that_dies_is_named_and_one_that_stops_at_once(
    stack: Stack,
) -> None:
    everybody = services_on(stack, lambda _: stack.nats_url, auth="off")
    gateway = cast("Gateway", everybody[-1])
    others: dict[str, Service] = {service.name: service for service in everybody[:-1]}
    shift = 0.0
    board = gateway._board
    real = board._monotonic
    board._monotonic = lambda: real() + shift
    async with running(others["lazarus"]), running(others["registry"]), running(gateway):
        api = Gql(f"http://127.0.0.1:{gateway.port}")
        async with api:

            async def both() -> bool:
                found = by_name((await health(api))["services"])
                return {found[name]["status"] for name in ("lazarus", "registry")} == {"ready"}

            await eventually(both, timeout=90)
            # Its process is gone, without a last word; half a minute passes in which the other one speaks.
            await others["lazarus"].bus.client.close()
            shift = 29.0
            await others["registry"]._pulse()

            async def named() -> dict[str, Any] | None:
                found = by_name((await health(api))["services"])
                return found if found["registry"]["status"] == "ready" else None

            found = await eventually(named)
            await others["registry"].stop()

            async def stopped() -> str | None:
                part = by_name((await health(api))["services"])["registry"]
                return part["reason"] if part["status"] == "down" else None

            reason = await eventually(stopped)

    assert found["lazarus"]["status"] == "down"
    assert found["lazarus"]["reason"].startswith("lazarus has not been heard for ")
    assert found["lazarus"]["since"] is not None
    assert reason == "registry was stopped."


async def test_a_full_disk_and_lost_streams_are_sentences(gateway: Gateway) -> None:
    gateway.database._disk_is_full()
    await gateway._board.tick()
    await gateway._pulse()
    async with Gql(f"http://127.0.0.1:{gateway.port}") as api:

        async def shown() -> dict[str, Any] | None:
            found = await health(api)
            part = by_name(found["services"])["gateway"]
            return found if part["status"] == "degraded" else None

        found = await eventually(shown)

    assert by_name(found["engines"])["postgresql"]["reason"] == (
        "PostgreSQL cannot write: its disk is full."
    )
    assert "PostgreSQL's disk is full." in by_name(found["services"])["gateway"]["reason"]
    # The worst of all: on a busy machine another service may be unready just now.
    assert found["status"] != "ready"


async def test_administrators_see_a_short_form_operators_all_and_others_nothing(
    stack: Stack,
) -> None:
    flow = await tenant_with_flow(stack.admin_pool)
    async with all_services(stack, auth="required", health_port=0) as gateway:
        port = gateway._health.port if gateway._health else 0
        answers: dict[Role, dict[str, Any]] = {}
        for role in Role:
            key = await make_key(gateway, flow.tenant_id, role)
            headers = {"authorization": f"Bearer {key}"}
            async with Gql(f"http://127.0.0.1:{gateway.port}", headers=headers) as api:
                answers[role] = (await api.post({"query": HEALTH})).json()
        async with httpx.AsyncClient(timeout=30) as client:
            operators = await client.get(f"http://127.0.0.1:{port}/health/services")
            public = await client.get(f"http://127.0.0.1:{gateway.port}/health/services")

    short = answers.pop(Role.TENANT_ADMIN)["data"]["system_health"]
    assert short["detailed"] is False
    assert {part["version"] for part in short["services"] + short["engines"]} == {None}
    assert {part["replicas"] for part in short["services"] + short["engines"]} == {None}
    for refused in answers.values():
        assert not refused.get("data")
        assert "Unauthorized" in refused["errors"][0]["message"]
    whole = operators.json()
    assert {part["name"] for part in whole["services"]} == set(SERVICES)
    assert by_name(whole["engines"])["postgresql"]["version"]
    assert public.status_code == 404


async def test_a_service_that_is_no_gateway_says_whom_to_ask(stack: Stack) -> None:
    [registry, *_] = services_on(stack, lambda _: stack.nats_url, auth="off")

    assert await registry.details() is None

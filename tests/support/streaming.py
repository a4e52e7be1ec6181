"""A gateway whose event streams and subscriptions a test watches, and what makes it send something."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.keys import Key, Role, fingerprint
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.services import all_services

FIRST = "hw_first-key-for-tests"
"""The first administrator's key."""
STREAMS_OF_KEY = 3


@asynccontextmanager
async def streaming_gateway(stack: Stack) -> AsyncIterator[Gateway]:
    """All services, with keys required; a key may have three streams."""
    async with all_services(
        stack, auth="required", bootstrap_key=FIRST, event_streams_per_key=STREAMS_OF_KEY
    ) as gateway:
        # Before it reads the events it can only say that something may have been missed.
        await eventually(lambda: gateway._push.hub._stale is None, timeout=30)
        yield gateway


@asynccontextmanager
async def first_administrator(gateway: Gateway) -> AsyncIterator[Gql]:
    """The API, as the first administrator."""
    headers = {"authorization": f"Bearer {FIRST}"}
    async with Gql(f"http://127.0.0.1:{gateway.port}", headers=headers) as gql:
        yield gql


async def a_run(gql: Gql) -> tuple[str, str]:
    """The ids of a new flow and of a run of it."""
    project = (
        await gql(
            "mutation($n: String!) { create_project(input: {name: $n}) { id } }", n=f"p-{new_id()}"
        )
    )["create_project"]["id"]
    flow = (
        await gql(
            "mutation($f: JSON!, $p: UUID!) {"
            " create_flow_from_compressed_string: create_flow(input: {serialized_flow: $f, project_id: $p}) { id } }",
            f=a_flow(),
            p=project,
        )
    )["create_flow_from_compressed_string"]["id"]
    run = await gql("mutation($f: UUID!) { create_flow_run(input: {flow_id: $f}) { id } }", f=flow)
    return flow, run["create_flow_run"]["id"]


async def set_state(gql: Gql, run: str, state: str, version: int) -> None:
    await gql(
        "mutation($i: set_flow_run_states_input!) { set_flow_run_states(input: $i) { states { status } } }",
        i={"states": [{"flow_run_id": run, "version": version, "state": {"type": state}}]},
    )


async def a_key(gql: Gql) -> tuple[str, str]:
    """The id and the text of a new key."""
    made = await gql(
        'mutation($u: UUID!) { create_api_key(input: {name: "k", user_id: $u}) { id key } }',
        u=str(new_id()),
    )
    return made["create_api_key"]["id"], made["create_api_key"]["key"]


async def another_tenants_key(gateway: Gateway) -> str:
    """The text of an administrator's key of a new tenant."""
    text = f"hw_{new_id()}"
    tenant = await gateway._store.create_tenant(gateway.ids(), name="x", slug=f"t{new_id().hex}")
    assert isinstance(tenant, UUID)
    key = Key(
        id=gateway.ids(),
        tenant_id=tenant,
        user_id=gateway.ids(),
        name="theirs",
        role=Role.TENANT_ADMIN,
        expires_at=None,
    )
    await gateway._store.create_key(
        key, fingerprint(text, gateway._settings.pepper), created_by=None
    )
    return text

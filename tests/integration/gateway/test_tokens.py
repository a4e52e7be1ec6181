"""Logging in to a tenant as Core <= 0.15 does: tokens that open one tenant, for a while, for members."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.gateway.app import Gateway
from services.gateway.keys import Key, Role, fingerprint
from services.gateway.tokens import NONCE_BYTES, Purpose, Token
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.prefect_client import PrefectClient
from tests.support.services import all_services

FIRST = "hw_first-key-for-tests"
AsCaller = Callable[[str], Awaitable[Gql]]

# As Core sends them, 0.8-0.9 and 0.10-0.15; its selections come in any order.
SWITCH = {
    "snake": "mutation($input: switch_tenant_input!) { switch_tenant(input: $input)"
    " { access_token expires_at refresh_token } }",
    "camel": "mutation($input: switchTenantInput!) { switchTenant(input: $input)"
    " { accessToken expiresAt refreshToken } }",
}
REFRESH = {
    "snake": "mutation($input: refresh_token_input!) { refresh_token(input: $input)"
    " { refresh_token access_token expires_at } }",
    "camel": "mutation($input: refreshTokenInput!) { refreshToken(input: $input)"
    " { refreshToken accessToken expiresAt } }",
}
WHERE_AM_I = (
    "{ tenant { slug } user { default_membership { tenant { slug } } } auth_info { role } }"
)


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack, auth="required", bootstrap_key=FIRST) as gateway:
        yield gateway


@pytest.fixture
async def as_caller(gateway: Gateway) -> AsyncIterator[AsCaller]:
    """The API as whoever shows this bearer sees it."""
    async with AsyncExitStack() as exits:

        async def caller(bearer: str) -> Gql:
            gql = Gql(
                f"http://127.0.0.1:{gateway.port}", headers={"authorization": f"Bearer {bearer}"}
            )
            return await exits.enter_async_context(gql)

        yield caller


@pytest.fixture
async def admin(as_caller: AsCaller) -> Gql:
    return await as_caller(FIRST)


async def home_of(caller: Gql) -> tuple[str, str]:
    """Tenant and user id of a caller."""
    info = (await caller("{ auth_info { tenant_id user_id } }"))["auth_info"]
    return info["tenant_id"], info["user_id"]


async def key_in_a_new_tenant(gateway: Gateway, slug: str, role: Role = Role.TENANT_ADMIN) -> str:
    """A key of a tenant beside the first one, made as the operator's bootstrap would."""
    tenant_id = await gateway._store.create_tenant(gateway.ids(), name=slug, slug=slug)
    assert isinstance(tenant_id, UUID)
    key = Key(
        id=gateway.ids(), tenant_id=tenant_id, user_id=gateway.ids(), name=slug, role=role,
        expires_at=None,
    )  # fmt: skip
    text = f"hw_{slug}"
    hashed = fingerprint(text, gateway._settings.pepper)
    await gateway._store.create_key(key, hashed, created_by=None)
    return text


async def switch(caller: Gql, tenant_id: str, dialect: str = "snake") -> dict[str, Any]:
    """Log in; the answer under the names of the newer dialect."""
    name, argument = (
        ("switch_tenant", "tenant_id") if dialect == "snake" else ("switchTenant", "tenantId")
    )
    given = (await caller(SWITCH[dialect], input={argument: tenant_id}))[name]
    if dialect == "snake":
        return dict(given)
    return {
        "access_token": given["accessToken"],
        "expires_at": given["expiresAt"],
        "refresh_token": given["refreshToken"],
    }


@pytest.mark.parametrize("dialect", ["snake", "camel"])
async def test_a_key_logs_in_to_its_own_tenant_and_the_access_token_does_what_the_key_does(
    gateway: Gateway, admin: Gql, as_caller: AsCaller, dialect: str
) -> None:
    tenant_id, user_id = await home_of(admin)

    given = await switch(admin, tenant_id, dialect)
    inside = await as_caller(given["access_token"])

    left = datetime.fromisoformat(given["expires_at"]) - gateway.clock()
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert await home_of(inside) == (tenant_id, user_id)
    assert await inside(f'mutation {{ create_project(input: {{name: "by {dialect}"}}) {{ id }} }}')


@pytest.mark.parametrize("dialect", ["snake", "camel"])
async def test_the_refresh_token_gives_the_next_tokens_and_opens_nothing_else(
    admin: Gql, as_caller: AsCaller, dialect: str
) -> None:
    tenant_id, _ = await home_of(admin)
    given = await switch(admin, tenant_id, dialect)
    renewing = await as_caller(given["refresh_token"])
    argument = "access_token" if dialect == "snake" else "accessToken"

    answer = await renewing(REFRESH[dialect], input={argument: given["access_token"]})
    name, field = (
        ("refresh_token", "access_token") if dialect == "snake" else ("refreshToken", "accessToken")
    )
    inside = await as_caller(answer[name][field])
    elsewhere = [
        await renewing.errors("{ hello }"),
        await renewing.errors("{ tenant { id } secret_names }"),
        await renewing.errors('mutation { create_project(input: {name: "x"}) { id } }'),
        await renewing.errors(SWITCH["snake"], input={"tenant_id": tenant_id}),
    ]

    assert answer[name][field] != given["access_token"]
    assert (await home_of(inside))[0] == tenant_id
    assert all("UNAUTHENTICATED" in errors[0]["message"] for errors in elsewhere)


async def test_tokens_are_renewed_in_pairs_only(
    gateway: Gateway, admin: Gql, as_caller: AsCaller
) -> None:
    tenant_id, _ = await home_of(admin)
    given = await switch(admin, tenant_id)
    stranger = await as_caller(await key_in_a_new_tenant(gateway, "pairs"))
    foreign = await switch(stranger, (await home_of(stranger))[0])
    renewing = await as_caller(given["refresh_token"])

    refused = [
        await renewing.errors(REFRESH["snake"], input={"access_token": foreign["access_token"]}),
        await renewing.errors(REFRESH["snake"], input={"access_token": given["refresh_token"]}),
        await renewing.errors(REFRESH["snake"], input={"access_token": "nonsense"}),
        await admin.errors(REFRESH["snake"], input={"access_token": given["access_token"]}),
    ]

    assert all("UNAUTHENTICATED" in errors[0]["message"] for errors in refused)


@pytest.mark.parametrize("dialect", ["snake", "camel"])
async def test_a_stranger_is_not_let_into_a_tenant_and_cannot_tell_whether_it_exists(
    gateway: Gateway, admin: Gql, as_caller: AsCaller, dialect: str
) -> None:
    stranger = await as_caller(await key_in_a_new_tenant(gateway, f"stranger-{dialect}"))
    argument = "tenant_id" if dialect == "snake" else "tenantId"
    tenant_id, _ = await home_of(admin)

    refused = await stranger.errors(SWITCH[dialect], input={argument: tenant_id})
    unknown = await stranger.errors(SWITCH[dialect], input={argument: str(gateway.ids())})

    assert "UNAUTHENTICATED" in refused[0]["message"]
    assert refused[0]["message"] == unknown[0]["message"]


async def test_a_member_enters_the_other_tenant_and_leaves_it_when_the_membership_ends(
    gateway: Gateway, admin: Gql, as_caller: AsCaller
) -> None:
    guest = await as_caller(await key_in_a_new_tenant(gateway, "guests"))
    guests, guest_id = await home_of(guest)
    home, _ = await home_of(admin)
    made = await admin(
        "mutation($i: create_membership_input!) { create_membership(input: $i) { id } }",
        i={"user_id": guest_id, "home_tenant_id": guests, "role": "user"},
    )
    membership_id = made["create_membership"]["id"]

    async def is_known() -> bool:
        listed = await guest("{ tenant(order_by: {slug: asc}) { id slug name } }")
        return [t["slug"] for t in listed["tenant"]] == ["default", "guests"]

    # Keys are trusted for a second.
    await eventually(is_known)
    given = await switch(guest, home)
    inside = await as_caller(given["access_token"])
    renewing = await as_caller(given["refresh_token"])
    seen = await inside(WHERE_AM_I)
    too_much = await inside.errors('mutation { create_api_key(input: {name: "x"}) { key } }')
    others = await admin("{ membership { id user_id home_tenant_id role } }")
    await admin(
        f'mutation {{ delete_membership(input: {{membership_id: "{membership_id}"}}) {{ success }} }}'
    )

    async def refused() -> bool:
        renew = f'mutation {{ refresh_token(input: {{access_token: "{given["access_token"]}"}})'
        answers = [
            await inside.post({"query": "{ hello }"}),
            await renewing.post({"query": f"{renew} {{ access_token }} }}"}),
        ]
        return all("no longer belongs" in answer.text for answer in answers)

    assert seen == {
        "tenant": [{"slug": "default"}],
        "user": [{"default_membership": {"tenant": {"slug": "default"}}}],
        "auth_info": {"role": "user"},
    }
    assert too_much[0]["message"] == "Unauthorized: permission error."
    assert others["membership"] == [
        {"id": membership_id, "user_id": guest_id, "home_tenant_id": guests, "role": "user"}
    ]
    await eventually(refused)


async def test_a_key_that_another_tenant_makes_for_the_same_user_id_is_a_stranger(
    gateway: Gateway, admin: Gql, as_caller: AsCaller
) -> None:
    home, user_id = await home_of(admin)
    forger = await as_caller(await key_in_a_new_tenant(gateway, "forgers"))

    made = await forger(
        "mutation($u: UUID) { create_api_key(input: {name: "
        '"forged", user_id: $u, role: "tenant_admin"}) { key } }',
        u=user_id,
    )
    forged = await as_caller(made["create_api_key"]["key"])
    refused = await forged.errors(SWITCH["snake"], input={"tenant_id": home})

    assert "UNAUTHENTICATED" in refused[0]["message"]


async def test_revoking_a_key_ends_its_tokens_within_a_second(
    admin: Gql, as_caller: AsCaller
) -> None:
    tenant_id, _ = await home_of(admin)
    made = (
        await admin('mutation { create_api_token(input: {name: "t", scope: "USER"}) { id token } }')
    )["create_api_token"]
    given = await switch(await as_caller(made["token"]), tenant_id)
    inside = await as_caller(given["access_token"])
    renewing = await as_caller(given["refresh_token"])
    assert await inside("{ hello }")

    await admin(
        f'mutation {{ delete_api_token(input: {{token_id: "{made["id"]}"}}) {{ success }} }}'
    )

    async def refused() -> bool:
        answers = [await gql.post({"query": "{ hello }"}) for gql in (inside, renewing)]
        return all("revoked" in answer.text for answer in answers)

    await eventually(refused, timeout=1.5)


async def test_the_scope_of_a_token_is_its_role_to_the_oldest_clients(
    admin: Gql, as_caller: AsCaller
) -> None:
    make = "mutation($input: createAPITokenInput!) { createAPIToken(input: $input) { token } }"

    made = await admin(make, input={"name": "old", "role": "RUNNER"})
    agent = await as_caller(made["createAPIToken"]["token"])
    errors = await admin.errors(make, input={"name": "old", "role": "KING"})

    assert (await agent("{ auth_info { role } }"))["auth_info"]["role"] == "agent"
    assert "scope must be one of" in errors[0]["message"]


async def test_an_expired_token_is_refused_in_words_that_clients_know(
    gateway: Gateway, admin: Gql, as_caller: AsCaller
) -> None:
    listed = await admin("{ auth_api_key { id name } auth_info { tenant_id } }")
    first = next(key["id"] for key in listed["auth_api_key"] if key["name"] == "first")
    stale = Token(
        purpose=Purpose.ACCESS,
        key_id=UUID(first),
        tenant_id=UUID(listed["auth_info"]["tenant_id"]),
        expires_at=datetime(2026, 1, 1, tzinfo=UTC),
    )

    caller = await as_caller(gateway._api.seal.write(stale, nonce=bytes(NONCE_BYTES)))
    errors = await caller.errors("{ hello }")

    assert errors[0]["message"] == "UNAUTHENTICATED: the token has expired"
    assert errors[0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_log_in_is_in_the_audit_trail(admin: Gql) -> None:
    tenant_id, _ = await home_of(admin)

    await switch(admin, tenant_id)

    rows = await admin(
        '{ audit_log(where: {message: {_eq: "switch_tenant"}}, order_by: {timestamp: desc}, limit: 1)'
        " { actor info } }"
    )
    assert rows["audit_log"][0]["actor"].startswith("key:first:")
    assert rows["audit_log"][0]["info"] == {"tenant_id": tenant_id}


LOG_IN = """
    import pendulum
    from prefect import Client

    client = Client(api_token="{token}")
    tenants = client.get_available_tenants()
    client.login_to_tenant(tenant_slug="default")
    first = client._access_token
    client.create_project("{project}")
    client._access_token_expires_at = pendulum.now()  # so that the next request renews it
    found = client.graphql("query {{ project(where: {{name: {{_eq: \\"{project}\\"}}}}) {{ name }} }}")
    renewed = client._access_token != first
    client.logout_from_tenant()
    answer([[t["slug"] for t in tenants], found.data.project[0].name, renewed, client._access_token])
"""


@pytest.mark.client
@pytest.mark.slow
async def test_real_clients_log_in_renew_their_tokens_and_log_out(
    gateway: Gateway, admin: Gql, tmp_path: Path
) -> None:
    made = await admin(
        'mutation { create_api_token(input: {name: "user", scope: "USER"}) { token } }'
    )
    token = made["create_api_token"]["token"]

    async def story(version: str) -> Any:
        client = await PrefectClient.installed(
            version, url=f"http://127.0.0.1:{gateway.port}", home=tmp_path / version,
            PREFECT__BACKEND="cloud", PREFECT__CLOUD__API=f"http://127.0.0.1:{gateway.port}",
        )  # fmt: skip
        script = LOG_IN.format(token=token, project=f"of {version}")
        return await client.answer(script, within=180)

    versions = ("0.9.8", "0.14.22")
    answers = await asyncio.gather(*(story(version) for version in versions))

    for version, answer in zip(versions, answers, strict=True):
        assert answer == [["default"], f"of {version}", True, None]

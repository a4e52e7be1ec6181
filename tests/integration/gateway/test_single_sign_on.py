"""People log in with a real OpenID Connect provider, over HTTP on real engines."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.oidc_provider import OidcProvider, asked, oidc_provider
from tests.support.ports import free_port
from tests.support.services import all_services

FIRST = "hw_first-key-for-tests"
ADMIN = {"authorization": f"Bearer {FIRST}"}
INVITE = "mutation($e: String!, $r: UUID!) { create_membership_invitation(input: {email: $e, role_id: $r}) { id } }"
REMOVE = "mutation($i: UUID!) { delete_membership(input: {membership_id: $i}) { success } }"


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[OidcProvider]:
    async with oidc_provider(free_port()) as provider:
        yield provider


@pytest.fixture(scope="module")
async def gateway(
    stack: Stack, provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    secret: Path = tmp_path_factory.mktemp("oidc") / "client_secret"
    secret.write_text("of no meaning to this provider\n")
    port = free_port()
    async with all_services(
        stack,
        auth="required",
        bootstrap_key=FIRST,
        port=port,
        # A proxy leaves the path on, and a browser is sent back below it.
        public_url=f"http://127.0.0.1:{port}/tools/hw",
        oidc_issuer=provider.issuer,
        oidc_client_id="headwater",
        oidc_client_secret_file=secret,
        oidc_name="Example",
        oidc_domains={"Corp.example": "read_only"},
    ) as gateway:
        yield gateway


@pytest.fixture
async def admin(gateway: Gateway) -> AsyncIterator[Gql]:
    async with Gql(f"http://127.0.0.1:{gateway.port}", headers=ADMIN) as admin:
        yield admin


class Browser:
    """Somebody's browser, which keeps cookies."""

    def __init__(self, client: httpx.AsyncClient, provider: OidcProvider) -> None:
        self.client = client
        self.provider = provider

    async def begun(self, return_to: str | None = None) -> str:
        """The provider's address that the gateway sends to."""
        asks = {} if return_to is None else {"return_to": return_to}
        answer = await self.client.get("/session/sso", params=asks)
        assert answer.status_code == 303
        return answer.headers["location"]

    async def logged_in(self, subject: str, return_to: str | None = None) -> httpx.Response:
        """The gateway's last answer."""
        back = await self.provider.agreed(await self.begun(return_to), subject)
        return await self.client.get(back)

    async def me(self) -> httpx.Response:
        return await self.client.get("/session")


@pytest.fixture
async def browser(gateway: Gateway, provider: OidcProvider) -> AsyncIterator[Browser]:
    url = f"http://127.0.0.1:{gateway.port}"
    headers = {"origin": url, "x-headwater": "1"}
    async with httpx.AsyncClient(base_url=f"{url}/tools/hw", headers=headers, timeout=60) as client:
        yield Browser(client, provider)


async def somebody(provider: OidcProvider, **claims: Any) -> str:
    """A person at the provider whose address is verified, and is of no domain with a rule."""
    subject = new_id().hex
    mail = {"email": f"{subject}@home.example", "email_verified": True}
    await provider.user(subject, **(mail | claims))
    return subject


async def invited(admin: Gql, subject: str, role: str = "USER") -> None:
    roles = (await admin("{ auth_role { id name } }"))["auth_role"]
    role_id = next(each["id"] for each in roles if each["name"] == role)
    # Capitals in an address mean nothing.
    await admin(INVITE, e=f"{subject.upper()}@home.example", r=role_id)


def failure_in(answer: httpx.Response) -> str | None:
    assert answer.status_code == 303
    return asked(answer.headers["location"]).get("log_in_failed")


async def test_who_is_invited_logs_in_and_is_who_they_were_the_next_time(
    gateway: Gateway, provider: OidcProvider, browser: Browser, admin: Gql
) -> None:
    subject = await somebody(provider, name="Ann Example")
    await invited(admin, subject)

    answer = await browser.logged_in(subject, "/default/runs?state=Failed")
    me = (await browser.me()).json()
    await browser.client.delete("/session")
    # Another address is the same person: the provider's subject counts.
    await provider.user(subject, email="ann@elsewhere.example", email_verified=True)
    again = await browser.logged_in(subject)
    still = (await browser.me()).json()

    assert answer.headers["location"].endswith("/tools/hw/default/runs?state=Failed")
    assert me["name"] == "Ann Example"
    assert me["role"] == "user"
    assert failure_in(again) is None
    assert still["user_id"] == me["user_id"]
    told = await gateway.database.pool.fetch(
        "SELECT info FROM gateway.audit_log WHERE message = 'log_in' AND user_id = $1 ORDER BY timestamp",
        me["user_id"],
    )
    assert [row["info"]["how"] for row in told] == ["invited", "known"]
    assert set(told[0]["info"]) == {"issuer", "subject", "email", "how"}


async def test_the_provider_is_asked_with_pkce_a_state_and_a_nonce(browser: Browser) -> None:
    first, second = asked(await browser.begun()), asked(await browser.begun())

    assert first["response_type"] == "code"
    assert first["code_challenge_method"] == "S256"
    assert first["redirect_uri"].endswith("/tools/hw/session/sso/return")
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]


async def test_a_rule_of_the_domain_lets_in_with_its_role(
    provider: OidcProvider, browser: Browser
) -> None:
    subject = await somebody(provider, email=f"{new_id().hex}@CORP.example")

    answer = await browser.logged_in(subject)

    assert failure_in(answer) is None
    assert (await browser.me()).json()["role"] == "read_only"


@pytest.mark.parametrize(
    ("claims", "failure"),
    [
        ({}, "not_invited"),
        ({"email": "eve@corp.example.evil.example"}, "not_invited"),
        ({"email": "eve@corp.example", "email_verified": False}, "unverified"),
        ({"email": "eve@corp.example", "email_verified": "true"}, "unverified"),
        ({"email": "a@corp.example@evil.example"}, "unverified"),
        ({"email": None}, "unverified"),
    ],
)
async def test_who_is_not_expected_is_told_what_to_do(
    provider: OidcProvider, browser: Browser, claims: dict[str, Any], failure: str
) -> None:
    answer = await browser.logged_in(await somebody(provider, **claims))
    said = (await browser.client.get("/session/ways", params={"failed": failure})).json()

    assert failure_in(answer) == failure
    assert "hw=;" not in answer.headers["set-cookie"]
    assert (await browser.me()).status_code == 401
    assert said["single_sign_on"] == {"name": "Example"}
    assert "address" in said["failed"]


async def test_a_refusal_is_in_the_trail(
    gateway: Gateway, provider: OidcProvider, browser: Browser
) -> None:
    subject = await somebody(provider)
    await browser.logged_in(subject)

    told = await gateway.database.pool.fetchval(
        "SELECT info FROM gateway.audit_log WHERE message = 'log_in refused' AND actor = $1",
        f"visitor:{subject}",
    )

    assert told["why"] == "not_invited"
    assert told["email"] == f"{subject}@home.example"


async def test_what_another_browser_began_is_not_ended_here(
    gateway: Gateway, provider: OidcProvider, browser: Browser, admin: Gql
) -> None:
    subject = await somebody(provider)
    await invited(admin, subject)
    back = await provider.agreed(await browser.begun(), subject)
    async with httpx.AsyncClient(timeout=60) as stranger:
        without = await stranger.get(back)
    other_state = await browser.client.get(back.replace("state=", "state=x"))

    # The attempt is over with the first answer, whatever that was.
    after = await browser.client.get(back)

    assert failure_in(without) == "started_elsewhere"
    assert failure_in(other_state) == "started_elsewhere"
    assert failure_in(after) == "started_elsewhere"


async def test_a_token_with_another_nonce_is_not_accepted(
    provider: OidcProvider, browser: Browser, admin: Gql
) -> None:
    subject = await somebody(provider)
    await invited(admin, subject)
    address = await browser.begun()
    nonce = asked(address)["nonce"]

    back = await provider.agreed(address.replace(nonce, "n" * 43), subject)

    assert failure_in(await browser.client.get(back)) == "bad_answer"


async def test_a_token_for_another_client_is_not_accepted(
    provider: OidcProvider, browser: Browser, admin: Gql
) -> None:
    subject = await somebody(provider)
    await invited(admin, subject)

    # A code that the provider gave to another client.
    back = await provider.agreed(
        (await browser.begun()).replace("client_id=headwater", "client_id=other"), subject
    )

    assert failure_in(await browser.client.get(back)) == "bad_answer"


async def test_a_code_is_good_once_even_with_a_copy_of_the_cookie(
    provider: OidcProvider, browser: Browser, admin: Gql
) -> None:
    subject = await somebody(provider)
    await invited(admin, subject)
    back = await provider.agreed(await browser.begun(), subject)
    copy = {"cookie": f"hw-attempt={browser.client.cookies['hw-attempt']}"}
    first = await browser.client.get(back)

    async with httpx.AsyncClient(timeout=60) as thief:
        second = await thief.get(back, headers=copy)

    assert failure_in(first) is None
    assert failure_in(second) == "bad_answer"


async def test_who_cancels_at_the_provider_is_told_so(
    provider: OidcProvider, browser: Browser
) -> None:
    address = await browser.begun()
    # This provider forgets the state when somebody cancels; the standard says that it is sent.
    back = f"{await provider.refused(address)}&state={asked(address)['state']}"

    assert failure_in(await browser.client.get(back)) == "refused_there"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "/session/sso"]
)
async def test_nobody_is_sent_to_another_site(
    provider: OidcProvider, browser: Browser, admin: Gql, elsewhere: str
) -> None:
    subject = await somebody(provider)
    await invited(admin, subject)

    answer = await browser.logged_in(subject, elsewhere)

    location = urlsplit(answer.headers["location"])
    assert location.netloc == browser.client.base_url.netloc.decode()
    assert location.path == "/tools/hw/"


async def test_who_logs_out_is_a_stranger(
    provider: OidcProvider, browser: Browser, admin: Gql
) -> None:
    subject = await somebody(provider)
    await invited(admin, subject)
    await browser.logged_in(subject)
    copy = {"cookie": f"hw={browser.client.cookies['hw']}"}

    await browser.client.delete("/session")

    async with httpx.AsyncClient(base_url=browser.client.base_url, timeout=60) as thief:
        assert (await thief.get("/session", headers=copy)).status_code == 401


async def test_whose_membership_is_deleted_is_out_until_invited_again(
    provider: OidcProvider, browser: Browser, admin: Gql
) -> None:
    subject = await somebody(provider, email=f"{new_id().hex}@corp.example")
    await browser.logged_in(subject)
    me = (await browser.me()).json()

    gone = await admin(REMOVE, i=me["user_id"])

    async def out() -> bool:
        return (await browser.me()).status_code == 401

    await eventually(out)
    # The rule of the domain does not undo it.
    refused = await browser.logged_in(subject)
    await provider.user(subject, email=f"{subject}@home.example", email_verified=True)
    await invited(admin, subject, "READ_ONLY_USER")
    entered = await browser.logged_in(subject)

    assert gone == {"delete_membership": {"success": True}}
    assert failure_in(refused) == "ended"
    assert failure_in(entered) is None
    assert (await browser.me()).json()["role"] == "read_only"


async def test_another_role_holds_at_once(
    provider: OidcProvider, browser: Browser, admin: Gql
) -> None:
    subject = await somebody(provider)
    await invited(admin, subject, "READ_ONLY_USER")
    await browser.logged_in(subject)
    me = (await browser.me()).json()

    await admin(
        "mutation($i: UUID!) { set_membership_role(input: {membership_id: $i, role: TENANT_ADMIN}) { id } }",
        i=me["user_id"],
    )

    async def rises() -> bool:
        role: str = (await browser.me()).json()["role"]
        return role == "tenant_admin"

    assert me["role"] == "read_only"
    await eventually(rises)


async def test_an_expired_token_is_refused_a_new_key_taken_and_an_outage_told(
    provider: OidcProvider, browser: Browser, admin: Gql
) -> None:
    subject = await somebody(provider)
    await invited(admin, subject)
    for tokens_last in (-120, 3600):
        # Each start has new keys.
        await provider.stop()
        await provider.start(tokens_last=tokens_last)
        await provider.user(subject, email=f"{subject}@home.example", email_verified=True)
        if tokens_last < 0:
            expired = failure_in(await browser.logged_in(subject))

    async def enters() -> bool:
        # Unknown keys are looked for once in five seconds.
        return failure_in(await browser.logged_in(subject)) is None

    await eventually(enters)
    back = await provider.agreed(await browser.begun(), subject)
    await provider.stop()
    try:
        while_away = failure_in(await browser.client.get(back))
        with_key = await browser.client.post("/session", json={"key": FIRST})
    finally:
        await provider.start()

    assert expired == "bad_answer"
    assert while_away == "provider_away"
    assert with_key.status_code == 200

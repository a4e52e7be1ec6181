"""A key that ends while it is looked up opens nothing afterwards, however it is shown."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.base import Refused
from services.gateway.identity import Identity, KeyAuthenticator
from services.gateway.keys import Key, Role
from services.gateway.tokens import NONCE_BYTES, Purpose, Seal, issue

PEPPER = b"p" * 16
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = Key(
    id=UUID(int=1),
    tenant_id=UUID(int=2),
    user_id=UUID(int=3),
    name="k",
    role=Role.USER,
    expires_at=None,
)


class Keys:
    """A table of one key, until it is revoked. It reads at once and answers when it may."""

    def __init__(self) -> None:
        self.key: Key | None = KEY
        self.reads: asyncio.Queue[None] = asyncio.Queue()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def _read(self, *_: object) -> Key | None:
        found = self.key
        self.reads.put_nowait(None)
        await self.may_answer.wait()
        return found

    key_by_hash = key_by_id = key_of_session = _read


def shown(as_what: str) -> dict[str, str]:
    """A header with the key itself, or with a token of it."""
    text = "hw_key"
    if as_what != "key":
        token = issue(
            Purpose[as_what], key_id=KEY.id, tenant_id=KEY.tenant_id, now=NOW, not_after=None
        )
        text = Seal(PEPPER).write(token, nonce=bytes(NONCE_BYTES))
    return {"authorization": f"Bearer {text}"}


@pytest.mark.parametrize("as_what", ["key", "ACCESS", "REFRESH", "SESSION"])
@pytest.mark.parametrize("was_known", [False, True])
async def test_who_asks_after_the_revocation_is_refused(as_what: str, was_known: bool) -> None:
    store: Any = (keys := Keys())
    time = 100.0
    authenticator = KeyAuthenticator(
        store, pepper=PEPPER, seal=Seal(PEPPER), clock=lambda: NOW, monotonic=lambda: time
    )
    headers = shown(as_what)
    if was_known:
        assert isinstance(await authenticator.identify(headers), Identity)
        await keys.reads.get()
        # So that it is looked up anew.
        time += 60
    keys.may_answer.clear()
    early = asyncio.ensure_future(authenticator.identify(headers))
    await keys.reads.get()

    keys.key = None
    authenticator.forget(KEY.id)
    keys.may_answer.set()

    assert isinstance(await early, Identity)
    assert isinstance(await authenticator.identify(headers), Refused)


async def test_who_asks_while_the_old_look_up_goes_on_has_one_of_its_own() -> None:
    store: Any = (keys := Keys())
    time = 100.0
    authenticator = KeyAuthenticator(
        store, pepper=PEPPER, seal=Seal(PEPPER), clock=lambda: NOW, monotonic=lambda: time
    )
    headers = shown("key")
    await authenticator.identify(headers)
    await keys.reads.get()
    time += 60
    keys.may_answer.clear()
    early = asyncio.ensure_future(authenticator.identify(headers))
    await keys.reads.get()
    keys.key = None
    authenticator.forget(KEY.id)
    late = asyncio.ensure_future(authenticator.identify(headers))
    await keys.reads.get()
    keys.may_answer.set()

    assert isinstance(await early, Identity)
    assert isinstance(await late, Refused)
    assert isinstance(await authenticator.identify(headers), Refused)

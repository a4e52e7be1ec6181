"""Who guesses at keys keeps neither the database nor those who have one."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.gateway import identity
from services.gateway.identity import Identity, KeyAuthenticator
from services.gateway.keys import Key, Role, fingerprint
from services.gateway.shares import BusyError
from services.gateway.tokens import Seal

PEPPER = b"p" * 16
GOOD = "hw_good"
KEY = Key(
    id=UUID(int=1),
    tenant_id=UUID(int=2),
    user_id=UUID(int=3),
    name="k",
    role=Role.USER,
    expires_at=None,
)


class Keys:
    """A table of one key, which answers when it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.asking = 0
        self.most = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def key_by_hash(self, hashed: bytes) -> Key | None:
        self.asked += 1
        self.asking += 1
        self.most = max(self.most, self.asking)
        await self.may_answer.wait()
        self.asking -= 1
        return KEY if hashed == fingerprint(GOOD, PEPPER) else None


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def an_authenticator(keys: Keys, time: Time) -> KeyAuthenticator:
    store: Any = keys
    return KeyAuthenticator(
        store,
        pepper=PEPPER,
        seal=Seal(PEPPER),
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        monotonic=time,
    )


def shown(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_an_address_has_one_lookup_at_a_time_and_all_have_four() -> None:
    keys = Keys()
    authenticator = an_authenticator(keys, Time())
    keys.may_answer.clear()
    asked = [
        asyncio.ensure_future(authenticator.identify(shown(f"hw_{index}"), f"10.0.0.{index % 8}"))
        for index in range(24)
    ]
    for _ in range(5):
        await asyncio.sleep(0)
    assert keys.asking == 4
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)

    keys.most = keys.asking = 0
    keys.may_answer.set()
    authenticator = an_authenticator(keys, Time())
    await asyncio.gather(
        *(authenticator.identify(shown(f"hw_{index}"), "10.0.0.1") for index in range(6))
    )
    assert keys.most == 1


async def test_a_known_key_waits_for_no_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_REMEMBERED", 5)
    monkeypatch.setattr(identity, "_GUESS_COSTS", 0)
    keys, time = Keys(), Time()
    authenticator = an_authenticator(keys, time)
    await authenticator.identify(shown(GOOD), "10.0.0.1")
    for index in range(8):
        await authenticator.identify(shown(f"hw_{index}"), f"10.0.0.{index}")
    for _ in range(3):
        await asyncio.sleep(0)
    time.now += 60
    keys.may_answer.clear()
    guesses = [
        asyncio.ensure_future(authenticator.identify(shown(f"hw_other_{index}"), "10.0.0.1"))
        for index in range(9)
    ]
    await asyncio.sleep(0)

    good = asyncio.ensure_future(authenticator.identify(shown(GOOD), "10.0.0.1"))
    for _ in range(3):
        await asyncio.sleep(0)

    assert keys.asking == 2
    keys.may_answer.set()
    assert isinstance(await good, Identity)
    await asyncio.gather(*guesses)


async def test_who_guesses_too_much_is_told_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys()
    authenticator = an_authenticator(keys, Time())
    monkeypatch.setattr(authenticator._lookups, "_patience", 0.05)

    found = await asyncio.gather(
        *(authenticator.identify(shown(f"hw_{index}"), "10.0.0.1") for index in range(100)),
        return_exceptions=True,
    )

    assert any(isinstance(one, BusyError) for one in found)
    assert keys.asked < 100


async def test_the_same_guess_is_looked_up_once_a_second() -> None:
    keys, time = Keys(), Time()
    authenticator = an_authenticator(keys, time)
    await asyncio.gather(
        *(authenticator.identify(shown("hw_wrong"), "10.0.0.1") for _ in range(20))
    )
    assert keys.asked == 1

    time.now += 1
    await authenticator.identify(shown("hw_wrong"), "10.0.0.1")
    assert keys.asked == 2

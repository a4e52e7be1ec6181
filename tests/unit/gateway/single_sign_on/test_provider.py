"""Which tokens are accepted, at the edges that a real provider cannot be brought to."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.gateway.single_sign_on.domain import FailedError
from services.gateway.single_sign_on.provider import ALGORITHMS, SKEW, check

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "iss": "https://login.example",
    "aud": "headwater",
    "sub": "7",
    "nonce": "n",
    "exp": int(NOW.timestamp()) + 60,
    "iat": int(NOW.timestamp()),
}


def checked(claims: dict[str, Any], now: datetime = NOW) -> None:
    check(claims, issuer="https://login.example", client_id="headwater", nonce="n", now=now)


@pytest.mark.parametrize(
    "changed",
    [{}, {"aud": ["headwater"]}, {"aud": ["headwater", "other"], "azp": "headwater"}, {"azp": "headwater"}],
)  # fmt: skip
def test_a_token_for_us_is_accepted(changed: dict[str, Any]) -> None:
    checked(GOOD | changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"},
        {"iss": "https://login.example/"},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": ["headwater", "other"]},
        {"aud": ["headwater", "other"], "azp": "other"},
        {"azp": "other"},
        {"nonce": "of another attempt"},
        {"nonce": None},
        {"exp": None},
        {"iat": int(NOW.timestamp()) + 3600},
    ],
)
def test_another_token_is_not(changed: dict[str, Any]) -> None:
    claims = {name: value for name, value in (GOOD | changed).items() if value is not None}

    with pytest.raises(FailedError, match="id_token"):
        checked(claims)


@pytest.mark.parametrize("name", sorted({"iss", "aud", "sub", "nonce", "exp", "iat"}))
def test_a_token_must_say_all_of_it(name: str) -> None:
    with pytest.raises(FailedError, match=name):
        checked({kept: value for kept, value in GOOD.items() if kept != name})


def test_clocks_may_differ_by_a_minute() -> None:
    ends = datetime.fromtimestamp(GOOD["exp"], UTC)

    checked(GOOD, ends + SKEW - timedelta(seconds=1))
    checked(GOOD, NOW - SKEW)
    with pytest.raises(FailedError, match="expired"):
        checked(GOOD, ends + SKEW + timedelta(seconds=1))


def test_no_algorithm_signs_with_a_secret_of_ours_or_with_nothing() -> None:
    assert not [name for name in ALGORITHMS if name.startswith("HS") or name == "none"]

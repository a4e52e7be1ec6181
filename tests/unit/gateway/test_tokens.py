"""What a token says, that nobody else can write one, and how far it reaches."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.gateway.keys import Entry, Key
from services.gateway.roles import PERMISSIONS, RIGHTS, Role
from services.gateway.tokens import (
    ACCESS_LASTS,
    NONCE_BYTES,
    REFRESH_LASTS,
    Purpose,
    Seal,
    Token,
    issue,
)

KEY = UUID(int=7)
HOME = UUID(int=1)
ELSEWHERE = UUID(int=2)
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
NONCE = bytes(NONCE_BYTES)
SEAL = Seal(b"a pepper for tests")


def a_token(purpose: Purpose = Purpose.ACCESS, not_after: datetime | None = None) -> Token:
    return issue(purpose, key_id=KEY, tenant_id=HOME, now=NOW, not_after=not_after)


@pytest.mark.parametrize("purpose", Purpose)
def test_a_token_says_what_it_was_written_with(purpose: Purpose) -> None:
    token = a_token(purpose)

    assert SEAL.read(SEAL.write(token, nonce=NONCE)) == token


def test_a_token_shows_nothing_of_what_it_says() -> None:
    text = SEAL.write(a_token(), nonce=NONCE)

    assert str(KEY) not in text
    assert KEY.hex not in text


@pytest.mark.parametrize("at", [0, 4, 10, 40, -1])
def test_a_token_with_one_character_changed_is_none_of_ours(at: int) -> None:
    text = SEAL.write(a_token(), nonce=NONCE)
    other = "B" if text[at] != "B" else "C"
    forged = text[:at] + other + (text[at + 1 :] if at != -1 else "")

    assert SEAL.read(forged) is None


def test_an_access_token_cannot_be_passed_off_as_a_refresh_token() -> None:
    text = SEAL.write(a_token(), nonce=NONCE)

    assert SEAL.read(text.replace(Purpose.ACCESS.value, Purpose.REFRESH.value, 1)) is None


@pytest.mark.parametrize(
    "text", ["", "hw_key", "hwa_", "hwa_%%%", "hwa_AAAA", "hwr_é", "hwa_" + "A" * 5000]
)
def test_what_was_not_written_here_is_no_token(text: str) -> None:
    assert SEAL.read(text) is None


def test_another_pepper_opens_nothing() -> None:
    assert Seal(b"another pepper altogether").read(SEAL.write(a_token(), nonce=NONCE)) is None


@pytest.mark.parametrize(
    ("purpose", "lasts"), [(Purpose.ACCESS, ACCESS_LASTS), (Purpose.REFRESH, REFRESH_LASTS)]
)
def test_a_token_ends_at_the_very_moment_it_says(purpose: Purpose, lasts: timedelta) -> None:
    token = a_token(purpose)

    assert not token.is_expired(NOW + lasts - timedelta(microseconds=1))
    assert token.is_expired(NOW + lasts)


def test_a_token_never_outlives_its_key() -> None:
    end = NOW + timedelta(minutes=1)

    assert a_token(Purpose.REFRESH, not_after=end).expires_at == end


def test_an_access_token_lasts_longer_than_the_thirty_seconds_before_which_clients_renew_it() -> (
    None
):
    assert timedelta(seconds=30) * 4 < ACCESS_LASTS < REFRESH_LASTS


@pytest.mark.parametrize("at_home", Role)
@pytest.mark.parametrize("there", Role)
def test_a_member_may_do_there_what_both_roles_allow_and_no_more(
    at_home: Role, there: Role
) -> None:
    key = Key(
        id=KEY,
        tenant_id=HOME,
        user_id=UUID(int=3),
        name="k",
        role=at_home,
        expires_at=None,
        memberships={ELSEWHERE: Entry(UUID(int=4), RIGHTS[there])},
    )

    rights = key.rights_in(ELSEWHERE)

    assert rights is not None
    assert rights.permissions == PERMISSIONS[at_home] & PERMISSIONS[there]
    assert rights.unreadable >= RIGHTS[at_home].unreadable | RIGHTS[there].unreadable
    assert key.rights_in(HOME) is RIGHTS[at_home]
    assert key.rights_in(UUID(int=99)) is None

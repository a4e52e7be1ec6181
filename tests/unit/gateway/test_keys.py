"""API keys: made, hashed, read from a header, and what their roles may do."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import ValidationError

from services.gateway import keys
from services.gateway.keys import Key, Role
from services.gateway.settings import GatewaySettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
URL = "postgresql://r:p@127.0.0.1:1/d"


def a_key(*, expires_at: datetime | None) -> Key:
    return Key(
        id=UUID(int=1),
        tenant_id=UUID(int=2),
        user_id=UUID(int=3),
        name="k",
        role=Role.USER,
        expires_at=expires_at,
    )


def test_a_key_holds_all_its_entropy_and_names_its_kind() -> None:
    text = keys.make(bytes(range(32)))

    assert text == "hw_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


def test_the_hash_of_a_key_depends_on_the_pepper() -> None:
    assert keys.fingerprint("hw_x", b"one") != keys.fingerprint("hw_x", b"two")
    assert keys.fingerprint("hw_x", b"one") == keys.fingerprint("hw_x", b"one")
    assert len(keys.fingerprint("hw_x", b"one")) == 32


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (None, None),
        ("", None),
        ("   ", None),
        ("Bearer hw_x", "hw_x"),
        ("bearer  hw_x ", "hw_x"),
    ],
)
def test_the_key_is_read_from_a_bearer_header(header: str | None, key: str | None) -> None:
    assert keys.bearer(header) == key


@pytest.mark.parametrize("header", ["hw_x", "Basic dXNlcjpwYXNz", "Bearer", "Bearer a b"])
def test_any_other_header_is_malformed_in_the_words_clients_know(header: str) -> None:
    with pytest.raises(ValueError, match="Malformed Authorization header"):
        keys.bearer(header)


@pytest.mark.parametrize(
    ("expires_at", "expired"),
    [
        (None, False),
        (NOW + timedelta(microseconds=1), False),
        (NOW, True),
        (NOW - timedelta(days=1), True),
    ],
)
def test_a_key_ends_at_the_moment_it_says(expires_at: datetime | None, expired: bool) -> None:
    assert a_key(expires_at=expires_at).is_expired(NOW) is expired


def settings(**given: object) -> GatewaySettings:
    return GatewaySettings.model_validate(
        {
            "postgres_url": URL,
            "nats_url": "nats://x",
            "reader_postgres_url": URL,
            "key_pepper": "a pepper for tests",
        }
        | given
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_keys_may_be_off_on_loopback(host: str) -> None:
    assert not settings(auth="off", host=host).keys_required


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])  # noqa: S104 - refused here
def test_keys_may_not_be_off_where_others_reach_the_port(host: str) -> None:
    with pytest.raises(ValidationError, match="HEADWATER_AUTH=required"):
        settings(auth="off", host=host)


def test_keys_need_a_pepper() -> None:
    with pytest.raises(ValidationError, match="HEADWATER_KEY_PEPPER"):
        settings(key_pepper="short")

"""Which web pages may ask, with keys on and off."""

import pytest
from pydantic import SecretStr, ValidationError

from services.gateway.browsers import WebPages
from services.gateway.settings import GatewaySettings

JSON = "application/json"
OPEN = WebPages(keys_required=False, origins=["https://ui.example"])
KEYED = WebPages(keys_required=True, origins=["*"])
OURS = {"host": "127.0.0.1:4200"}


def asked(pages: WebPages, method: str = "POST", **headers: str) -> int | None:
    given = {"content-type": JSON} | {name.replace("_", "-"): v for name, v in headers.items()}
    refused = pages.refusal(method, OURS | given)
    return None if refused is None else refused[0]


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:8080",
        "http://127.0.0.1:4200",
        "http://127.1.2.3",
        "https://[::1]:1",
        "http://ui.localhost:80",
        "https://ui.example",
    ],
)
def test_pages_of_this_machine_and_named_ones_may_ask_with_keys_off(origin: str) -> None:
    assert asked(OPEN, origin=origin, sec_fetch_site="cross-site") is None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "http://localhost.evil.example",
        "http://evil.example/?http://localhost",
        "http://127.0.0.1.evil.example",
        "http://127.evil.example",
        "https://ui.example.evil.example",
        "http://ui.example",
        "file://",
        "http://localhost:8080\n",
    ],
)
def test_other_pages_may_not(origin: str) -> None:
    assert asked(OPEN, origin=origin) == 403


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:4200", "127.0.0.1:4200", "[::1]:4200", "127.9.9.9", "a.localhost:1",
     "host.docker.internal:4200", "ui.example"],
)  # fmt: skip
def test_a_request_for_this_machine_is_taken_whoever_sends_it(host: str) -> None:
    assert asked(OPEN, host=host) is None
    assert asked(OPEN, "GET", host=host, sec_fetch_site="none", sec_fetch_mode="navigate") is None


@pytest.mark.parametrize(
    "host",
    ["evil.example:4200", "", "10.0.0.1:4200", "localhost.evil.example", "[::1", "evil.localhost.example",
     "localhost@evil.example", "0.0.0.0:4200"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_name_that_was_made_to_point_here_is_refused(host: str, method: str) -> None:
    """As a browser sends it after DNS rebinding: for it, the page asks its own server."""
    assert asked(OPEN, method, host=host, sec_fetch_site="same-origin") == 403


def test_a_hidden_request_of_another_site_is_refused_and_a_link_is_followed() -> None:
    assert asked(OPEN, "GET", sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403
    assert asked(OPEN, "GET", sec_fetch_site="cross-site", sec_fetch_mode="navigate") is None


@pytest.mark.parametrize("pages", [OPEN, KEYED], ids=["keys off", "keys on"])
@pytest.mark.parametrize(
    ("said", "status"),
    [
        (JSON, None),
        ("Application/JSON; charset=utf-8", None),
        ("application/graphql-response+json", None),
        ("text/plain", 415),
        ("text/plain; application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
def test_a_page_must_say_that_it_sends_json(pages: WebPages, said: str, status: int | None) -> None:
    """What a form may send without asking is none of it."""
    assert asked(pages, origin="http://localhost:8080", content_type=said) == status
    assert asked(pages, sec_fetch_site="same-origin", content_type=said) == status
    assert asked(pages, content_type=said) is None


def test_with_keys_on_every_page_may_ask_as_it_has_no_key_of_its_own() -> None:
    assert asked(KEYED, origin="https://anywhere.example", host="hw.example") is None


def test_every_page_together_with_keys_off_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match=r"HEADWATER_CORS_ORIGINS is \*"):
        GatewaySettings(
            postgres_url="postgresql://x",
            nats_url="nats://x",
            reader_postgres_url="postgresql://x",
            key_pepper=SecretStr("sixteen characters"),
            auth="off",
            cors_origins=["*"],
        )

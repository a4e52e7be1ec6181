"""The setting that names NATS: one node or several, with the log-in taken out."""

import pytest
from pydantic import ValidationError

from libs.runtime.nats.address import NatsAddress, nats_address
from libs.runtime.settings import ServiceSettings, sentence_of

_LOGGED_IN = {"user": "runs", "password": "p@ss,w/rd"}


@pytest.mark.parametrize(
    ("url", "servers", "login"),
    [
        ("nats://h:4222", ["nats://h:4222"], {}),
        ("h:4222", ["nats://h:4222"], {}),
        ("nats://runs:p%40ss%2Cw%2Frd@h", ["nats://h"], _LOGGED_IN),
        ("nats://token@h:1", ["nats://h:1"], {"token": "token"}),
        ("tls://runs:p%40ss%2Cw%2Frd@h1:1,h2:2", ["tls://h1:1", "tls://h2:2"], _LOGGED_IN),
        (
            "nats://runs:p%40ss%2Cw%2Frd@h1:1, nats://h2:2 ,runs@h3",
            ["nats://h1:1", "nats://h2:2", "nats://h3"],
            _LOGGED_IN,
        ),
        (
            "nats://runs:p%40ss%2Cw%2Frd@h1,nats://runs:p%40ss%2Cw%2Frd@[::1]:5",
            ["nats://h1", "nats://[::1]:5"],
            _LOGGED_IN,
        ),
    ],
)
def test_each_node_is_named_without_the_log_in_that_is_for_all(
    url: str, servers: list[str], login: dict[str, str]
) -> None:
    assert nats_address(url).options() == {"servers": servers} | login


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "is not nats://user:password@host:port"),
        ("nats://", "is not nats://user:password@host:port"),
        ("nats://h1,", "is not nats://user:password@host:port"),
        ("nats://h:port", "is not nats://user:password@host:port"),
        ("nats://h/path", "is not nats://user:password@host:port"),
        ("nats://runs:hunter2,hunter3@h", "write what is no letter, digit or -._~"),
        ("http://h", "every node has the same scheme"),
        ("nats://h1,tls://h2", "every node has the same scheme"),
        ("nats://runs:hunter2@h1,nats://gateway:hunter3@h2", "one log-in is shown to every node"),
    ],
)
def test_what_cannot_be_used_is_refused_without_showing_the_log_in(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        nats_address(url)

    assert "hunter" not in str(refused.value)


def test_a_service_names_the_variable_and_not_the_password() -> None:
    with pytest.raises(ValidationError) as refused:
        ServiceSettings(postgres_url="postgresql://h/d", nats_url="nats://runs:hunter2,x@h")

    said = sentence_of(refused.value)
    assert said.startswith("HEADWATER_NATS_URL: is not nats://user:password@host:port")
    assert "hunter" not in said


def test_nothing_secret_is_in_what_a_log_would_show() -> None:
    address = nats_address("nats://runs:hunter2@h1:1,h2:2")

    assert "hunter2" not in repr(address)
    assert address.hosts == "h1:1, h2:2"
    assert address == NatsAddress(
        servers=("nats://h1:1", "nats://h2:2"), user="runs", password="hunter2"
    )

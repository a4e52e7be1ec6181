"""What `--nats` takes: as the services' HEADWATER_NATS_URL, so that one text can be given to both."""

from typing import Any

import pytest

from libs.agent.address import address_of
from libs.runtime.nats.address import nats_address

GOOD = (
    "nats://h:4222",
    "h:4222",
    "nats://runs:p%40ss%2Cw%2Frd@h",
    "nats://token@h:1",
    "tls://runs:p%40ss@h1:1,h2:2",
    "nats://runs:p@h1:1, nats://h2:2 ,h3",
    "nats://runs:p@h1,nats://runs:p@[::1]:5",
)
BAD = (
    "",
    "nats://",
    "nats://h1,",
    "nats://h:port",
    "nats://h/path",
    "nats://runs:hunter2,hunter3@h",
    "http://h",
    "nats://h1,tls://h2",
    "nats://runs:hunter2@h1,nats://gateway:hunter3@h2",
)


@pytest.mark.parametrize("url", GOOD)
def test_an_agent_reads_the_address_as_a_service_does(url: str) -> None:
    address = address_of(url)
    options: dict[str, Any] = {"servers": address.servers}
    if address.user is not None:
        options |= {"user": address.user, "password": address.password}
    if address.api_key is not None:
        options["token"] = address.api_key

    assert options == nats_address(url).options()
    assert address.hosts == nats_address(url).hosts


@pytest.mark.parametrize("url", BAD)
def test_what_a_service_refuses_an_agent_refuses_and_shows_no_log_in(url: str) -> None:
    with pytest.raises(ValueError, match=r"host:port|same scheme|one log-in") as refused:
        address_of(url)
    with pytest.raises(ValueError, match=r"host:port|same scheme|one log-in"):
        nats_address(url)

    assert "hunter" not in str(refused.value)


def test_what_is_secret_is_not_shown() -> None:
    assert "hunter2" not in repr(address_of("nats://runs:hunter2@h1,h2"))

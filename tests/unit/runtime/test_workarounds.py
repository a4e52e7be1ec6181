"""nats-py as it is released still does what `libs/runtime/nats/workarounds.py` is there for.

A test that fails here says that a newer release is mended: then take the workaround away, and its test with it.
"""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse

import nats.errors
import pytest
from nats.aio.client import Client, Srv

from libs.runtime.nats.workarounds import PatientClient
from tests.support.eventually import eventually

NOT_TEXT = b"hw.\xff"
ODD_STATUS = b"NATS/1.0 \xff\xff\xff\r\n\r\n"


class Closing(Client):
    """Says whether it was closed for good."""

    gave_up = False

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        self.gave_up = status == Client.CLOSED


def connected(kind: Callable[[], Client] = Client) -> Client:
    """A client that thinks that it is connected, without a socket."""
    client = kind()
    client._status = Client.CONNECTED
    client._current_server = Srv(urlparse("nats://one:4222"))
    client._server_pool = [client._current_server]
    client._server_info = {}
    client.options = {"allow_reconnect": False, "dont_randomize": True}
    return client


async def ignored(_error: Exception) -> None:
    """An error callback."""


async def test_a_pong_that_comes_after_its_flush_was_given_up_ends_the_reading() -> None:
    client = connected()
    given_up: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    given_up.cancel()
    client._pongs.append(given_up)

    with pytest.raises(asyncio.InvalidStateError):
        await client._process_pong()


async def test_a_header_that_is_no_text_ends_the_reading() -> None:
    with pytest.raises(UnicodeDecodeError):
        await connected()._process_headers(ODD_STATUS)


def test_a_subject_that_is_no_text_ends_the_reading() -> None:
    with pytest.raises(UnicodeDecodeError):
        connected()._build_message(1, NOT_TEXT, b"", b"", None)


@pytest.mark.parametrize("said", ["'Slow Consumer'", "'Authentication Timeout'"])
async def test_an_error_of_the_server_closes_the_connection_for_good(said: str) -> None:
    client = Closing()
    client._status = Client.CONNECTED

    await client._process_err(said)

    await eventually(lambda: client.gave_up)


async def test_nodes_that_a_cluster_no_longer_names_are_tried_for_ever() -> None:
    client = connected()

    for number in range(3):
        await client._process_info({"connect_urls": [f"node{number}:4222"]})

    assert len(client._server_pool) == 4


async def test_a_callback_that_raises_ends_the_attempts_to_connect_again() -> None:
    async def raising() -> None:
        raise ZeroDivisionError

    client = connected()
    client._disconnected_cb = raising

    with pytest.raises(ZeroDivisionError):
        await client._attempt_reconnect()


async def test_a_drain_while_the_server_is_away_raises_and_leaves_the_connection_open() -> None:
    client = connected()
    client._status = Client.RECONNECTING

    with pytest.raises(nats.errors.ConnectionReconnectingError):
        await client.drain()

    assert not client.is_closed


async def test_ours_reads_on_after_what_is_no_text() -> None:
    client = connected(PatientClient)
    client._error_cb = ignored

    headers = await client._process_headers(ODD_STATUS)
    message = client._build_message(1, NOT_TEXT, b"", b"", None)

    assert headers is None
    assert message.subject == "hw.\ufffd"

"""What an error of the connection to NATS is called."""

from types import SimpleNamespace
from typing import Any, cast

import nats.errors
import pytest

from libs.runtime.bus.watch import Event, event_of

SUBSCRIPTION = cast("Any", SimpleNamespace())


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (
            nats.errors.SlowConsumerError(subject="a", reply="", sid=1, sub=SUBSCRIPTION),
            Event.SLOW_CONSUMER,
        ),
        (
            nats.errors.Error("nats: permissions violation for publish to 'a'"),
            Event.PERMISSION,
        ),
        (nats.errors.AuthorizationError(), Event.AUTHORIZATION),
        (nats.errors.Error("nats: authorization violation"), Event.AUTHORIZATION),
        (nats.errors.UnexpectedEOF(), Event.UNREACHABLE),
        (nats.errors.NoServersError(), Event.UNREACHABLE),
        (ConnectionRefusedError(), Event.UNREACHABLE),
        (nats.errors.DrainTimeoutError(), Event.TIMED_OUT),
        (TimeoutError(), Event.TIMED_OUT),
        (nats.errors.ProtocolError(), Event.OTHER),
    ],
)
def test_every_error_has_one_kind(error: Exception, event: Event) -> None:
    assert event_of(error) is event

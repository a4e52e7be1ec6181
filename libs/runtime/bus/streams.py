"""Whether NATS has the streams and durable consumers that a service needs.

Only `deploy/provision.py` makes them. If it has not run, or stopped half-way, a service would wait for messages that no
stream keeps, and look healthy. So it checks, and names what is missing.
"""

import asyncio
from collections.abc import Callable

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from libs.contracts.streams import Durable, Stream
from libs.runtime import metrics

_ANSWER_WITHIN = 2.0  # seconds; during an election there is no answer
_LOOK_AGAIN = 60.0  # seconds; an operator may delete one at any time
# Seconds until the next try without an answer: during an election, or with the NATS users of an older release
_ASK_AGAIN = 15.0
_Thing = tuple[str, str | None]  # a stream, and its durable


class NotProvisionedError(ConnectionError):
    """The stream or durable that a consumer binds to does not exist; the text says what to do."""


class BusStreams:
    """What one service needs, and what was missing at the last check."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._needed: list[_Thing] = []
        self._bound: set[_Thing] = set()
        self._absent: set[_Thing] = set()
        self._next_look: float | None = None

    def need(self, stream: Stream, durable: Durable | None = None, *, bound: bool = False) -> None:
        """Declare a stream that the service publishes to, or a durable that it consumes. `bound`: needed at the
        start."""
        thing = (stream.name, durable.name if durable is not None else None)
        if thing not in self._needed:
            self._needed.append(thing)
        if bound:
            self._bound.add(thing)

    def missing(self) -> list[str]:
        """One sentence for each missing one."""
        return [_missing(thing) for thing in self._needed if thing in self._absent]

    def changed(self) -> None:
        """The connection was lost: the next server may have another store."""
        self._next_look = None

    def check_bound(self) -> None:
        """Raise NotProvisionedError where a consumer cannot be bound."""
        absent = [thing for thing in self._needed if thing in self._absent & self._bound]
        if absent:
            raise NotProvisionedError("; ".join(map(_missing, absent)))

    async def look(self, client: Client) -> None:
        """Ask again if something was missing or the last answer is old. Without an answer the last one stays."""
        now = self._monotonic()
        if not self._absent and self._next_look is not None and now < self._next_look:
            return
        self._next_look = now + _LOOK_AGAIN
        js = client.jetstream(timeout=_ANSWER_WITHIN)
        answers = await asyncio.gather(*(_is_there(js, thing) for thing in self._needed))
        for thing, is_there in zip(self._needed, answers, strict=True):
            if is_there is None:
                self._next_look = now + _ASK_AGAIN
            elif is_there:
                self._absent.discard(thing)
            else:
                self._absent.add(thing)


async def _is_there(js: JetStreamContext, thing: _Thing) -> bool | None:
    """None without an answer."""
    stream, durable = thing
    try:
        if durable is None:
            info = await js.stream_info(stream)
            if info.config.max_bytes and info.config.max_bytes > 0:
                filled = info.state.bytes / info.config.max_bytes
                metrics.STREAM_FILLED.labels(stream).set(filled)
        else:
            await js.consumer_info(stream, durable)
    except nats.js.errors.NotFoundError:
        return False
    except nats.js.errors.ServiceUnavailableError as error:
        # An error without a code means no responder: this NATS has no JetStream.
        return False if error.code is None else None
    except (nats.errors.Error, TimeoutError, OSError):
        return None
    return True


def _missing(thing: _Thing) -> str:
    return f"NATS has no {_name(thing)}: provision it (python -m deploy.provision)"


def _name(thing: _Thing) -> str:
    stream, durable = thing
    return f"stream {stream}" if durable is None else f"consumer {durable} of the stream {stream}"

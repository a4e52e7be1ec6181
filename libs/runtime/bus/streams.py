"""Whether NATS has the streams and durable consumers that a service lives on.

They are made by `deploy/provision.py` alone. Where that has not been done, or broke off half-way, a service would wait
for messages that nobody keeps, and look well; so it looks, and says what is missing.
"""

import asyncio
from collections.abc import Callable

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from libs.contracts.streams import Durable, Stream

_ANSWER_WITHIN = 2.0  # seconds; in an election nobody answers
_LOOK_AGAIN = 60.0  # seconds after which an operator may have deleted one
_ASK_AGAIN = 15.0  # seconds, where nobody answered: in an election, or where the users of NATS are an older release's
_Thing = tuple[str, str | None]  # a stream, and its durable


class NotProvisionedError(ConnectionError):
    """What a consumer has to be bound to is not there; the text says what to do."""


class BusStreams:
    """What one service needs, and what of it was missing at the last look."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._needed: list[_Thing] = []
        self._bound: set[_Thing] = set()
        self._absent: set[_Thing] = set()
        self._next_look: float | None = None

    def need(self, stream: Stream, durable: Durable | None = None, *, bound: bool = False) -> None:
        """This service publishes to the stream, or consumes the durable. One that is `bound` is needed at the start."""
        thing = (stream.name, durable.name if durable is not None else None)
        if thing not in self._needed:
            self._needed.append(thing)
        if bound:
            self._bound.add(thing)

    def missing(self) -> list[str]:
        """One sentence for each that is not there."""
        return [_missing(thing) for thing in self._needed if thing in self._absent]

    def changed(self) -> None:
        """The connection was lost: another server may answer, or the same with another store."""
        self._next_look = None

    def check_bound(self) -> None:
        """Raise NotProvisionedError where a consumer cannot be bound."""
        absent = [thing for thing in self._needed if thing in self._absent & self._bound]
        if absent:
            raise NotProvisionedError("; ".join(map(_missing, absent)))

    async def look(self, client: Client) -> None:
        """Ask, where something was missing or the last answer is old. What nobody says is believed as before."""
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
    """None when nobody says."""
    stream, durable = thing
    try:
        if durable is None:
            await js.stream_info(stream)
        else:
            await js.consumer_info(stream, durable)
    except nats.js.errors.NotFoundError:
        return False
    except nats.js.errors.ServiceUnavailableError as error:
        # Without a code nobody listens there: this NATS has no JetStream.
        return False if error.code is None else None
    except (nats.errors.Error, TimeoutError, OSError):
        return None
    return True


def _missing(thing: _Thing) -> str:
    return f"NATS has no {_name(thing)}: provision it (python -m deploy.provision)"


def _name(thing: _Thing) -> str:
    stream, durable = thing
    return f"stream {stream}" if durable is None else f"consumer {durable} of the stream {stream}"

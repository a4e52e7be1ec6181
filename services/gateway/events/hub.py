"""Gives each hint to the streams that asked for it: one channel for all streams of a tenant with the same filter.

A channel gathers hints for a quarter of a second and writes them once, however many streams it has: what 500 open pages
cost is 2,000 small writes a second, not 50,000.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from libs.runtime import metrics
from services.gateway.events import frames
from services.gateway.events.domain import Coalesced, Cursor, Filter, Gap, Hint, Window
from services.gateway.events.frames import Frame

GATHERS = 0.25  # seconds; a stream gets four messages a second at most
_MOST_WAITING = 16  # messages, which is four seconds of them, until a reader counts as slow
# Seconds in which the last message must go out, before the connection is closed without it.
_LAST_WORD = 0.4

Owner = tuple[UUID, UUID | None]
"""A tenant, and a key of it where keys are on."""


class TooManyError(Exception):
    """The key, or this gateway, has as many streams as it may."""


class Stream:
    """One client that listens. `next` gives what to write; `end` says why nothing more comes."""

    def __init__(
        self, owner: Owner, wanted: Filter, cursor: Cursor | None, *, cut: Callable[[], None]
    ) -> None:
        """`cut` closes the connection without a word."""
        self.owner = owner
        self.wanted = wanted
        self.cursor = cursor
        self.ended: str | None = None
        self.has_begun = False
        """Whether it was sent what it missed; before, its position is the one that it came with."""
        self._cut = cut
        self._waiting: deque[Frame] = deque()
        self._something = asyncio.Event()
        self._cutting: asyncio.TimerHandle | None = None

    def push(self, frame: Frame) -> None:
        """Write this next; who has too much waiting is let go."""
        if self.ended is not None:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self.end("slow_reader", "You read too slowly; come back with your last id.")
            return
        self._waiting.append(frame)
        self._something.set()

    def end(self, reason: str, text: str) -> None:
        """Let it go: what waits is forgotten, and the reason is the last that is written."""
        if self.ended is not None:
            return
        self.ended = reason
        metrics.EVENT_STREAMS_ENDED.labels(reason).inc()
        self._waiting.clear()
        self._waiting.append(frames.end(reason, text))
        self._something.set()
        # Who writes may be waiting for a client that does not read.
        self._cutting = asyncio.get_running_loop().call_later(_LAST_WORD, self._cut)

    def gone(self) -> None:
        """The client has left."""
        if self.ended is None:
            self.ended = "gone"
            metrics.EVENT_STREAMS_ENDED.labels("gone").inc()
        self._waiting.clear()
        self._something.set()

    def done(self) -> None:
        """All is written; nothing is left to be cut."""
        if self._cutting is not None:
            self._cutting.cancel()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be written."""
        return not self._waiting

    async def next(self, *, within: float | None) -> list[Frame] | None:
        """What waits; None when nothing came for so many seconds, an empty list when nothing more will."""
        if not self._waiting and self.ended is None:
            try:
                async with asyncio.timeout(within):
                    await self._something.wait()
            except TimeoutError:
                return None
        self._something.clear()
        taken = [*self._waiting]
        self._waiting.clear()
        return taken


@dataclass(slots=True)
class _Channel:
    wanted: Filter
    streams: set[Stream] = field(default_factory=set)
    gathered: Coalesced = field(default_factory=Coalesced)
    sent_at: float = float("-inf")
    due: asyncio.TimerHandle | None = None


class Hub:
    """The window and the channels. All of it happens on one event loop."""

    def __init__(self, *, window: int, of_key: int, in_all: int) -> None:
        self._window = Window(window)
        self._of_key = of_key
        self._in_all = in_all
        self._channels: dict[UUID, dict[Filter, _Channel]] = {}
        self._streams: dict[Stream, None] = {}
        self._not_begun: dict[Stream, None] = {}
        self._owners: Counter[Owner] = Counter()
        self._stale: str | None = "this gateway has just started"
        self._closed = False

    # the streams

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All that are open."""
        return tuple(self._streams)

    def cursor_of(self, stream: Stream) -> Cursor | None:
        """How far a stream with nothing left to write has come; None while hints for it are still gathered."""
        channel = self._channels.get(stream.owner[0], {}).get(stream.wanted)
        if not stream.has_begun or channel is None or channel.gathered:
            return None
        return self._window.cursor

    def open(self, stream: Stream) -> None:
        """Begin to tell it; TooManyError says of what there are too many."""
        if self._closed or len(self._streams) >= self._in_all:
            msg = "This gateway has as many event streams as it may; try again soon."
            raise TooManyError(msg)
        if self._owners[stream.owner] >= self._of_key:
            msg = (
                f"This key has {self._of_key} event streams open, which is as many as it may; close one, or share one"
                " among pages."
            )
            raise TooManyError(msg)
        self._owners[stream.owner] += 1
        self._streams[stream] = None
        metrics.EVENT_STREAMS.set(len(self._streams))
        if self._stale is None:
            self._let_in(stream)
        else:
            # It listens from here, though it is sent something only later: what comes until then is not lost on it.
            stream.cursor = stream.cursor or self._window.cursor
            stream.push(frames.opening(None))
            stream.push(frames.stale(self._stale))
            self._not_begun[stream] = None

    def leave(self, stream: Stream) -> None:
        """Forget a stream."""
        if stream not in self._streams:
            return
        del self._streams[stream]
        self._not_begun.pop(stream, None)
        self._owners[stream.owner] -= 1
        if not self._owners[stream.owner]:
            del self._owners[stream.owner]
        metrics.EVENT_STREAMS.set(len(self._streams))
        channels = self._channels.get(stream.owner[0], {})
        channel = channels.get(stream.wanted)
        if channel is None:
            return
        channel.streams.discard(stream)
        if not channel.streams:
            if channel.due is not None:
                channel.due.cancel()
            del channels[stream.wanted]
            if not channels:
                del self._channels[stream.owner[0]]

    def close(self) -> None:
        """End all streams, for a gateway that stops."""
        self._closed = True
        for stream in self.streams:
            stream.end("restart", "This gateway stops; come back with your last id.")

    def _let_in(self, stream: Stream, *, is_opened: bool = False) -> None:
        """Tell what it missed, then whatever its channel tells."""
        now = self._window.cursor
        since = self._window.since(stream.cursor, stream.owner[0]) if stream.cursor else None
        if isinstance(since, Gap):
            stream.push(frames.fresh(now) if is_opened else frames.opening(now))
            stream.push(frames.gap(since.reason, now))
        else:
            missed = Coalesced()
            for hint in since or ():
                if stream.wanted.wants(hint):
                    missed.add(hint)
            if not is_opened:
                # With the old position: a client that leaves before the next message gets it again.
                stream.push(frames.opening(stream.cursor or now))
            if missed:
                stream.push(_frame_of(missed, now))
            if is_opened:
                stream.push(frames.fresh(now))
        stream.has_begun = True
        channels = self._channels.setdefault(stream.owner[0], {})
        channels.setdefault(stream.wanted, _Channel(stream.wanted)).streams.add(stream)

    # what the feed says

    @property
    def position(self) -> tuple[str, int]:
        """The life of the stream and the position of the newest fact."""
        return self._window.life, self._window.last

    def begin(self, life: str, *, after: int) -> None:
        """A stream that was not known before: whoever followed another one has missed what was between."""
        was_known = bool(self._window.life)
        self._window.begin(life, after=after)
        if was_known:
            self._say(frames.gap("the event stream was made anew", self._window.cursor))

    def lose(self, *, until: int) -> None:
        """Facts were dropped before they were read."""
        self._window.lose(until=until)
        self._say(frames.gap("this gateway was away for too long", self._window.cursor))

    def fact(self, sequence: int, tenant_id: UUID | None, hint: Hint | None) -> None:
        """A fact of a tenant."""
        is_new = self._window.add(sequence, tenant_id or UUID(int=0), hint)
        if is_new and hint is not None and tenant_id is not None:
            self.signal(tenant_id, hint)

    def has_listeners(self, tenant_id: UUID) -> bool:
        """Whether a signal of this tenant would be sent to anybody."""
        return tenant_id in self._channels

    def signal(self, tenant_id: UUID, hint: Hint) -> None:
        """Something that may be lost, and has no position."""
        for channel in self._channels.get(tenant_id, {}).values():
            if channel.wanted.wants(hint):
                channel.gathered.add(hint)
                if channel.due is None:
                    self._plan(channel)

    def set_stale(self, reason: str | None) -> None:
        """Say once that nothing is heard, and once that it is."""
        if (reason is None) == (self._stale is None):
            return
        self._stale = reason
        metrics.EVENTS_STALE.set(reason is not None)
        if reason is not None:
            self._say(frames.stale(reason))
            return
        self._say(frames.fresh(self._window.cursor))
        waiting, self._not_begun = tuple(self._not_begun), {}
        for stream in waiting:
            self._let_in(stream, is_opened=True)

    def _say(self, frame: Frame) -> None:
        """Tell all that have begun, after what they are still to hear."""
        for channels in tuple(self._channels.values()):
            for channel in tuple(channels.values()):
                self._tell(channel)
                for stream in tuple(channel.streams):
                    stream.push(frame)

    # telling

    def _plan(self, channel: _Channel) -> None:
        loop = asyncio.get_running_loop()
        channel.due = loop.call_at(max(channel.sent_at + GATHERS, loop.time()), self._tell, channel)

    def _tell(self, channel: _Channel) -> None:
        if channel.due is not None:
            channel.due.cancel()
            channel.due = None
        if not channel.gathered:
            return
        channel.sent_at = asyncio.get_running_loop().time()
        frame = _frame_of(channel.gathered, self._window.cursor)
        for stream in tuple(channel.streams):
            stream.push(frame)


def _frame_of(gathered: Coalesced, cursor: Cursor) -> Frame:
    if gathered.is_flooded:
        gathered.take()
        return frames.gap("more has changed at once than can be listed one by one", cursor)
    return frames.hints(gathered.take(), cursor)

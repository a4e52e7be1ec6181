"""When this process heard each run last: kept in memory, so that a silence is known to the second. Pure.

A run is identified by its tenant and id together, as one key of 32 bytes. A ping with another tenant's id has another
key, and is no sign of life. Only runs that are in the tables are added, so pings of unknown runs cost no memory.

Times are seconds of a monotonic clock. A run's silence is the age of its newest ping.
"""

import heapq
from binascii import unhexlify
from collections import Counter, OrderedDict
from collections.abc import Container, Iterable, Mapping
from uuid import UUID

_HALF = 16
_PREFIX = len("hw.beat.")
_LENGTH = _PREFIX + 36 + 1 + 36


def key_of(tenant_id: UUID, flow_run_id: UUID) -> bytes:
    """The key of a tenant's run."""
    return tenant_id.bytes + flow_run_id.bytes


def key_in(subject: bytes) -> bytes | None:
    """The key in a ping's subject; None if it does not have two UUIDs."""
    if len(subject) != _LENGTH:
        return None
    try:
        key = unhexlify(subject[_PREFIX:].translate(None, b"-."))
    except ValueError:
        return None
    return key if len(key) == 2 * _HALF else None


def tenant_text_in(subject: bytes) -> bytes:
    """The tenant's text in a ping's subject; arbitrary bytes if it has no tenant."""
    return subject[_PREFIX : _PREFIX + 36]


def tenant_in(key: bytes) -> UUID:
    """The tenant of a key."""
    return UUID(bytes=key[:_HALF])


def run_in(key: bytes) -> UUID:
    """The run of a key."""
    return UUID(bytes=key[_HALF:])


class LastHeard:
    """Guarded runs, each with the time when it was heard last and the time in its row of `last_seen`.

    Some 300 bytes a run, with the free space of the dictionary. Ordered by the last ping, oldest first.
    """

    def __init__(self) -> None:
        # Runs with the same times share one pair: one object for each run would mean a million of them.
        self._runs: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        # Times at which runs were only counted as heard: a few, from the start.
        self._counted: set[float] = set()
        self._later: list[tuple[float, bytes]] = []
        self._of_tenant: dict[bytes, int] = {}

    @property
    def by_tenant(self) -> Mapping[bytes, int]:
        """How many runs of each tenant are known."""
        return self._of_tenant

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, key: bytes) -> bool:
        return key in self._runs

    def hear(
        self, keys: Iterable[bytes], now: float, *, coarse: float
    ) -> tuple[list[bytes], list[bytes]]:
        """Note that these pinged; times never go back. Returns those whose row is older than `coarse`, and unknown
        ones."""
        runs, to_the_end = self._runs, self._runs.move_to_end
        pairs: dict[float, tuple[float, float]] = {}
        due: list[bytes] = []
        unknown: list[bytes] = []
        for key in keys:
            before = runs.get(key)
            if before is None:
                unknown.append(key)
                continue
            written = before[1]
            pair = pairs.get(written)
            if pair is None:
                pair = pairs[written] = (now, written)
            runs[key] = pair
            to_the_end(key)
            if now - written >= coarse:
                due.append(key)
        return due, unknown

    def fill(self, keys: Mapping[bytes, float], start: float) -> None:
        """Add the runs that a process finds in the table at its start, each with the time in its row.

        They count as heard at the start. That is not a ping, and is not written as one.
        """
        self._counted.add(start)
        self.add(keys, start)

    def add(self, keys: Mapping[bytes, float], heard: float) -> None:
        """Add runs that pinged at `heard`, each with the time in its row; known runs are not changed."""
        pairs: dict[float, tuple[float, float]] = {}
        for key, written in keys.items():
            if key in self._runs:
                continue
            self._runs[key] = pairs.setdefault(written, (heard, written))
            tenant = key[:_HALF]
            self._of_tenant[tenant] = self._of_tenant.get(tenant, 0) + 1

    def wrote(self, times: Mapping[bytes, float]) -> None:
        """The rows of these runs have these times now."""
        pairs: dict[tuple[float, float], tuple[float, float]] = {}
        for key, written in times.items():
            before = self._runs.get(key)
            if before is not None:
                pair = (before[0], written)
                self._runs[key] = pairs.setdefault(pair, pair)

    def late(self, before: float) -> dict[bytes, float]:
        """Runs that pinged up to that time and not since, whose row is older than that ping; each with the time of the
        ping.

        Once written, every replica knows the run's last ping to the second, also one that missed it.
        """
        late: dict[bytes, float] = {}
        for key, (heard, written) in self._runs.items():
            if heard > before:
                break
            if written < heard and heard not in self._counted:
                late[key] = heard
        return late

    def heard_at(self, key: bytes) -> float | None:
        """When the run was heard last; None for one that is not known."""
        pair = self._runs.get(key)
        return None if pair is None else pair[0]

    def has_silent(self, since: float) -> bool:
        """Whether some run was not heard after that time."""
        if self._later and self._later[0][0] <= since:
            return True
        return bool(self._runs) and next(iter(self._runs.values()))[0] <= since

    def silent(self, since: float) -> int:
        """How many were not heard after that time."""
        count = 0
        for heard, _ in self._runs.values():
            if heard > since:
                break
            count += 1
        return count

    def silent_by_tenant(self, since: float) -> Counter[bytes]:
        """How many of each tenant were not heard after that time."""
        counts: Counter[bytes] = Counter()
        for key, (heard, _) in self._runs.items():
            if heard > since:
                break
            counts[key[:_HALF]] += 1
        return counts

    def take_silent(
        self, since: float, *, limit: int, held: Container[bytes] = ()
    ) -> dict[bytes, float]:
        """Remove and return at most `limit` that were not heard after that time, the longest silent first; each with
        its time.

        Those in `held` stay.
        """
        silent: dict[bytes, float] = {}
        staying: list[tuple[float, bytes]] = []
        while self._later and len(silent) < limit and self._later[0][0] <= since:
            heard, key = heapq.heappop(self._later)
            if key in self._runs:
                continue
            if key in held:
                staying.append((heard, key))
            else:
                silent[key] = heard
        for item in staying:
            heapq.heappush(self._later, item)
        taken: list[bytes] = []
        for key, (heard, _) in self._runs.items():
            if heard > since or len(silent) >= limit:
                break
            if key not in held:
                taken.append(key)
                silent[key] = heard
        for key in taken:
            self.forget(key)
        return silent

    def of_tenants(self, tenants: Container[bytes]) -> list[bytes]:
        """The runs of these tenants; walks over all known runs."""
        return [key for key in self._runs if key[:_HALF] in tenants]

    def look_again(self, key: bytes, heard: float) -> None:
        """Put back a removed run as heard at that time, which may be earlier than the times of others."""
        heapq.heappush(self._later, (heard, key))

    def forget(self, key: bytes) -> None:
        """Drop a run that is not guarded any more."""
        if self._runs.pop(key, None) is None:
            return
        tenant = key[:_HALF]
        left = self._of_tenant[tenant] - 1
        if left:
            self._of_tenant[tenant] = left
        else:
            del self._of_tenant[tenant]

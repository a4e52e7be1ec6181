"""The gateway's caches of documents and of what they were compiled to: bounded in bytes and in number.

What was not used for longest goes first. Sizes are estimates, of what a syntax tree or a plan was measured to take; so
much may all entries of a cache take together, and no entry more than a sixteenth of it: one giant document must not
push out a thousand ordinary ones.
"""

import threading
from typing import Generic, TypeVar

from cachetools import LRUCache

K = TypeVar("K")
V = TypeVar("V")

BYTES_OF_TOKEN = 400
"""What a token of a document takes as part of a syntax tree."""
BYTES_OF_COMPILED_TOKEN = 200
"""What it takes as part of a plan."""
_LARGEST = 16


class BoundedCache(Generic[K, V]):
    """The entries that were used last. Both the event loop and the thread beside it may use it."""

    def __init__(self, *, count: int, size: int) -> None:
        """At most `count` entries of `size` bytes together."""
        self._size = size
        # An entry counts as its part of the number, or as its bytes, whichever is more.
        self._least = max(1, size // count)
        self._entries: LRUCache[K, tuple[V, int]] = LRUCache(size, getsizeof=lambda held: held[1])
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, which counts as used; None when it is not there."""
        with self._lock:
            held = self._entries.get(key)
        return None if held is None else held[0]

    def put(self, key: K, value: V, *, size: int) -> None:
        """Keep a value of so many bytes, unless it is too large for one."""
        if size * _LARGEST > self._size:
            return
        with self._lock:
            self._entries[key] = (value, max(size, self._least))

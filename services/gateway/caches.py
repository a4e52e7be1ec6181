"""The gateway's caches of documents and compiled plans: bounded in bytes and in number.

The least recently used entry is removed first. Sizes are estimates from measurements of syntax trees and plans. One
entry may take at most a sixteenth of a cache: one giant document must not push out a thousand ordinary ones.
"""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

BYTES_OF_TOKEN = 400
"""Bytes of a document's token in a syntax tree."""
BYTES_OF_COMPILED_TOKEN = 200
"""Bytes of a document's token in a plan."""
_LARGEST = 16


class BoundedCache(Generic[K, V]):
    """An LRU cache. Both the event loop and the thread may use it.

    Ours, because a look-up of cachetools' LRUCache takes five Python calls, and a request makes several look-ups.
    """

    def __init__(self, *, count: int, size: int) -> None:
        """At most `count` entries of `size` bytes together."""
        self._size = size
        # An entry counts as its part of the number, or as its bytes, whichever is more.
        self._least = max(1, size // count)
        self._used = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, which counts as used; None when it is not cached."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, *, size: int) -> None:
        """Store a value of this many bytes, unless it is too large for one entry."""
        if size * _LARGEST > self._size:
            return
        size = max(size, self._least)
        with self._lock:
            replaced = self._entries.pop(key, None)
            if replaced is not None:
                self._used -= replaced[1]
            while self._entries and self._used + size > self._size:
                _, (_, freed) = self._entries.popitem(last=False)
                self._used -= freed
            self._entries[key] = (value, size)
            self._used += size

"""Caches are bounded in bytes and in number, and what is used stays."""

from services.gateway.caches import BoundedCache


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    """First in, first out would drop the entry that every request asks for."""
    cache: BoundedCache[str, str] = BoundedCache(count=3, size=1_000_000)
    cache.put("always", "used", size=1)

    for number in range(100):
        cache.put(f"once {number}", "new", size=1)
        assert cache.get("always") == "used"

    assert len(cache) == 3
    assert cache.get("once 97") is None
    assert cache.get("once 99") == "new"


def test_large_entries_count_as_their_bytes() -> None:
    cache: BoundedCache[int, str] = BoundedCache(count=1_000, size=1_600)

    for number in range(100):
        cache.put(number, "large", size=100)

    assert len(cache) == 16


def test_one_giant_pushes_out_nobody() -> None:
    cache: BoundedCache[str, str] = BoundedCache(count=1_000, size=1_600)
    for number in range(100):
        cache.put(f"small {number}", "kept", size=1)

    cache.put("giant", "not kept", size=101)

    assert len(cache) == 100
    assert cache.get("giant") is None


def test_an_entry_that_is_put_again_counts_once() -> None:
    cache: BoundedCache[str, int] = BoundedCache(count=2, size=1_600)
    cache.put("other", 0, size=1)

    for value in range(10):
        cache.put("same", value, size=90)

    assert cache.get("same") == 9
    assert cache.get("other") == 0

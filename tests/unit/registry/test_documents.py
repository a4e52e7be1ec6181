"""JSON as it arrives."""

from base64 import b64encode
from gzip import compress
from typing import Any

import pytest

from services.registry.domain.documents import (
    UnreadableError,
    UnstorableError,
    decompress,
    encode,
)
from tests.support.serialized_flows import compressed

LIMIT = 1 << 20


def _nested(levels: int) -> bytes:
    return compress(b"[" * levels + b"]" * levels, mtime=0)


def test_what_clients_compress_is_read_back() -> None:
    assert decompress(compressed({"name": "größer ✓"}), limit=LIMIT) == {"name": "größer ✓"}


def test_line_breaks_in_base64_do_no_harm() -> None:
    text = compressed({"name": "a"})

    assert decompress(f"{text[:10]}\n{text[10:]}\n", limit=LIMIT) == {"name": "a"}


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("", "its gzip ends too early"),
        ("not base64!", "it is not base64"),
        ("größe", "it is not base64"),
        (b64encode(b"plain text").decode(), "it is not gzip"),
        (b64encode(compress(b"{}", mtime=0)[:-4]).decode(), "its gzip ends too early"),
        (b64encode(compress(b"{", mtime=0)).decode(), "its content is not JSON"),
        (b64encode(compress(b"\xff\xfe\xfd", mtime=0)).decode(), "its content is not JSON"),
        (b64encode(compress(b'{"a": NaN}', mtime=0)).decode(), "its content is not JSON: NaN"),
        (b64encode(_nested(129)).decode(), "its content is nested deeper than 128 levels"),
        (b64encode(compress(b"[" * 100_000, mtime=0)).decode(), "its content is nested deeper"),
        (b64encode(compress(b"1" * 10_000, mtime=0)).decode(), "its content is not JSON"),
        (b64encode(compress(b"9" * 309, mtime=0)).decode(), "its content is not JSON: 99999"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(sent: str, reason: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        decompress(sent, limit=LIMIT)

    assert str(caught.value).startswith(reason)


def test_a_bomb_is_inflated_no_further_than_the_limit() -> None:
    bomb = b64encode(compress(b" " * (LIMIT + 1))).decode()

    with pytest.raises(UnreadableError, match="more than 1 MiB"):
        decompress(bomb, limit=LIMIT)


def test_json_of_exactly_the_limit_is_read() -> None:
    text = b'"' + b"a" * (LIMIT - 2) + b'"'

    assert decompress(b64encode(compress(text)).decode(), limit=LIMIT) == "a" * (LIMIT - 2)


def test_json_of_exactly_the_depth_that_messages_can_carry_is_read() -> None:
    assert decompress(b64encode(_nested(128)).decode(), limit=LIMIT)


def test_integers_of_any_size_stay_exact() -> None:
    assert encode(
        decompress(b64encode(compress(b"1180591620717411303425", mtime=0)).decode(), limit=LIMIT),
        path="",
    ) == ("1180591620717411303425")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"tasks": [{"name": "a\0b"}]}, "flow.tasks.0.name: a NUL character cannot be stored"),
        ({"tasks": [{"n\0": 1}]}, "flow.tasks.0 (a key): a NUL character cannot be stored"),
        ({"x": float("nan")}, "flow: it holds a number that is not one (NaN or infinity)"),
        ({"x": "\ud800"}, "flow: it holds half of a surrogate pair, which is not text"),
    ],
)
def test_what_postgres_cannot_keep_is_refused(value: Any, complaint: str) -> None:
    with pytest.raises(UnstorableError) as caught:
        encode(value, path="flow")

    assert str(caught.value) == complaint


def test_nesting_without_end_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(UnstorableError, match="nested too deeply"):
        encode(value, path="flow")


def test_a_backslash_before_u0000_is_no_nul_character() -> None:
    assert encode("\\u0000", path="") == '"\\\\u0000"'

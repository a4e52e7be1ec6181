"""Integers of any size come back as they were; all else is as orjson has it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime import exact_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(VALUES)
def test_what_is_written_is_read_back_as_it_was(value: Any) -> None:
    text = exact_json.dumps(value)

    assert exact_json.loads(text) == exact_json.loads(text.decode()) == value


@pytest.mark.parametrize("number", [2**63 - 1, 2**64 - 1, 2**64, -(2**63) - 1, 2**70, 10**300])
def test_no_integer_becomes_a_float(number: int) -> None:
    found = exact_json.loads(exact_json.dumps({"x": number}))["x"]

    assert (type(found), found) == (int, number)


def test_a_moment_beside_a_large_integer_is_written_as_alone() -> None:
    timestamp = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)

    found = exact_json.loads(exact_json.dumps({"at": timestamp, "x": 2**70, "id": UUID(int=7)}))

    assert found == {
        "at": "2026-01-02T03:04:05.000006+00:00", "x": 2**70,
        "id": "00000000-0000-0000-0000-000000000007",
    }  # fmt: skip


@pytest.mark.parametrize("value", [{2**70: 1, "\ud800": 2}, [2**70, object()]])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        exact_json.dumps(value)


@pytest.mark.parametrize(
    "text", [b"", b"NaN", b'{"a": 1e999}', b"[" * 2000, b"18446744073709551616,"]
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - orjson's words
        exact_json.loads(text)


def test_numbers_at_a_great_depth_are_refused_rather_than_rounded() -> None:
    text = b"[" * 1010 + b"18446744073709551616" + b"]" * 1010

    assert orjson.loads(text)
    with pytest.raises(ValueError, match="nested too deeply"):
        exact_json.loads(text)


@pytest.mark.parametrize(
    ("value", "levels"), [(1, 0), ([], 1), ([[1], {"a": [{}]}], 4), ({"a": {}}, 2)]
)
def test_depth_is_counted_in_arrays_and_objects(value: object, levels: int) -> None:
    assert not exact_json.is_deeper_than(levels, value)
    assert levels == 0 or exact_json.is_deeper_than(levels - 1, value)


@pytest.mark.parametrize("digits", ["9" * 308, "-" + "9" * 308, "1" + "0" * 308, "-7"])
def test_an_integer_that_is_kept_can_be_read(digits: str) -> None:
    assert exact_json.whole(digits) == exact_json.loads(digits)


@pytest.mark.parametrize("digits", ["9" * 309, "-" + "9" * 309, "1" * 10_000])
def test_an_integer_that_could_not_be_read_is_not_kept(digits: str) -> None:
    with pytest.raises(ValueError, match="number"):
        exact_json.loads(digits)
    with pytest.raises(ValueError, match="larger than any number"):
        exact_json.whole(digits)


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ("\0", True),
        ({"a\0": 1}, True),
        (["\\\0"], True),
        (r"C:\u0000", False),
        ([r"\\u0000", "u0000"], False),
    ],
)
def test_only_the_character_itself_is_a_nul(value: Any, holds: bool) -> None:
    assert exact_json.holds_nul(exact_json.dumps(value).decode()) is holds

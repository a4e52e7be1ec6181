"""What running code reports is kept: without what nothing can hold, and without what is too long."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime import reported

TEXTS = st.text(st.characters() | st.sampled_from("\x00\ud800\udfff"), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_whatever_is_cleaned_can_be_written_and_has_no_fault(value: Any) -> None:
    cleaned = reported.clean(value)

    assert "\\u0000" not in orjson.dumps(cleaned).decode().replace("\\\\", "")
    assert not list(reported.faults(cleaned, "x"))
    assert reported.clean(cleaned) == cleaned


@given(VALUES)
def test_what_has_no_fault_is_left_as_it_was(value: Any) -> None:
    if not list(reported.faults(value, "x")):
        assert reported.clean(value) == value


def test_what_is_nested_too_deeply_says_so() -> None:
    deep: Any = "the end"
    for _ in range(500):
        deep = [deep]

    text = json.dumps(reported.clean(deep))

    assert text == "[" * 128 + f'"{reported.TOO_DEEP}"' + "]" * 128
    assert list(reported.faults(deep, "x")) == [f"x{'[0]' * 128} is nested deeper than 128 levels"]


def test_a_long_text_keeps_its_beginning_and_its_end_and_says_how_much_is_gone() -> None:
    text = "Traceback\n" + "  line\n" * 400_000 + "ValueError: row 7"

    cut = reported.cut_text(text, 10_000)

    assert len(cut) <= 10_000
    assert cut.startswith("Traceback\n")
    assert cut.endswith("ValueError: row 7")
    [gone, whole] = [int(n.replace(",", "")) for n in cut.split("[... ")[1].split()[0:3:2]]
    assert whole == len(text)
    assert gone == len(text) - (
        len(cut) - len(f"\n[... {gone:,} of {whole:,} characters were cut here ...]\n")
    )


@given(TEXTS, st.integers(0, 40))
def test_a_cut_text_is_never_longer_than_its_limit(text: str, limit: int) -> None:
    assert len(reported.cut_text(text, limit)) <= limit
    assert reported.cut_text(text, len(text)) == text


@given(TEXTS.map(reported.clean_text), st.integers(3, 40))
def test_a_name_fits_in_bytes_and_shows_that_it_was_cut(name: str, limit: int) -> None:
    cut = reported.cut_name(name, limit)

    assert len(cut.encode()) <= limit
    assert cut == name or (cut.endswith("…") and name.startswith(cut[:-1]))


def test_of_a_value_that_is_too_large_the_longest_texts_are_cut_and_data_is_not() -> None:
    value = {"message": "x" * 3_000_000, "code": "short", "_result": {"value": "y" * 200_000}}

    fitting = reported.fit(value, limit=1_000_000, keep=frozenset({"_result"}))

    assert fitting is not None
    shorter, body = fitting
    assert len(body) <= 1_000_000
    assert orjson.loads(body) == shorter
    assert shorter["_result"] == value["_result"]
    assert shorter["code"] == "short"
    assert "characters were cut here" in shorter["message"]


@pytest.mark.parametrize("value", [list(range(100)), {"_result": "y" * 100}])
def test_what_is_too_large_without_long_texts_does_not_fit(value: Any) -> None:
    assert reported.fit(value, limit=50, keep=frozenset({"_result"})) is None


def test_what_fits_is_not_touched() -> None:
    value = {"markdown": "x" * 999_000}

    assert reported.fit(value, limit=1_000_000) == (value, orjson.dumps(value))

"""Scalars as clients write them: what is read quickly must be read as before."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from dateutil.parser import isoparse
from graphql import GraphQLError, parse_value
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.graphql import scalars
from services.gateway.graphql.scalars import JSON, SCALARS, json_text, log_level

parse = SCALARS[datetime].parse_value


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("2026-01-02T03:04:05.678901+00:00", datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T05:04:05+02:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T24:00", datetime(2026, 1, 3, tzinfo=UTC)),
        ("20260102T030405Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_a_timestamp_is_read_in_every_form_of_iso_8601(text: str, timestamp: datetime) -> None:
    assert parse(text) == timestamp


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-02T25:00:00Z"])
def test_what_is_no_timestamp_is_refused(text: str) -> None:
    with pytest.raises(GraphQLError, match="DateTime cannot represent"):
        parse(text)


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))  # noqa: DTZ001 - as text
def test_the_quick_reading_agrees_with_the_thorough_one(timestamp: datetime) -> None:
    text = timestamp.isoformat()

    assert parse(text) == isoparse(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_timestamp_that_utc_has_no_year_for_is_refused(text: str) -> None:
    with pytest.raises(GraphQLError, match="in UTC it is not in the years 1 to 9999"):
        parse(text)


def test_an_id_of_a_megabyte_of_hyphens_is_read_and_not_remembered() -> None:
    remembered = len(scalars.IDS)

    found = SCALARS[UUID].parse_value("-" * 1_000_000 + "0" * 32)

    assert found == UUID(int=0)
    assert len(scalars.IDS) == remembered


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is not JSON text"),
        ('{"x": NaN}', "it is not JSON text"),
        ('{"x": -Infinity}', "it is not JSON text"),
        ('{"x": 1e999}', "it is not JSON text"),
        ('{"x": ' + "9" * 309 + "}", "it is not JSON text"),
        (r'{"x": "\ud800"}', "half of a surrogate pair"),
        (r'{"\udc00": 1}', "half of a surrogate pair"),
        ("[" * 129 + "]" * 129, "nested deeper than 128 levels"),
        ("[" * 100_000 + "]" * 100_000, "nested deeper than 128 levels"),
    ],
)
def test_a_json_literal_that_could_not_be_passed_on_is_refused(text: str, reason: str) -> None:
    with pytest.raises(GraphQLError, match=reason):
        json_text(text)


@pytest.mark.parametrize("literal", ["1e999", "[-1e999]", "{x: [1e999]}", f"{{x: {'1' * 5000}}}"])
def test_a_number_that_would_become_null_is_refused_in_an_inline_object_too(literal: str) -> None:
    with pytest.raises(GraphQLError, match="a number that is larger than any"):
        SCALARS[JSON].parse_literal(parse_value(literal))


def test_variables_in_an_inline_object_become_json_and_null_when_they_are_not_given() -> None:
    node = parse_value("{x: [$id, $at, $none, 1.5], y: $none, z: 1180591620717411303424}")

    found = SCALARS[JSON].parse_literal(
        node, {"id": UUID(int=7), "at": datetime(2020, 1, 1, tzinfo=UTC)}
    )

    assert found == {
        "x": ["00000000-0000-0000-0000-000000000007", "2020-01-01T00:00:00+00:00", None, 1.5],
        "y": None,
        "z": 2**70,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"x": 1180591620717411303424}', {"x": 2**70}),
        (r'"\ud83d\ude80"', "🚀"),
        ("1.5e300", 1.5e300),
    ],
)
def test_a_json_literal_is_read_exactly(text: str, value: object) -> None:
    assert json_text(text) == value


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ("ERROR", "ERROR"), ("error", "ERROR"), ("WARN", "WARNING"), ("Level 15", "DEBUG"), ("Level 5", "DEBUG"),
        (35, "WARNING"), (900, "CRITICAL"), ("SUCCESS", "INFO"), ("", "INFO"), (True, "INFO"), ({"a": 1}, "INFO"),
    ],
)  # fmt: skip
def test_a_level_of_a_programs_own_is_one_that_everybody_knows(given: object, level: str) -> None:
    assert log_level(given) == level


@pytest.mark.parametrize("value", [5, True, "", "x" * 36, "0" * 35])
def test_what_is_no_id_is_refused_in_the_same_words_by_both_ways(value: Any) -> None:
    remembered = len(scalars.IDS)

    with pytest.raises(GraphQLError) as quick:
        scalars.IDS[value]
    with pytest.raises(GraphQLError) as slow:
        SCALARS[UUID].parse_value(value)

    assert quick.value.message == slow.value.message == f"Could not parse UUID: {value}"
    assert len(scalars.IDS) == remembered


def test_so_many_ids_are_remembered_and_no_more() -> None:
    for number in range(scalars._REMEMBERED + 10):
        assert scalars.IDS[str(UUID(int=number))] == UUID(int=number)

    assert len(scalars.IDS) <= scalars._REMEMBERED


@pytest.mark.parametrize(
    "value", ["INFO", "WARN", "warning", "Level 35", "mine", 40, 7, True, None]
)
def test_a_level_is_the_same_by_both_ways(value: Any) -> None:
    known = len(scalars.KNOWN_LEVELS)

    found = scalars.KNOWN_LEVELS[value]

    assert found == log_level(value)
    assert len(scalars.KNOWN_LEVELS) == known

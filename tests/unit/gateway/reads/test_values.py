"""What clients may write for each scalar."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from graphql import GraphQLError

from services.gateway.reads.values import (
    BINDINGS,
    named_timestamp,
    timestamp_value,
    uuid_list_value,
)

ID = UUID("0190aaaa-0000-7000-8000-00000000000a")


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("2021-05-12T17:59:58.33804+00:00", datetime(2021, 5, 12, 17, 59, 58, 338040, tzinfo=UTC)),
        ("2021-05-12T19:59:58+02:00", datetime(2021, 5, 12, 17, 59, 58, tzinfo=UTC)),
        ("2021-05-12T17:59:58Z", datetime(2021, 5, 12, 17, 59, 58, tzinfo=UTC)),
        ("2021-05-12 17:59:58", datetime(2021, 5, 12, 17, 59, 58, tzinfo=UTC)),
        ("2021-05-12T17:59:58.123456789", datetime(2021, 5, 12, 17, 59, 58, 123456, tzinfo=UTC)),
        ("2021-05-12", datetime(2021, 5, 12, tzinfo=UTC)),
    ],
)
def test_timestamps_without_an_offset_are_utc(text: str, timestamp: datetime) -> None:
    assert timestamp_value(text) == timestamp


AT = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
MIDNIGHT = datetime(2026, 2, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("word", "instant"),
    [
        ("now", AT),
        (" NOW() ", AT),
        ("today", MIDNIGHT),
        ("Yesterday", MIDNIGHT - timedelta(days=1)),
        ("tomorrow", datetime(2026, 3, 1, tzinfo=UTC)),
        (["today", "2026-01-01"], [MIDNIGHT, "2026-01-01"]),
    ],
)
def test_a_day_in_words_is_its_midnight_in_utc(word: Any, instant: Any) -> None:
    assert named_timestamp(word, AT) == instant


@pytest.mark.parametrize("value", ["todays", "now() - 1", "epoch", "", None, 7, {"now": 1}])
def test_what_is_no_word_for_a_day_stays_as_it_is(value: Any) -> None:
    assert named_timestamp(value, AT) == value


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("uuid", "x"),
        ("uuid", 7),
        ("uuid", None),
        ("timestamptz", "yesterday"),
        ("timestamptz", "0001-01-01T00:00:00+14:00"),
        ("timestamptz", 1),
        ("Int", 2**31),
        ("Int", 1.5),
        ("Int", True),
        ("Int", float("inf")),
        ("bigint", 2**63),
        ("bigint", "one"),
        ("String", 1),
        ("String", "\0"),
        ("String", "\ud800"),
        ("Boolean", 1),
        ("jsonb", {"a": ["\0"]}),
        ("jsonb", "\ud800"),
    ],
)
def test_what_cannot_be_a_value_is_refused(scalar: str, value: Any) -> None:
    with pytest.raises(GraphQLError):
        BINDINGS[scalar].convert(value)


def test_a_backslash_before_u0000_is_text() -> None:
    assert BINDINGS["jsonb"].convert("\\u0000") == '"\\\\u0000"'


def test_a_long_value_is_shortened_in_its_refusal() -> None:
    with pytest.raises(GraphQLError) as refused:
        BINDINGS["uuid"].convert("x" * 1000)

    assert len(refused.value.message) < 150


@pytest.mark.parametrize(
    ("text", "ids"), [("{}", []), (f"{{{ID}}}", [ID]), (f' {{ "{ID}" ,{ID}}} ', [ID, ID])]
)
def test_an_array_literal_of_uuids_is_read(text: str, ids: list[UUID]) -> None:
    assert uuid_list_value(text) == ids

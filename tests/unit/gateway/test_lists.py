"""Lists in memory are filtered, ordered and paged as the read path does it with tables."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from graphql import GraphQLError

from services.gateway.graphql.lists import paged


@dataclass
class Below:
    """What is nested in a row."""

    name: str


@dataclass
class Row:
    """A row of a list."""

    id: UUID
    name: str | None
    at: datetime
    role: Below
    seats: list[Below]


ROWS = [
    Row(
        id=UUID(int=number),
        name=name,
        at=datetime(2026, 1, number, tzinfo=UTC),
        role=Below(role),
        seats=[Below(seat) for seat in seats],
    )
    for number, name, role, seats in [
        (1, "ann", "USER", "ab"),
        (2, None, "USER", ""),
        (3, "100%_Bob", "ADMIN", "b"),
    ]
]


NOW = datetime(2026, 1, 2, 15, tzinfo=UTC)


def numbers(**given: Any) -> list[int]:
    arguments: dict[str, Any] = dict.fromkeys(("where", "order_by", "limit", "offset"))
    return [row.id.int for row in paged(ROWS, **(arguments | given), at=NOW)]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (None, [1, 2, 3]),
        ({}, [1, 2, 3]),
        ({"name": None}, [1, 2, 3]),
        ({"name": {"_eq": None}}, [1, 2, 3]),
        ({"name": {"_eq": "ann"}}, [1]),
        ({"name": {"_neq": "ann"}}, [3]),
        ({"_not": {"name": {"_eq": "ann"}}}, [3]),
        ({"name": {"_is_null": True}}, [2]),
        ({"id": {"_in": ["00000000-0000-0000-0000-000000000003"]}}, [3]),
        ({"id": {"_eq": "00000000000000000000000000000001"}}, [1]),
        ({"id": {"_in": []}}, []),
        ({"id": {"_nin": []}}, [1, 2, 3]),
        ({"at": {"_gte": "2026-01-02"}}, [2, 3]),
        ({"at": {"_lt": "yesterday"}}, []),
        ({"at": {"_in": ["yesterday", "today"]}}, [1, 2]),
        ({"at": {"_gt": "now()"}}, [3]),
        ({"at": {"_lt": "2026-01-02T02:00:00+02:00"}}, [1]),
        ({"_or": [{"name": {"_eq": "ann"}}, {"name": {"_is_null": True}}]}, [1, 2]),
        ({"_or": []}, []),
        ({"_and": [{"name": {"_eq": "ann"}}, {"name": {"_eq": "bob"}}]}, []),
        ({"role": {"name": {"_eq": "USER"}}}, [1, 2]),
        ({"seats": {"name": {"_eq": "b"}}}, [1, 3]),
        ({"name": {"_like": "100\\%\\_%b"}}, [3]),
        ({"name": {"_like": "100\\%x%"}}, []),
        ({"name": {"_like": "_nn"}}, [1]),
        ({"name": {"_like": "%n%n"}}, [1]),
        ({"name": {"_like": "an"}}, []),
        ({"name": {"_nlike": "%a%"}}, [3]),
        ({"name": {"_ilike": "%BOB"}}, [3]),
        ({"name": {"_similar": "%nn%"}}, [1]),
    ],
)
def test_a_filter_keeps_what_it_is_true_of(where: Any, found: list[int]) -> None:
    assert numbers(where=where) == found


@pytest.mark.parametrize(
    ("order_by", "found"),
    [
        ([], [1, 2, 3]),
        ([{"name": "asc"}], [3, 1, 2]),
        ([{"name": "desc"}], [2, 1, 3]),
        ([{"name": "desc_nulls_last"}], [1, 3, 2]),
        ([{"id": "desc", "name": None}], [3, 2, 1]),
    ],
)
def test_an_ordering_puts_nulls_where_postgresql_does(order_by: Any, found: list[int]) -> None:
    assert numbers(order_by=order_by) == found


def test_a_page_is_cut_after_ordering() -> None:
    assert numbers(order_by=[{"id": "desc"}], offset=1, limit=1) == [2]
    assert numbers(limit=0) == []


def test_a_pattern_of_many_wildcards_is_matched_at_once() -> None:
    row = Row(ROWS[0].id, "a" * 5_000, ROWS[0].at, ROWS[0].role, [])

    where = {"name": {"_like": "%a" * 500 + "b"}}

    assert paged([row], where=where, order_by=None, limit=None, offset=None, at=NOW) == []


@pytest.mark.parametrize(
    "given",
    [
        {"limit": -1},
        {"offset": -1},
        {"where": {"name": {"_regex": "(a+)+$"}}},
        {"where": {"id": {"_eq": "x"}}},
        {"where": {"at": {"_gt": "soon"}}},
    ],
)
def test_what_an_argument_cannot_mean_is_refused(given: Any) -> None:
    with pytest.raises(GraphQLError):
        numbers(**given)

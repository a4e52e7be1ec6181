"""Statements that name their record sets and values."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest

from libs.contracts.base import JsonObject
from libs.runtime.database import names
from libs.runtime.records import RecordStatement


class Move(NamedTuple):
    run_id: UUID
    state: str
    at: datetime
    agent_id: UUID | None


class Slot(NamedTuple):
    limit_id: UUID
    number: int


ONE, TWO = UUID(int=1), UUID(int=2)
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def module_with(folder: Path, text: str) -> str:
    """The path of a module beside which `queries/write.sql` has this text."""
    (folder / "queries").mkdir()
    (folder / "queries" / "write.sql").write_text(text)
    return str(folder / "store.py")


def test_record_sets_and_values_get_their_numbers_from_their_names(tmp_path: Path) -> None:
    module = module_with(
        tmp_path, "WITH m AS (SELECT * FROM {moved}) SELECT {by}, {by}::text, {to} FROM {slots}"
    )

    statement = RecordStatement(module, "write", moved=Move, slots=Slot)

    assert statement.text == (
        "WITH m AS (SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[])"
        " AS moved (run_id, state, at, agent_id)) SELECT $7, $7::text, $8"
        " FROM unnest($5::uuid[], $6::int[]) AS slots (limit_id, number)"
    )


def test_a_row_may_have_parts_side_by_side(tmp_path: Path) -> None:
    module = module_with(tmp_path, "SELECT * FROM {moved}")
    statement = RecordStatement(module, "write", moved=(Move, Slot))

    rows = [
        Move(ONE, "Running", NOON, None) + Slot(TWO, 3),
        Move(TWO, "Failed", NOON, ONE) + Slot(ONE, 4),
    ]

    assert statement.text == (
        "SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[], $5::uuid[], $6::int[])"
        " AS moved (run_id, state, at, agent_id, limit_id, number)"
    )
    assert statement.arguments(moved=rows)[4:] == [(TWO, ONE), (3, 4)]
    assert statement.arguments(moved=[]) == [()] * 6


def test_no_field_is_in_two_parts_of_a_row(tmp_path: Path) -> None:
    module = module_with(tmp_path, "SELECT * FROM {moved}")

    with pytest.raises(TypeError, match="limit_id: it is in two parts"):
        RecordStatement(module, "write", moved=(Slot, Slot))


def test_rows_become_one_array_for_each_field(tmp_path: Path) -> None:
    module = module_with(tmp_path, "SELECT {to}, {by} FROM {moved} CROSS JOIN {slots}")
    statement = RecordStatement(module, "write", moved=Move, slots=Slot)

    arguments = statement.arguments(
        by="me",
        slots=[],
        moved=[
            Move(run_id=ONE, state="Running", at=NOON, agent_id=None),
            Move(run_id=TWO, state="Failed", at=NOON, agent_id=ONE),
        ],
        to="you",
    )

    moved = [(ONE, TWO), ("Running", "Failed"), (NOON, NOON), (None, ONE)]
    assert arguments == [*moved, (), (), "you", "me"]


def test_what_a_statement_does_not_get_is_an_error(tmp_path: Path) -> None:
    module = module_with(tmp_path, "SELECT {by} FROM {moved}")
    statement = RecordStatement(module, "write", moved=Move)

    with pytest.raises(KeyError, match="by"):
        statement.arguments(moved=[])
    with pytest.raises(TypeError, match="from"):
        statement.arguments(moved=[], by=1, **{"from": 2})


class Told(NamedTuple):
    document: JsonObject | None
    wait: timedelta


def test_a_statement_that_stands_in_no_file_has_its_text_and_a_name_for_traces() -> None:
    statement = RecordStatement.of("SELECT {told_at} FROM {told}", "tell", told=Told)

    assert (
        statement.text
        == "SELECT $3 FROM unnest($1::jsonb[], $2::interval[]) AS told (document, wait)"
    )
    assert names[statement.text] == "tell"


class Odd(NamedTuple):
    state: dict[str, str]


@pytest.mark.parametrize(
    ("row", "said"),
    [(Odd, "state: no PostgreSQL type"), (Move, "moved: the statement `write` has no such set")],
)
def test_a_record_set_that_cannot_be_is_found_when_the_module_is_imported(
    tmp_path: Path, row: type[tuple[object, ...]], said: str
) -> None:
    text = "SELECT * FROM {moved}" if row is Odd else "SELECT 1"

    with pytest.raises(TypeError, match=said):
        RecordStatement(module_with(tmp_path, text), "write", moved=row)

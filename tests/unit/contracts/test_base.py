"""What all messages have."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from asyncpg.pgproto import pgproto
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import runs
from libs.contracts.base import Message, Refused
from libs.contracts.errors import Code
from libs.contracts.runs import RunKind, StateProposal

_ID = UUID("0190aaaa-0000-7000-8000-00000000000a")
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


def proposed(state: Any) -> runs.SetStates:
    proposal = StateProposal(
        run_kind=RunKind.TASK_RUN, run_id=_ID, state=state, seen_version=1, by_person=True
    )
    return runs.SetStates(tenant_id=_ID, proposals=[proposal, proposal])


@given(_JSON)
def test_a_message_is_read_as_it_was_written(state: Any) -> None:
    message = proposed({"state": state})

    assert runs.SetStates.model_validate_json(message.encoded()) == message


class Timed(Message):
    """Values that orjson does not write as pydantic does."""

    at: datetime
    seconds: timedelta | None = None
    number: float | None = None
    of: dict[UUID, list[Refused]] = {}


@pytest.mark.parametrize(
    "message",
    [
        Timed(at=datetime(2026, 1, 2, tzinfo=UTC)),
        Timed(at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), seconds=timedelta(hours=1)),
        Timed(at=datetime(2026, 1, 2, tzinfo=UTC), number=2.0**60),
        Timed(at=datetime(2026, 1, 2, tzinfo=UTC), of={_ID: [Refused(code=Code.BUSY)]}),
    ],
    ids=["timestamp", "duration", "large", "keys that are ids"],
)
def test_values_of_other_types_are_read_as_they_were_written(message: Timed) -> None:
    assert Timed.model_validate_json(message.encoded()) == message


def test_ids_from_the_database_are_written_as_ids() -> None:
    applied = runs.StateApplied(id=pgproto.UUID(str(_ID)), state="Running", version=2)

    assert orjson.loads(applied.encoded()) == orjson.loads(applied.model_dump_json())


def test_what_is_no_number_is_null_as_pydantic_writes_it() -> None:
    message = proposed({"a": math.nan, "b": math.inf})

    assert orjson.loads(message.encoded()) == orjson.loads(message.model_dump_json())

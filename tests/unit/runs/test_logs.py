"""Log batches are read by plain checks where nothing is odd, with the same outcome as by the contract."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from libs.contracts.runs import LogBatch
from services.runs.log_rows import MESSAGE_LIMIT, read_batch, rows_of, usual_rows_of

TENANT = "00000000-0000-7000-8000-000000000001"
RUN = "00000000-0000-7000-8000-000000000002"
LINE = {
    "id": "00000000-0000-7000-8000-000000000003",
    "flow_run_id": RUN,
    "task_run_id": None,
    "timestamp": "2026-01-02T03:04:05.000678+00:00",
    "name": "prefect",
    "level": "INFO",
    "message": "Zürich: 5 °C\n",
    "info": None,
}


def body(*lines: Any, **fields: Any) -> bytes:
    batch = {"tenant_id": TENANT, "accepted": "2026-01-02T03:04:06+00:00", "lines": lines}
    return orjson.dumps(batch | fields)


def test_what_a_gateway_writes_is_read_by_plain_checks() -> None:
    data = body(LINE, LINE | {"name": None, "message": None, "task_run_id": RUN})

    rows = usual_rows_of(data, tenant=TENANT, sequence=7)

    assert rows is not None
    assert rows == rows_of(LogBatch.model_validate_json(data), sequence=7)


ODD = [
    {"id": None},
    {"id": "no id"},
    {"id": 7},
    {"flow_run_id": "no id"},
    {"flow_run_id": ["no id"]},
    {"flow_run_id": 7},
    {"task_run_id": {}},
    {"timestamp": None},
    {"timestamp": "now"},
    {"timestamp": "infinity"},
    {"timestamp": 1_700_000_000},
    {"timestamp": "2026-01-02"},
    {"timestamp": "2026-01-02T03:04:05"},
    {"timestamp": "2026-01-02T03:04:05+01:00"},
    {"timestamp": "9999-12-31T23:59:59-12:00"},
    {"name": 7},
    {"level": None},
    {"level": ["INFO"]},
    {"message": {"a": 1}},
    {"message": "a\x00b"},
    {"info": {"a": 1}},
    {"info": False},
]


@pytest.mark.parametrize("field", ODD, ids=str)
def test_an_odd_line_is_left_to_the_contract(field: dict[str, Any]) -> None:
    assert usual_rows_of(body(LINE, LINE | field), tenant=TENANT, sequence=7) is None


@pytest.mark.parametrize(
    "field",
    [
        {"timestamp": "20260102T030405.000678Z"},
        {"timestamp": "2026-W01-5T03:04:05.000678+00:00"},
        {"id": "00000000000070008000-000000000003"},
    ],
    ids=str,
)
def test_another_form_of_the_same_is_the_same(field: dict[str, Any]) -> None:
    usual = usual_rows_of(body(LINE), tenant=TENANT, sequence=7)

    assert usual_rows_of(body(LINE | field), tenant=TENANT, sequence=7) == usual


@pytest.mark.parametrize("missing", LINE)
def test_a_line_without_a_field_is_left_to_the_contract(missing: str) -> None:
    line = {name: value for name, value in LINE.items() if name != missing}

    assert usual_rows_of(body(line), tenant=TENANT, sequence=7) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{not json",
        b"[]",
        b"null",
        b'"text"',
        body(LINE, tenant_id=RUN),
        body(LINE, tenant_id=None),
        body(LINE, accepted="yesterday"),
        body(LINE, accepted=None),
        body(LINE, lines=None),
        body(LINE, lines=[None]),
        body(LINE, lines="text"),
    ],
)
def test_an_odd_message_is_left_to_the_contract(data: bytes) -> None:
    assert usual_rows_of(data, tenant=TENANT, sequence=7) is None


FAR_WEST = timezone(timedelta(hours=-12))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text() | st.just(RUN)
    | st.datetimes(timezones=st.sampled_from([UTC, FAR_WEST, None])).map(datetime.isoformat),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(sorted(LINE)), ANYTHING, max_size=3))
def test_plain_checks_let_nothing_pass_that_the_contract_reads_otherwise(
    fields: dict[str, Any],
) -> None:
    data = body(LINE | fields)

    rows = usual_rows_of(data, tenant=TENANT, sequence=7)

    if rows is not None:
        try:
            batch = LogBatch.model_validate_json(data)
        except ValidationError as error:
            pytest.fail(f"the contract refuses it: {error}")
        assert rows == rows_of(batch, sequence=7)


def test_a_line_that_is_none_does_not_cost_the_others() -> None:
    found, lost = read_batch(body(LINE, LINE | {"id": "no id"}, None, LINE | {"message": "last"}))

    assert [line.message for line in found.lines] == [LINE["message"], "last"]
    assert len(lost) == 2
    assert lost[0].startswith("id: ")


@pytest.mark.parametrize(
    "data", [body("line"), body(LINE | {"timestamp": None}), b"[]", b"{", body(LINE, lines={})]
)
def test_a_message_without_any_line_that_is_one_is_no_batch(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_batch(data)


def test_what_no_database_holds_is_replaced_and_what_is_too_long_is_cut() -> None:
    odd = json.dumps(
        {
            "tenant_id": TENANT,
            "accepted": "2026-01-02T03:04:06+00:00",
            "lines": [
                LINE | {"message": "caf\ud8e9\x00", "name": "\udcff"},
                LINE | {"info": {"caf\ud8e9": float("nan"), "n": 2**70}},
                LINE | {"message": "x" * (MESSAGE_LIMIT + 1), "info": {"x": "y" * 3_000_000}},
            ],
        }
    )

    found, lost = read_batch(odd.encode())
    rows = rows_of(found, sequence=1)

    assert not lost
    assert (rows[0][7], rows[0][9]) == ("�", "caf��")
    assert rows[1][10] == f'{{"caf�":"NaN","n":{2**70}}}'
    assert len(rows[2][9]) <= MESSAGE_LIMIT
    assert "characters were cut here" in rows[2][9]
    assert "characters were cut here" in rows[2][10]["x"]

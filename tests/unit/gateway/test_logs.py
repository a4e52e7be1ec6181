"""Log lines as the gateway puts them on the stream are what the ledger reads."""

from datetime import UTC, datetime
from uuid import UUID

from asyncpg.pgproto import pgproto

from libs.contracts.runs import LogBatch, LogLine
from services.gateway.graphql.mutations.logs import (
    BATCH_BYTES,
    MESSAGE_LIMIT,
    WriteRunLog,
    _messages,
    bodies_of,
)
from services.gateway.graphql.scalars import JSON, LogLevel

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
TENANT, RUN, TASK_RUN, ID = (UUID(int=number) for number in range(1, 5))


def batches_of(*lines: WriteRunLog) -> list[LogBatch]:
    bodies = bodies_of(lines, tenant_id=TENANT, now=NOW, ids=lambda: ID)
    return [LogBatch.model_validate_json(body) for body in bodies]


def test_every_field_arrives() -> None:
    at = datetime(2025, 12, 31, tzinfo=UTC)
    line = WriteRunLog(
        flow_run_id=RUN,
        task_run_id=TASK_RUN,
        timestamp=at,
        message="Zürich: 5 °C\n",
        name="prefect",
        level=LogLevel("ERROR"),
        info=JSON({"a": [1, None, 0.5]}),
    )
    expected = LogLine(
        id=ID,
        flow_run_id=RUN,
        task_run_id=TASK_RUN,
        timestamp=at,
        message="Zürich: 5 °C\n",
        name="prefect",
        level="ERROR",
        info={"a": [1, None, 0.5]},
    )
    assert batches_of(line) == [LogBatch(tenant_id=TENANT, accepted=NOW, lines=[expected])]


def test_ids_as_the_database_driver_makes_them_arrive() -> None:
    tenant, run = pgproto.UUID(str(TENANT)), pgproto.UUID(str(RUN))
    lines = [WriteRunLog(flow_run_id=run)]
    [body] = bodies_of(lines, tenant_id=tenant, now=NOW, ids=lambda: ID)
    batch = LogBatch.model_validate_json(body)
    assert (batch.tenant_id, batch.lines[0].flow_run_id) == (TENANT, RUN)


def test_what_a_line_leaves_out_is_now_and_info() -> None:
    [batch] = batches_of(WriteRunLog(message="a\x00b"))
    assert batch.lines == [LogLine(id=ID, timestamp=NOW, level="INFO", message="a\ufffdb")]


def test_what_cannot_be_stored_is_replaced_wherever_it_stands() -> None:
    lines = [
        WriteRunLog(message="plain"),
        WriteRunLog(message="a\x00b", name="\x00"),
        WriteRunLog(),
    ]

    [batch] = batches_of(*lines)

    found = [(line.message, line.name) for line in batch.lines]
    assert found == [("plain", None), ("a\ufffdb", "\ufffd"), (None, None)]


def test_the_six_characters_of_an_escape_are_kept() -> None:
    [batch] = batches_of(WriteRunLog(message="\\u0000"))

    assert batch.lines[0].message == "\\u0000"


def test_the_lines_of_each_run_are_a_message_in_their_order() -> None:
    ids = [RUN, TASK_RUN, None, RUN, TASK_RUN, None, RUN]
    # Equal ids need not be the same object.
    lines = [
        WriteRunLog(flow_run_id=None if id_ is None else UUID(str(id_)), message=str(number))
        for number, id_ in enumerate(ids)
    ]

    found = {
        subject.rpartition(".")[2]: [
            line.message for line in LogBatch.model_validate_json(body).lines
        ]
        for subject, body in _messages(lines, tenant_id=TENANT, now=NOW, ids=lambda: ID)
    }

    assert found == {
        "none": ["2", "5"],
        str(RUN): ["0", "3", "6"],
        str(TASK_RUN): ["1", "4"],
    }


def test_many_lines_are_cut_into_messages_that_are_acknowledged_quickly() -> None:
    lines = [WriteRunLog(message=str(number) + "x" * 100_000) for number in range(12)]
    bodies = list(bodies_of(lines, tenant_id=TENANT, now=NOW, ids=lambda: ID))
    assert 1 < len(bodies) < len(lines)
    assert all(len(body) < BATCH_BYTES for body in bodies)
    read = [line.message for body in bodies for line in LogBatch.model_validate_json(body).lines]
    assert read == [line.message for line in lines]


def test_every_line_of_a_message_has_an_id_of_its_own() -> None:
    last = UUID(int=(1 << 128) - 2)
    lines = [WriteRunLog(message=str(number)) for number in range(3)]
    [body] = bodies_of(lines, tenant_id=TENANT, now=NOW, ids=lambda: last)
    ids = [line.id for line in LogBatch.model_validate_json(body).lines]
    assert ids == [last, UUID(int=last.int + 1), UUID(int=last.int + 1 - (1 << 48) + 1)]


def test_a_line_that_is_too_long_is_cut_and_says_so() -> None:
    long = "a" + "x" * MESSAGE_LIMIT + "z"
    line = WriteRunLog(message=long, name=long, info=JSON({"x": "y" * 3_000_000}))

    [[read]] = [batch.lines for batch in batches_of(line)]

    for text in (read.message, read.name):
        assert text is not None
        assert len(text) <= MESSAGE_LIMIT
        assert (text[0], text[-1]) == ("a", "z")
        assert "characters were cut here" in text
    assert "characters were cut here" in read.info["x"]

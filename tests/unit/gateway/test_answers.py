"""What clients are told of errors: expected ones as they are, surprises under an id."""

from uuid import UUID

import orjson
import pytest
from graphql import GraphQLError

from services.gateway.answers import LONGEST_SENTENCE, Answer, Answers
from services.gateway.shares import BusyError

ID = UUID("0190a0a0-0000-7000-8000-000000000001")
ANSWERS = Answers(lambda: ID)


def test_a_surprise_does_not_show_its_text() -> None:
    answer = ANSWERS.failed(ZeroDivisionError("the password is hunter2"))

    body = orjson.loads(answer.body)
    assert answer.status == 200
    assert body["data"] is None
    assert body["errors"][0]["message"].endswith(f"An internal error occurred: {ID}.")
    assert body["errors"][0]["extensions"] == {
        "code": "INTERNAL_SERVER_ERROR",
        "error_id": str(ID),
    }


def test_an_outage_is_said_so_that_clients_ask_again() -> None:
    answer = ANSWERS.failed(ConnectionRefusedError("10.0.0.1:5432"))

    [error] = orjson.loads(answer.body)["errors"]
    assert error["extensions"]["code"] == "API_ERROR"
    assert "10.0.0.1" not in error["message"]


def test_an_expected_error_keeps_its_words_and_the_code_of_its_cause() -> None:
    cause = GraphQLError("Invalid project.", extensions={"code": "BAD_USER_INPUT"})
    answer = ANSWERS.done({"x": None}, [GraphQLError("Invalid project.", original_error=cause)])

    body = orjson.loads(answer.body)
    assert body["data"] == {"x": None}
    assert body["errors"][0]["message"] == "Invalid project."
    assert body["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


def test_a_refusal_has_no_data_and_a_status_of_its_own() -> None:
    answer = ANSWERS.refused([GraphQLError("x" * 5_000)])

    body = orjson.loads(answer.body)
    assert answer.status == 400
    assert "data" not in body
    assert len(body["errors"][0]["message"]) <= LONGEST_SENTENCE + 50


def test_who_has_its_share_is_told_to_ask_again() -> None:
    answer = ANSWERS.busy(BusyError("wait"))

    assert answer.is_busy
    assert b"API_ERROR" in answer.body


def busy_at(key: str) -> GraphQLError:
    """As graphql-core and the compiled plans wrap what a mutation raises."""
    inner = GraphQLError("wait", path=[key], original_error=BusyError("wait"))
    return GraphQLError("wait", path=[key], original_error=inner)


def test_a_mutation_that_finds_no_room_is_told_to_ask_again_in_its_own_words() -> None:
    answer = ANSWERS.done({"a": None, "b": None}, [busy_at("a"), busy_at("b")])

    assert answer.is_busy
    assert orjson.loads(answer.body)["errors"] == [
        {"message": "wait", "path": [key], "extensions": {"code": "API_ERROR"}} for key in "ab"
    ]


def test_what_was_done_in_part_or_failed_otherwise_is_not_asked_again() -> None:
    in_part = ANSWERS.done({"a": {"id": 1}, "b": None}, [busy_at("b")])
    otherwise = ANSWERS.done({"a": None, "b": None}, [busy_at("a"), GraphQLError("no", path=["b"])])

    assert not in_part.is_busy
    assert not otherwise.is_busy
    assert orjson.loads(in_part.body)["errors"][0]["extensions"] == {"code": "API_ERROR"}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (ANSWERS.done({"x": 1}), "done"),
        (ANSWERS.failed(ConnectionRefusedError("10.0.0.1:5432")), "API_ERROR"),
        (ANSWERS.failed(ZeroDivisionError()), "INTERNAL_SERVER_ERROR"),
        (ANSWERS.busy(BusyError("too much")), "BUSY"),
        (ANSWERS.done({"x": None}, [GraphQLError("y", original_error=BusyError("z"))]), "BUSY"),
        (ANSWERS.refused([GraphQLError("Syntax Error")]), "refused"),
        (ANSWERS.done({"x": None}, [GraphQLError("no", extensions={"code": "FORBIDDEN"})]), "FORBIDDEN"),
        (ANSWERS.done({"x": None}, [GraphQLError("no", extensions={"code": "MINE"})]), "refused"),
    ],
)  # fmt: skip
def test_the_outcome_tells_what_status_200_hides(answer: Answer, outcome: str) -> None:
    assert answer.outcome == outcome

"""A body becomes the same operations whichever reader reads it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway import requests
from services.gateway.requests import BadRequestError, Operation, operations_in, operations_in_large

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def body(variables: Any, *, as_text: bool = False) -> bytearray:
    given = json.dumps(variables) if as_text else variables
    return bytearray(json.dumps({"query": "{ hello }", "variables": given}).encode())


@pytest.fixture
def everything_is_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_DENSE", -1)


def found(read: Any, text: bytearray) -> tuple[str, bool]:
    operation = read(text)
    assert isinstance(operation, Operation)
    return json.dumps(operation.variables), operation.odd


@given(st.dictionaries(st.text(), VALUES), st.booleans())
def test_the_reader_in_python_reads_what_the_quick_one_does(
    variables: dict[str, Any], as_text: bool
) -> None:
    text = body(variables, as_text=as_text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "_DENSE", -1)
        value, odd = found(operations_in_large, text)

    # A pair of surrogates that was escaped is looked at more closely, and is what it was.
    assert value == found(operations_in, text)[0]
    assert odd or not found(operations_in, text)[1]


@pytest.mark.usefixtures("everything_is_dense")
@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1,]", b"\xff", b'{"query": 1}', b"[]", b"nul", b'"a', b"[" * 100_000]
)
def test_what_is_no_request_is_refused_by_both(text: bytes) -> None:
    for read in (operations_in, operations_in_large):
        with pytest.raises(BadRequestError):
            read(bytearray(text))


@pytest.mark.parametrize("item", [b"[]", b"{}", b"[[1]]"])
def test_more_values_than_a_body_may_have_are_not_read(item: bytes) -> None:
    text = bytearray(b"[" + b",".join([item] * 200_001) + b"]")

    with pytest.raises(BadRequestError, match="more than 200000 objects and arrays") as refused:
        operations_in_large(text)

    assert refused.value.status == 413

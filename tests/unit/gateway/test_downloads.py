"""What the address of a download may say, and how a value becomes a cell."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.gateway.downloads.cells import cell, rows_as_csv
from services.gateway.downloads.parameters import (
    Cursor,
    cursor,
    log_download,
    log_search,
    table_download,
)
from services.gateway.requests import BadRequestError


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("a=1", "a=1"),
        (-1, "-1"),
        (-1.5, "-1.5"),
        (True, "true"),
        (None, ""),
        ({"a": [1, None]}, '{"a":[1,null]}'),
    ],
)
def test_a_text_that_looks_like_a_formula_is_quoted_and_a_number_is_not(
    value: object, written: str
) -> None:
    assert cell(value) == written


def test_cells_with_commas_quotes_and_line_breaks_stay_one_cell() -> None:
    assert rows_as_csv([['a,"b"\nc', "d"]]) == b'"a,""b""\nc",d\r\n'


@pytest.mark.parametrize(
    "text", ["2026-11-30T06:50:55.123456Z,42", "2026-11-30T06:50:55.123456 00:00,42"]
)
def test_a_place_in_a_log_is_read_as_a_line_says_it(text: str) -> None:
    assert cursor(text) == Cursor(datetime(2026, 11, 30, 6, 50, 55, 123456, UTC), 42)


@pytest.mark.parametrize(
    ("read", "given", "names"),
    [
        (log_download, {"format": "xml"}, "format"),
        (log_download, {"gzip": "maybe"}, "gzip"),
        (log_download, {"after": "yesterday"}, "after"),
        (log_download, {"after": "2026-11-30T06:50:55,1"}, "after"),
        (log_download, {"after": "2026-11-30T06:50:55Z,-1"}, "after"),
        (log_download, {"after": "0001-01-01T00:00:00+23:59,1"}, "after"),
        (log_download, {"text": "\x00"}, "text"),
        (log_download, {"text": "a" * 1001}, "text"),
        (log_download, {"task_run_id": "7"}, "task_run_id"),
        (log_download, {"levels": "INFO"}, "levels"),
        (log_search, {"limit": "0"}, "limit"),
        (log_search, {"limit": "1001"}, "limit"),
        (log_search, {"after": "²"}, "after"),
        (table_download, {"where": "{"}, "where"),
        (table_download, {"where": "[]"}, "where"),
        (table_download, {"order": "name"}, "order"),
        (table_download, {"after": "x"}, "after"),
        (table_download, {"columns": ",".join("a" * 101)}, "columns"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_name(
    read: object, given: dict[str, str], names: str
) -> None:
    with pytest.raises(BadRequestError, match=names):
        read(given)  # type: ignore[operator]  # one of three functions


def test_columns_may_lead_to_other_tables() -> None:
    assert table_download({"columns": "id, flow.name"}).columns == (("id",), ("flow", "name"))


def test_a_page_of_a_table_begins_after_an_id() -> None:
    last = UUID(int=7)

    assert table_download({"after": str(last), "order": "desc"}).after == last

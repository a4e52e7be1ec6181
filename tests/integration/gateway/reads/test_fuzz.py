"""Whatever a client sends, it gets an answer or a reason; never a fault of ours, and the next request is answered."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.gateway.reads import BadVariables
from tests.integration.gateway.reads.asking import Asker, asking
from tests.integration.gateway.reads.world import make_world, store
from tests.support.engines import Database
from tests.support.examples import examples
from tests.support.found_by_fuzz import DOCUMENTS, found_in, line_for

_TEXTS = [
    section.split("\n", maxsplit=1)[1]
    for section in re.split(
        r"^### ",
        Path(__file__).with_name("client_operations.graphql").read_text(),
        flags=re.MULTILINE,
    )[1:]
]
_TOKENS = (
    "{", "}", "(", ")", "[", "]", ":", "!", "$", "$x", "@include(if: true)", "@skip(if: $x)", "...", "... on flow",
    "null", "true", "1", "-1", "1e99", "99999999999", '""', '"\\u0000"', '"{}"', '"a%"', '"("', "_eq:", "_in:",
    "_or: []", "_not: {}", "limit:", "offset:", "order_by:", "distinct_on:", "where:", "id", "flow", "logs",
    "flow_runs_aggregate", "aggregate", "count", "__typename", "__schema", "fragment f on flow { id }", "...f",
    "query Q($x: uuid = null)", "mutation", '"""', "#", "\\", "\x00", "é",
)  # fmt: skip
_EXAMPLES = settings(
    max_examples=examples(120),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=5),
        st.sampled_from(["asc", "desc", "name", "0190aaaa-0000-7000-8000-00000000000a", "2026-01-01", "\0", "\ud800"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["_eq", "_in", "_gt", "_is_null", "_not", "_and", "name", "flow", "id", "created", "labels"]
            ),
            inner, max_size=3,
        ),
    ),
    max_leaves=8,
)  # fmt: skip


@pytest.fixture(scope="module")
async def asker(database: Database) -> AsyncIterator[Asker]:
    await store(make_world(31), database.admin_pool)
    async with asking(database.postgres_url("reader")) as found:
        yield found


async def _ask(asker: Asker, text: str, variables: dict[str, Any] | None = None) -> None:
    """Ask; a refusal is an answer."""
    try:
        answer = await asker.ask(text, variables)
        codes = [(error.get("extensions") or {}).get("code") for error in answer.get("errors", [])]
        assert not {"INTERNAL_SERVER_ERROR", "API_ERROR"} & set(codes), answer["errors"]
    except (GraphQLError, BadVariables):
        return
    except Exception as error:
        error.add_note(line_for(DOCUMENTS, document=text, variables=variables))
        raise


@_EXAMPLES
@given(data=st.data())
async def test_a_broken_document_is_answered_or_refused(asker: Asker, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(_TEXTS))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 12))
        pieces = data.draw(st.lists(st.sampled_from(_TOKENS), max_size=3))
        text = f"{text[:start]} {' '.join(pieces)} {text[start + length :]}"

    await _ask(asker, text)


_COLUMNS = {
    "name": "String",
    "created": "timestamptz",
    "labels": "jsonb",
    "version": "Int",
    "duration": "interval",
    "agent_id": "uuid",
}


@_EXAMPLES
@given(variables=st.fixed_dictionaries(dict.fromkeys("wold", _VALUES)))
async def test_broken_arguments_are_answered_or_refused(
    asker: Asker, variables: dict[str, Any]
) -> None:
    text = """query ($w: flow_run_bool_exp, $o: [flow_run_order_by!], $l: Int, $d: [flow_run_select_column!]) {
        flow_run(where: $w, order_by: $o, limit: $l, offset: $l, distinct_on: $d) { id }
    }"""

    await _ask(asker, text, variables)


@_EXAMPLES
@given(column=st.sampled_from(list(_COLUMNS)), value=_VALUES, values=_VALUES)
async def test_broken_values_are_answered_or_refused(
    asker: Asker, column: str, value: Any, values: Any
) -> None:
    kind = _COLUMNS[column]
    text = f"""query ($v: {kind}, $vs: [{kind}!]) {{
        flow_run(where: {{{column}: {{_gte: $v, _in: $vs}}}}) {{ id }}
    }}"""

    await _ask(asker, text, {"v": value, "vs": values})


@pytest.mark.parametrize("found", found_in(DOCUMENTS), ids=lambda found: str(found["why"]))
async def test_what_was_once_found_is_answered_or_refused(
    asker: Asker, found: dict[str, Any]
) -> None:
    await _ask(asker, found["document"], found["variables"])


async def test_the_next_request_is_answered_after_the_connections_were_cut(
    database: Database, asker: Asker
) -> None:
    # With one connection: a read is repeated once, and of two that are cut both may look well for a moment.
    async with asking(database.postgres_url("reader")) as lone:
        await lone.data("{ project { id } }")

        cut = await database.admin_pool.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'headwater_reader' AND datname = current_database()"
        )
        data = await lone.data("{ project { id } }")

    assert cut
    assert data["project"]


async def test_a_document_nested_beyond_reason_is_refused(asker: Asker) -> None:
    where: dict[str, Any] = {}
    for _ in range(600):
        where = {"_not": where}

    with pytest.raises(GraphQLError, match="deeper than"):
        await asker.ask("query ($w: flow_bool_exp) { flow(where: $w) { id } }", {"w": where})

"""A run's log in SQL: pages in order, and a search with positions.

The order is (timestamp, sequence, id), which the index by run gives. PostgreSQL renders a page, because parsing and
formatting a line in Python costs ten times as much. A page ends at so many lines or so many bytes.

Every statement has the form that `Reader.fetch` needs: the tenant first, the limit of bytes last, and a size last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.gateway.downloads.parameters import Cursor, Format, LogFilter, LogSearch
from services.gateway.reads import Reader
from services.gateway.reads.caller import Caller
from services.gateway.reads.statement import Matching

PAGE_LINES = 1_000
_SHOWN_CHARACTERS = 10_000  # of a matching line; the download has all of it

_IS_THERE = """
SELECT EXISTS (SELECT FROM runs.flow_run WHERE tenant_id = $1 AND id = $2), 0 AS size WHERE $3::bigint IS NOT NULL
"""

# Clients resume by the timestamp in a line, so it has the cursor's precision: microseconds, in UTC.
_WHEN = """to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
_AS_TEXT = f"""
'[' || {_WHEN} || '] ' || coalesce(level, 'INFO') || ' - ' || coalesce(name, '') || ' | ' || coalesce(message, '')
"""
_AS_JSON = f"""
json_build_object('id', id, 'timestamp', {_WHEN}, 'sequence', sequence, 'level', level, 'logger', name,
    'task_run_id', task_run_id, 'message', message, 'info', info)::text
"""
_RENDERED: dict[Format, str] = {"text": _AS_TEXT, "ndjson": _AS_JSON}

_FILTERED = """
    ($3::text IS NULL OR strpos(lower(message), lower($3)) > 0)
    AND ($4::text[] IS NULL OR level = ANY ($4))
    AND ($5::text IS NULL OR name = $5)
    AND ($6::uuid IS NULL OR task_run_id = $6)
"""

_PAGE = """
WITH chosen AS MATERIALIZED (
    SELECT id, timestamp, sequence, level, name, message, task_run_id, info FROM runs.log
    WHERE tenant_id = $1 AND flow_run_id = $2 AND {filtered} AND (timestamp, sequence, id) > ($7, $8, $9)
    ORDER BY timestamp, sequence, id LIMIT $10::bigint
), counted AS (
    SELECT *, row_number() OVER (ORDER BY timestamp, sequence, id) AS line,
        sum(coalesce(octet_length(message), 0) + coalesce(octet_length(info::text), 0) + 200)
            OVER (ORDER BY timestamp, sequence, id) AS bytes
    FROM chosen
), page AS (
    -- One line at least, however long, or nobody would ever come past it.
    SELECT * FROM counted WHERE line = 1 OR bytes <= $11::bigint
), rendered AS (
    SELECT string_agg({rendered} || E'\\n', '' ORDER BY line) AS body, max(line) AS lines FROM page
)
SELECT convert_to(r.body, 'UTF8'), r.lines < (SELECT count(*) FROM chosen) OR r.lines = $10::bigint,
    p.timestamp, p.sequence, p.id, least(octet_length(r.body), $11::bigint) AS size
FROM rendered r LEFT JOIN page p ON p.line = r.lines
"""

_SEARCH = f"""
WITH numbered AS (
    SELECT id, timestamp, sequence, level, name, message, task_run_id,
        row_number() OVER (ORDER BY timestamp, sequence, id) AS position
    FROM runs.log WHERE tenant_id = $1 AND flow_run_id = $2
), found AS (
    -- Not kept: where every line matches it would be the whole log, written to disk. The window has the order of the
    -- lines, so nothing is sorted.
    SELECT *, count(*) FILTER (WHERE position > $7)
        OVER (ORDER BY timestamp, sequence, id ROWS UNBOUNDED PRECEDING) AS nth
    FROM numbered WHERE {_FILTERED}
), rendered AS (
    SELECT json_build_object(
        'count', count(*),
        'matches', coalesce(json_agg(json_build_object(
            'position', position, 'column', CASE WHEN $3 <> '' THEN strpos(lower(message), lower($3)) END,
            'id', id, 'timestamp', {_WHEN}, 'sequence', sequence, 'level', level, 'logger', name,
            'task_run_id', task_run_id, 'message', left(message, {_SHOWN_CHARACTERS})
        ) ORDER BY position) FILTER (WHERE position > $7 AND nth <= $8), '[]')
    )::text AS body
    FROM found
)
SELECT CASE WHEN octet_length(body) <= $9::bigint THEN convert_to(body, 'UTF8') END, octet_length(body) AS size
FROM rendered
"""


@dataclass(frozen=True, slots=True)
class Page:
    """Rendered lines. `after` is where the next page begins; None after the last one."""

    body: bytes
    after: Cursor | None


class Lines:
    """Reads logs for one caller after another."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def is_there(self, tenant_id: UUID, flow_run_id: UUID, caller: Caller) -> bool:
        """Whether the tenant has this run."""
        row = await self._reader.fetch(_IS_THERE, tenant_id, [flow_run_id], caller)
        return bool(row[0])

    async def page(
        self,
        tenant_id: UUID,
        flow_run_id: UUID,
        chosen: LogFilter,
        after: Cursor,
        *,
        form: Format,
        caller: Caller,
    ) -> Page:
        """The lines after a cursor; raises as `Reader.fetch`."""
        statement = _PAGE.format(filtered=_FILTERED, rendered=_RENDERED[form])
        values = [
            flow_run_id, *_values(chosen), after.timestamp, after.sequence, after.id, PAGE_LINES,
        ]  # fmt: skip
        body, has_more, *cursor = await self._reader.fetch(
            statement, tenant_id, values, caller, matching=_matching(chosen)
        )
        return Page(body or b"", Cursor(*cursor) if has_more else None)

    async def search(
        self, tenant_id: UUID, flow_run_id: UUID, asked: LogSearch, caller: Caller
    ) -> bytes:
        """`{count, matches}` as JSON; positions count from 1 in the whole log. Raises as `Reader.fetch`."""
        values = [flow_run_id, *_values(asked.filter), asked.after, asked.limit]
        row = await self._reader.fetch(
            _SEARCH, tenant_id, values, caller, matching=_matching(asked.filter)
        )
        found: bytes = row[0]
        return found


def _values(chosen: LogFilter) -> Sequence[Any]:
    return [chosen.text, list(chosen.levels) or None, chosen.logger, chosen.task_run_id]


def _matching(chosen: LogFilter) -> Matching:
    """Looking for a text reads every line of the run, as _like does."""
    return Matching.NONE if chosen.text is None else Matching.LIKE

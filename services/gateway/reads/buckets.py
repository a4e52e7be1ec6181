"""Counts and durations of flow runs by bucket of time and by flow, from indexes alone.

A run is counted at its end: `FINISHED` counts runs by `end_time`, so one that started two days ago and failed now is in
"the last hour". Runs that have not ended are counted by their due time: `DUE` goes by `scheduled_start_time`.

Every count is bounded. Each count reads at most `MOST_COUNTED` + 1 entries of an index, then says `is_more`. Counts per
bucket and state are independent, so the few failures beside a million successes are still exact. Where a whole window
must be read (by flow), its newest `MOST_READ` runs are, and `is_more` says that there are older ones; all states are
cut at the same time, so that rates stay correct.

Percentiles are of a sample where a bucket has more than `MOST_TIMED` runs: its newest ones. `rank_error` says how far
they may be off; the description of `flow_run_durations` says it to clients.

Measured by `tests/bench/buckets.py` at 1,000,000 runs over 90 days, on two cores with nothing else to do: 24 hours by
hour and state 4 ms (p95 8), 90 days by day and state 132 ms (p95 177), where a plain GROUP BY took 656; by flow 59 ms
(p95 102), durations 82 ms (p95 137). With six other processes it was three times that. So there is no table of counts
to be kept up to date: it would make each transition dearer, and could not answer a filter.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from graphql import GraphQLError

from libs.contracts.states import State
from services.gateway.reads.derived import Argument, Asked, Derived
from services.gateway.reads.inputs import Given, Inputs
from services.gateway.reads.statement import TENANT, too_much
from services.gateway.reads.values import named_timestamp, timestamp_value

MOST_COUNTED = 10_000
MOST_READ = 250_000
MOST_TIMED = 2_000
"""Most runs for a bucket's percentiles: the newest ones."""
MOST_BUCKETS = 800
"""A month by the hour, or two years by the day."""

_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_COLUMNS = {"finished": "end_time", "due": "scheduled_start_time"}
_STATES = ", ".join(f"'{state.value}'" for state in State)

_WINDOW = {
    "since": Argument(
        "timestamptz", "The start of the window, which belongs to it.", required=True
    ),
    "until": Argument(
        "timestamptz", "The end of the window, which does not belong to it.", required=True
    ),
    "where": Argument("flow_run_bool_exp", "Which runs, filtered as in the list `flow_run`."),
}
_BUCKET = {
    **_WINDOW,
    "by": Argument("run_bucket", "How long a bucket is; `hour` by default.", values=tuple(_STEPS)),
    "time_zone": Argument(
        "String",
        "The IANA zone in which hours and days begin, such as Europe/Berlin; UTC by default.",
    ),
}
_TIME = Argument(
    "run_time",
    "`finished` (the default) places a run at its end_time, `due` at its scheduled_start_time.",
    values=tuple(_COLUMNS),
)


def rank_error(share: float, runs: int = MOST_TIMED) -> float:
    """How far the true rank of a percentile (0.95) may be from it, in 19 of 20 samples of this many runs.

    Two standard errors of a binomial share. It holds where the newest runs of a bucket took as long as the rest.
    """
    return 2 * math.sqrt(share * (1 - share) / runs)


def counts(asked: Asked) -> str:
    """Per bucket and state how many runs there are; buckets and states without any have no row."""
    column = _COLUMNS[asked.choice("time", "finished")]
    run = asked.statement.alias()
    return f"""
        SELECT b.bucket, s.state, least(n.seen, {MOST_COUNTED})::int AS count, n.seen > {MOST_COUNTED} AS is_more
        FROM {_buckets(asked)} b
        CROSS JOIN unnest(ARRAY[{_STATES}]::varchar[]) AS s (state)
        CROSS JOIN LATERAL (
            SELECT count(*) AS seen FROM (
                SELECT FROM runs.flow_run {run}
                WHERE {run}.tenant_id = {TENANT} AND {run}.state = s.state
                    AND {run}.{column} >= b.first AND {run}.{column} < b.last
                    AND ({asked.where("flow_run", run)})
                LIMIT {MOST_COUNTED + 1}
            ) c
        ) n
        WHERE n.seen > 0
        ORDER BY b.bucket, s.state"""


def counts_by_flow(asked: Asked) -> str:
    """Per flow and state how many of the window's runs there are, the flows with most runs first."""
    column = _COLUMNS[asked.choice("time", "finished")]
    return f"""
        SELECT c.flow_id, c.state, c.runs::int AS count,
            sum(c.runs) OVER () > {MOST_READ} AS is_more
        FROM (
            SELECT r.flow_id, r.state, count(*) AS runs
            FROM ({_newest(asked, column, limit=MOST_READ + 1, columns="flow_id, state")}) r
            GROUP BY r.flow_id, r.state
        ) c
        ORDER BY sum(c.runs) OVER (PARTITION BY c.flow_id) DESC, c.flow_id, c.state
        LIMIT 10000"""


def durations(asked: Asked) -> str:
    """Per bucket the percentiles of its runs' durations, in seconds; buckets without any have no row."""
    run = asked.statement.alias()
    return f"""
        SELECT b.bucket, least(d.runs, {MOST_TIMED})::int AS count, d.runs > {MOST_TIMED} AS is_more,
            d.percentiles[1] AS p50, d.percentiles[2] AS p90, d.percentiles[3] AS p95, d.percentiles[4] AS p99,
            d.longest AS max
        FROM {_buckets(asked)} b
        CROSS JOIN LATERAL (
            SELECT count(*) AS runs, max(seconds) AS longest,
                percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY seconds) AS percentiles
            FROM (
                SELECT extract(epoch FROM {run}.end_time - {run}.start_time)::float8 AS seconds
                FROM runs.flow_run {run}
                WHERE {run}.tenant_id = {TENANT} AND {run}.end_time >= b.first AND {run}.end_time < b.last
                    AND {run}.start_time IS NOT NULL AND ({asked.where("flow_run", run)})
                ORDER BY {run}.end_time DESC LIMIT {MOST_TIMED + 1}
            ) t
        ) d
        WHERE d.runs > 0
        ORDER BY b.bucket"""


def _newest(asked: Asked, column: str, *, limit: int, columns: str) -> str:
    run = asked.statement.alias()
    shown = ", ".join(f"{run}.{name}" for name in columns.split(", "))
    since, until = _window(asked)
    return f"""
        SELECT {shown} FROM runs.flow_run {run}
        WHERE {run}.tenant_id = {TENANT} AND {run}.{column} >= {since} AND {run}.{column} < {until}
            AND ({asked.where("flow_run", run)})
        ORDER BY {run}.{column} DESC LIMIT {limit}"""


def _buckets(asked: Asked) -> str:
    """The buckets of the window: where each begins (`bucket`), and which part of it is in the window.

    Days are counted on the wall clock of the zone, so that one has 23 or 25 hours when the clocks change; hours are
    elapsed time. Buckets at the edges are cut: they count nothing outside the window.
    """
    by = asked.choice("by", "hour")
    zone = asked.given("time_zone")
    named = "'UTC'" if zone is None else asked.bind("time_zone", "text")
    since, until = _window(asked, step=_STEPS[by])
    if by == "hour":
        # Zones with half hours have buckets that begin at half past.
        begin = f"date_trunc('hour', {since}, {named})"
        series = f"generate_series({begin}, {until}, interval '1 hour') AS begins"
        bucket, following = "begins", "begins + interval '1 hour'"
    else:
        begin = f"date_trunc('day', {since} AT TIME ZONE {named})"
        series = (
            f"generate_series({begin}, {until} AT TIME ZONE {named}, interval '1 day') AS begins"
        )
        bucket = f"begins AT TIME ZONE {named}"
        following = f"(begins + interval '1 day') AT TIME ZONE {named}"
    return f"""(
        SELECT {bucket} AS bucket, greatest({bucket}, {since}) AS first, least({following}, {until}) AS last
        FROM {series} WHERE {bucket} < {until}
    )"""


def _window(asked: Asked, *, step: timedelta | None = None) -> tuple[str, str]:
    """The parameters of the window's ends; the second one refuses a window that is empty or has too many buckets."""
    since, until = asked.required("since"), asked.required("until")
    checked = Given(_ends_after(since, until, step))
    return asked.bind("since", "timestamptz"), asked.statement.bind_as(
        checked, lambda value: value, "timestamptz"
    )


def _ends_after(since: Given, until: Given, step: timedelta | None) -> Callable[[Inputs], Any]:
    def get(inputs: Inputs) -> datetime:
        first, last = (
            timestamp_value(named_timestamp(given.get(inputs), inputs.at))
            for given in (since, until)
        )
        if last <= first:
            msg = f"until ({_shown(last)}) must be later than since ({_shown(first)})."
            raise GraphQLError(msg)
        if step is not None and (last - first) / step > MOST_BUCKETS:
            msg = (
                f"since and until are more than {MOST_BUCKETS} buckets apart;"
                " ask for a shorter window, or by day."
            )
            raise too_much(msg)
        return last

    return get


def _shown(timestamp: datetime) -> str:
    return timestamp.astimezone(UTC).isoformat()


BUCKETS = (
    Derived(
        name="flow_run_buckets",
        description=(
            f"How many flow runs of each state there are per hour or day. A count stops at {MOST_COUNTED:,}, and"
            " `is_more` says that there are more. Buckets and states without a run have no row."
        ),
        tables=("flow_run",),
        arguments={**_BUCKET, "time": _TIME},
        columns={"bucket": "timestamptz!", "state": "String!", "count": "Int!", "is_more": "Boolean!"},
        source=counts,
    ),
    Derived(
        name="flow_run_counts_by_flow",
        description=(
            "How many flow runs of each state each flow (version) has in a window. The newest"
            f" {MOST_READ:,} runs of the window are counted, and `is_more` says that there are older ones."
        ),
        tables=("flow_run",),
        arguments={**_WINDOW, "time": _TIME},
        columns={"flow_id": "uuid!", "state": "String!", "count": "Int!", "is_more": "Boolean!"},
        source=counts_by_flow,
    ),
    Derived(
        name="flow_run_durations",
        description=(
            "How long flow runs took, in seconds: percentiles per hour or day in which they ended. Of each bucket the"
            f" newest {MOST_TIMED:,} runs are taken, and `is_more` says that there are older ones. Then the percentiles"
            f" are estimates: p50 is off by {100 * rank_error(0.5):.1f} percentage points of the runs at most, p95 by"
            f" {100 * rank_error(0.95):.1f}, in 19 of 20 cases, where the newest took as long as the rest; ask by hour"
            " where they did not."
        ),
        tables=("flow_run",),
        arguments=_BUCKET,
        columns={
            "bucket": "timestamptz!", "count": "Int!", "is_more": "Boolean!",
            "p50": "Float!", "p90": "Float!", "p95": "Float!", "p99": "Float!", "max": "Float!",
        },
        source=durations,
    ),
)  # fmt: skip

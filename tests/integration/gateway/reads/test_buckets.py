"""Counts and durations by bucket: what happened when, whose, and never without a bound."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest

from libs.runtime.ids import new_id
from services.gateway.reads import buckets
from tests.integration.gateway.reads.asking import Asker, asking
from tests.integration.gateway.reads.world import A_TENANT, ANOTHER_TENANT
from tests.support.engines import Database
from tests.support.ledger import register_flow

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
DAY = 'since: "2026-03-28T00:00:00Z", until: "2026-03-29T00:00:00Z"'


@pytest.fixture
async def asker(database: Database) -> AsyncIterator[Asker]:
    await database.admin_pool.execute("TRUNCATE runs.flow_run CASCADE")
    async with asking(database.postgres_url("reader")) as found:
        yield found


async def ended(
    database: Database,
    at: datetime,
    *,
    flow: UUID,
    tenant: UUID = A_TENANT,
    state: str = "Success",
    took: timedelta = timedelta(minutes=1),
    times: int = 1,
) -> None:
    """A run, or several alike, that ended then, two days after it was due."""
    await database.admin_pool.execute(
        "INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version, scheduled_start_time,"
        " start_time, end_time, auto_scheduled, state, state_timestamp, serialized_state)"
        " SELECT gen_random_uuid(), $1, $2, $3, 'run', 4, $4::timestamptz - interval '2 days',"
        " $4::timestamptz - $5::interval, $4, false, $6, $4, '{}' FROM generate_series(1, $7)",
        tenant, flow, new_id(), at, took, state, times,
    )  # fmt: skip


async def counted(asker: Asker, arguments: str) -> list[tuple[str, str, int]]:
    data = await asker.data(f"{{ flow_run_buckets({arguments}) {{ bucket state count is_more }} }}")
    assert not any(row["is_more"] for row in data["flow_run_buckets"])
    return [(row["bucket"], row["state"], row["count"]) for row in data["flow_run_buckets"]]


async def test_a_run_is_counted_in_the_hour_in_which_it_ended(
    database: Database, asker: Asker
) -> None:
    flow, others = new_id(), new_id()
    await ended(database, NOON, flow=flow, times=2)
    await ended(database, NOON + timedelta(minutes=59), flow=flow, state="Failed")
    await ended(database, NOON + timedelta(hours=1), flow=flow)
    await ended(database, NOON + timedelta(days=1), flow=flow)
    await ended(database, NOON, flow=others, tenant=ANOTHER_TENANT)

    assert await counted(asker, DAY) == [
        ("2026-03-28T12:00:00+00:00", "Failed", 1),
        ("2026-03-28T12:00:00+00:00", "Success", 2),
        ("2026-03-28T13:00:00+00:00", "Success", 1),
    ]


async def test_nothing_outside_the_window_is_counted_in_the_buckets_at_its_edges(
    database: Database, asker: Asker
) -> None:
    flow = new_id()
    for minute in (0, 15, 30, 45):
        await ended(database, NOON + timedelta(minutes=minute), flow=flow)
    window = 'since: "2026-03-28T12:15:00Z", until: "2026-03-28T12:45:00Z"'

    assert await counted(asker, window) == [("2026-03-28T12:00:00+00:00", "Success", 2)]
    assert await counted(asker, f"{window}, by: day") == [
        ("2026-03-28T00:00:00+00:00", "Success", 2)
    ]


async def test_a_run_that_is_due_is_counted_by_when_it_was_due(
    database: Database, asker: Asker
) -> None:
    await ended(database, NOON + timedelta(days=2), flow=new_id(), state="Scheduled")

    assert await counted(asker, f"{DAY}, time: due") == [
        ("2026-03-28T12:00:00+00:00", "Scheduled", 1)
    ]


async def test_a_day_is_as_long_as_it_is_on_the_wall_clock_of_its_zone(
    database: Database, asker: Asker
) -> None:
    flow = new_id()
    last_of_the_short_day = datetime(2026, 3, 29, 21, 59, tzinfo=UTC)  # 23:59 in Berlin
    await ended(database, last_of_the_short_day, flow=flow)
    await ended(database, last_of_the_short_day + timedelta(minutes=1), flow=flow)
    window = 'since: "2026-03-28T23:00:00Z", until: "2026-03-31T22:00:00Z"'

    found = await counted(asker, f'{window}, by: day, time_zone: "Europe/Berlin"')

    assert found == [
        ("2026-03-28T23:00:00+00:00", "Success", 1),
        ("2026-03-29T22:00:00+00:00", "Success", 1),
    ]


async def test_hours_of_a_zone_with_half_hours_begin_at_half_past(
    database: Database, asker: Asker
) -> None:
    await ended(database, NOON, flow=new_id())

    found = await counted(asker, f'{DAY}, time_zone: "Asia/Kolkata"')

    assert found == [("2026-03-28T11:30:00+00:00", "Success", 1)]


async def test_runs_are_filtered_as_in_their_list(database: Database, asker: Asker) -> None:
    ours = (await register_flow(database.admin_pool, tenant_id=A_TENANT, name="ours")).id
    await ended(database, NOON, flow=ours, state="Failed")
    await ended(database, NOON, flow=ours)
    await ended(database, NOON, flow=new_id(), state="Failed")
    where = 'where: {state: {_in: ["Failed"]}, flow: {name: {_eq: "ours"}}}'

    assert await counted(asker, f"{DAY}, {where}") == [("2026-03-28T12:00:00+00:00", "Failed", 1)]


async def test_a_count_stops_at_its_bound_and_says_so_while_rare_states_stay_exact(
    database: Database, asker: Asker
) -> None:
    flow = new_id()
    await ended(database, NOON, flow=flow, times=buckets.MOST_COUNTED + 1)
    await ended(database, NOON, flow=flow, state="Failed", times=3)

    data = await asker.data(f"{{ flow_run_buckets({DAY}) {{ state count is_more }} }}")

    assert data["flow_run_buckets"] == [
        {"state": "Failed", "count": 3, "is_more": False},
        {"state": "Success", "count": 10_000, "is_more": True},
    ]


async def test_flows_are_counted_with_the_busiest_first(database: Database, asker: Asker) -> None:
    busy, idle = new_id(), new_id()
    await ended(database, NOON, flow=idle, state="Failed")
    await ended(database, NOON, flow=busy, times=2)

    data = await asker.data(
        f"{{ flow_run_counts_by_flow({DAY}) {{ flow_id state count is_more }} }}"
    )

    assert data["flow_run_counts_by_flow"] == [
        {"flow_id": str(busy), "state": "Success", "count": 2, "is_more": False},
        {"flow_id": str(idle), "state": "Failed", "count": 1, "is_more": False},
    ]


async def test_durations_are_percentiles_of_the_runs_that_ended_in_a_bucket(
    database: Database, asker: Asker
) -> None:
    flow = new_id()
    for seconds in (10, 20, 30, 40, 50):
        await ended(database, NOON, flow=flow, took=timedelta(seconds=seconds))

    data = await asker.data(
        f"{{ flow_run_durations({DAY}) {{ bucket count is_more p50 p90 max }} }}"
    )

    assert data["flow_run_durations"] == [
        {
            "bucket": "2026-03-28T12:00:00+00:00", "count": 5, "is_more": False,
            "p50": 30.0, "p90": 46.0, "max": 50.0,
        }
    ]  # fmt: skip


async def test_percentiles_of_a_sample_are_as_near_to_the_whole_as_their_description_says(
    database: Database, asker: Asker
) -> None:
    """Each of 20,000 runs took another number of seconds, so a percentile's value is its rank in the whole."""
    runs = 10 * buckets.MOST_TIMED
    took = list(range(1, runs + 1))
    # The same at each run.
    Random(16).shuffle(took)  # noqa: S311 - no secret
    await database.admin_pool.execute(
        "INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version, scheduled_start_time,"
        " start_time, end_time, auto_scheduled, state, state_timestamp, serialized_state)"
        " SELECT gen_random_uuid(), $1, $2, $2, 'run', 4, e, e - make_interval(secs => took), e, false, 'Success', e,"
        " '{}' FROM unnest($4::int[]) WITH ORDINALITY AS t (took, n),"
        " LATERAL (SELECT $3::timestamptz + n * interval '1 ms' AS e) x",
        A_TENANT, new_id(), NOON, took,
    )  # fmt: skip

    data = await asker.data(
        f"{{ flow_run_durations({DAY}, by: day) {{ count is_more p50 p90 p95 p99 max }} }}"
    )

    [found] = data["flow_run_durations"]
    assert (found["count"], found["is_more"]) == (buckets.MOST_TIMED, True)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)):
        assert abs(found[name] / runs - share) <= buckets.rank_error(share), name
    [described] = [
        root.description for root in buckets.BUCKETS if root.name == "flow_run_durations"
    ]
    assert "p50 is off by 2.2 percentage points" in described
    assert "p95 by 1.0" in described


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('since: "2026-03-29", until: "2026-03-29"', "must be later than since"),
        ('since: "2020-01-01", until: "2026-03-29"', "ask for a shorter window, or by day"),
        ('since: "2000-01-01", until: "2026-03-29", by: day', "more than 800 buckets apart"),
        ('since: "soon", until: "2026-03-29"', "give ISO 8601"),
        (f'{DAY}, time_zone: "Mars/Olympus"', 'time zone "Mars/Olympus" not recognized'),
    ],
)
async def test_a_window_that_cannot_be_counted_is_refused_with_a_sentence(
    asker: Asker, arguments: str, said: str
) -> None:
    answer: dict[str, Any] = await asker.ask(f"{{ flow_run_buckets({arguments}) {{ count }} }}")

    [error] = answer["errors"]
    assert said in error["message"]


async def test_another_window_of_the_same_document_is_bound_anew(
    database: Database, asker: Asker
) -> None:
    await ended(database, NOON, flow=new_id())
    text = "query ($since: timestamptz!, $until: timestamptz!)" \
        " { flow_run_buckets(since: $since, until: $until) { count } }"  # fmt: skip

    first = await asker.data(text, {"since": "2026-03-28", "until": "2026-03-29"})
    second = await asker.data(text, {"since": "2026-03-29", "until": "2026-03-30"})

    assert first == {"flow_run_buckets": [{"count": 1}]}
    assert second == {"flow_run_buckets": []}

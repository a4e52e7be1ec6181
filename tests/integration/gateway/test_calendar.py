"""The calendar of the old web UI, which asks with dates alone; and its request for archived log lines."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.services import all_services

STARTS = (
    "2031-03-09T23:59:59.999999Z", "2031-03-10T00:00:00Z", "2031-03-10T23:59:59Z", "2031-03-11T00:00:00Z",
)  # fmt: skip
DAY = """query Day($from: timestamptz, $to: timestamptz) {
    flow_run(where: {scheduled_start_time: {_gte: $from, _lt: $to}}) { scheduled_start_time }
    flow_run_aggregate(where: {scheduled_start_time: {_gte: $from, _lt: $to}}) { aggregate { count } }
}"""
INLINE = '{ flow_run(where: {scheduled_start_time: {_gte: "2031-03-10", _lt: "2031-03-11"}}) { scheduled_start_time } }'
FLOWS = """{
    flow_run(distinct_on: flow_id, where: {scheduled_start_time: {_gte: "2031-03-10"}}) { flow_id }
    one: flow_run(distinct_on: flow_id, limit: 1, where: {scheduled_start_time: {_gte: "2031-03-10"}}) { flow_id }
    flow_group { flows(where: {archived: {_eq: false}}) { id } }
}"""
ARCHIVED = """mutation Archived($id: UUID!, $at: DateTime!) {
    retrieve_archived_flow_run_logs(input: {flow_run_id: $id, timestamp: $at}) { success error }
}"""
WRITE_LINE = (
    "mutation($logs: [write_run_log_input!]!) { write_run_logs(input: {logs: $logs}) { success } }"
)
LINES = (
    "query($id: uuid) { log(where: {flow_run_id: {_eq: $id}}) { message is_loaded_from_archive } }"
)
START_RUN = """mutation($flow: UUID, $at: DateTime) {
    create_flow_run(input: {flow_id: $flow, scheduled_start_time: $at}) { id }
}"""


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack) as gateway:
        yield gateway


@pytest.fixture
async def api(gateway: Gateway) -> AsyncIterator[Gql]:
    async with Gql(f"http://127.0.0.1:{gateway.port}") as gql:
        yield gql


async def a_registered_flow(api: Gql, name: str) -> str:
    project = await api(
        "mutation($n: String!) { create_project(input: {name: $n}) { id } }", n=f"of {name}"
    )
    made = await api(
        "mutation($f: JSON!, $p: UUID) { create_flow(input: {serialized_flow: $f, project_id: $p}) { id } }",
        f=a_flow(name),
        p=project["create_project"]["id"],
    )
    flow_id: str = made["create_flow"]["id"]
    return flow_id


async def test_a_day_is_from_midnight_to_midnight_and_its_runs_are_found_by_dates_alone(
    stack: Stack, api: Gql
) -> None:
    await stack.admin_pool.execute("DELETE FROM runs.flow_run")
    flows = [await a_registered_flow(api, f"calendar {n}") for n in range(2)]
    for flow in flows:
        for start in STARTS:
            await api(START_RUN, flow=flow, at=start)

    day = await api(DAY, **{"from": "2031-03-10", "to": "2031-03-11"})
    inline = await api(INLINE)
    by_flow = await api(FLOWS)

    starts = sorted(run["scheduled_start_time"] for run in day["flow_run"])
    assert starts == ["2031-03-10T00:00:00+00:00"] * 2 + ["2031-03-10T23:59:59+00:00"] * 2
    assert day["flow_run_aggregate"]["aggregate"]["count"] == 4
    assert sorted(run["scheduled_start_time"] for run in inline["flow_run"]) == starts
    assert {run["flow_id"] for run in by_flow["flow_run"]} == set(flows)
    assert len(by_flow["flow_run"]) == 2
    assert len(by_flow["one"]) == 1
    assert {group["flows"][0]["id"] for group in by_flow["flow_group"]} >= set(flows)


async def test_archived_lines_are_those_that_were_never_away_however_often_they_are_asked_for(
    api: Gql,
) -> None:
    flow = await a_registered_flow(api, "archived")
    made = await api(START_RUN, flow=flow, at="2031-03-10T00:00:00Z")
    run_id = made["create_flow_run"]["id"]
    now = utc_now().isoformat()
    await api(WRITE_LINE, logs=[{"flow_run_id": run_id, "message": "hello", "timestamp": now}])

    async def lines() -> list[dict[str, Any]]:
        found = await api(LINES, id=run_id)
        rows: list[dict[str, Any]] = found["log"]
        return rows

    await eventually(lines, timeout=30)
    twice = [await api(ARCHIVED, id=run_id, at=now) for _ in range(2)]
    none = await api(ARCHIVED, id=run_id, at="2019-05-05T12:00:00Z")
    assert twice == [{"retrieve_archived_flow_run_logs": {"success": True, "error": None}}] * 2
    assert none["retrieve_archived_flow_run_logs"] == {
        "success": False,
        "error": f"Flow run {run_id} has no log lines of 2019-05-05: it wrote none, or they were deleted when the time"
        " was over for which this installation keeps them (HEADWATER_LOG_RETENTION).",
    }
    assert [line["message"] for line in await lines()] == ["hello"]


async def test_lines_of_an_unknown_run_or_of_no_time_are_refused(api: Gql) -> None:
    nobody = str(new_id())

    [unknown] = await api.errors(ARCHIVED, id=nobody, at="2031-03-10T00:00:00Z")
    [null] = await api.errors(ARCHIVED, id=nobody, at=None)

    assert unknown["message"] == f"Invalid flow run ID: {nobody}."
    assert "$at" in null["message"]

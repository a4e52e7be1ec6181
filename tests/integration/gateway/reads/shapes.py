"""The shapes that the web UI, agents and flow runs ask for most, and the index that makes each quick."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.integration.gateway.reads.scale import flow_id, run_id

SUMMARY_STATES = (
    "Success", "Running", "Pending", "Failed", "ClientFailed", "Submitted", "Queued", "Resume", "Retrying",
    "Looped", "Cached", "Mapped", "TimedOut", "TriggerFailed", "Skipped", "Finished", "Cancelled",
)  # fmt: skip
_RUN = "id name state scheduled_start_time start_time end_time flow { id name }"


@dataclass(frozen=True, slots=True)
class Shape:
    """One operation. `index` is one that its plan must use; no large table may be read from end to end.

    `budget` is what it may take at a million runs, in milliseconds, where that is agreed.
    """

    name: str
    text: str
    variables: dict[str, Any]
    index: str
    budget: int | None = None


_COUNTED_BY_HEARTBEAT = SUMMARY_STATES[7:]  # by the dashboards of 2020


def summary(column: str, *, then: str | None = None) -> str:
    """The dashboard's counts by state since a moment; of rare states by another column, if there is one."""
    counts = " ".join(
        f"""{state}: flow_run_aggregate(where: {{
            flow: {{project_id: {{_eq: $project}}}}, state: {{_eq: "{state}"}},
            {then if then and state in _COUNTED_BY_HEARTBEAT else column}: {{_gte: $since}}
        }}) {{ aggregate {{ count }} }}"""
        for state in SUMMARY_STATES
    )
    return f"query Summary($project: uuid, $since: timestamptz) {{ {counts} }}"


def flow_summary() -> str:
    """The counts on the page of a flow, of one version or of all."""
    counts = " ".join(
        f"""{state}: flow_run_aggregate(where: {{
            flow: {{flow_group_id: {{_eq: $group}}, id: {{_eq: $flow}}}}, updated: {{_gte: $since}},
            state: {{_eq: "{state}"}}
        }}) {{ aggregate {{ count }} }}"""
        for state in SUMMARY_STATES
    )
    return f"query ($group: uuid, $flow: uuid, $since: timestamptz) {{ {counts} }}"


def task_summary() -> str:
    """The counts on the page of a task."""
    counts = " ".join(
        f"""{state}: task_run_aggregate(where: {{
            task_id: {{_eq: $task}}, updated: {{_gte: $since}}, state: {{_eq: "{state}"}},
            flow_run: {{state: {{_neq: "Scheduled"}}}}
        }}, order_by: {{id: desc}}) {{ aggregate {{ count }} }}"""
        for state in SUMMARY_STATES
    )
    return f"query ($task: uuid!, $since: timestamptz) {{ {counts} }}"


TIMELINE = f"""query Timeline($project: uuid, $since: timestamptz, $until: timestamptz) {{
    flow_run(
        where: {{flow: {{project_id: {{_eq: $project}}}}, scheduled_start_time: {{_gte: $since, _lte: $until}}}}
        order_by: {{scheduled_start_time: desc_nulls_last}}, limit: 1000
    ) {{ {_RUN} }}
}}"""

RUNS_WITH_COUNTS = """query Runs($limit: Int = 200) {
    flow_run(order_by: {scheduled_start_time: desc}, limit: $limit) {
        id name state scheduled_start_time start_time end_time
        flow { id name project { id name } }
        task_runs_aggregate { aggregate { count } }
    }
}"""

RUN_WITH_EVERYTHING = """query FlowRun($id: uuid!) {
    flow_run_by_pk(id: $id) {
        id name state parameters context version scheduled_start_time serialized_state
        flow { id name project { id name } }
        states(order_by: {timestamp: asc}) { id state timestamp message }
        task_runs { id state version serialized_state task { id name slug } }
    }
}"""


def shapes(now: datetime, runs: int) -> list[Shape]:
    """The shapes, for a database made by `scale` at this moment."""
    since, month = ((now - timedelta(days=days)).isoformat() for days in (1, 30))
    until = now.isoformat()
    run, flow = str(run_id(runs // 2 // 10 * 10, now=now)), str(flow_id(0))
    task = str(flow_id(0)).replace("-7003-", "-7004-")
    day = {"since": since, "until": until, "project": None}
    project = str(flow_id(0)).replace("-7003-", "-7001-")
    of_2020 = summary("updated", then="heartbeat")
    return [
        Shape("the dashboard's summary", summary("scheduled_start_time"), day, "flow_run_state_idx", 150),
        Shape(
            "the dashboard's summary of a project's month", summary("scheduled_start_time"),
            {"since": month, "project": project}, "flow_run_state_idx", 150,
        ),
        Shape("the dashboard's summary of 2020", of_2020, day, "flow_run_state_updated_idx", 150),
        Shape(
            "the dashboard's summary of 2020 of a project", of_2020, day | {"project": project},
            "flow_run_state_updated_idx", 150,
        ),
        Shape(
            "the dashboard's summary of 2020 of a month", of_2020, day | {"since": month},
            "flow_run_state_updated_idx", 150,
        ),
        Shape(
            "the summary of a flow", flow_summary(), {"since": since, "flow": flow},
            "flow_run_flow_state_idx", 150,
        ),
        Shape(
            "the summary of a flow's versions", flow_summary(),
            {"since": since, "group": flow.replace("-7003-", "-7002-")}, "flow_run_flow_state_idx", 150,
        ),
        Shape(
            "the summary of a task", task_summary(), {"since": since, "task": task},
            "task_run_task_idx", 150,
        ),
        Shape("a day's timeline", TIMELINE, day, "flow_run_scheduled_idx", 150),
        Shape("the newest runs with counts", RUNS_WITH_COUNTS, {}, "flow_run_scheduled_idx"),
        Shape("a run with everything", RUN_WITH_EVERYTHING, {"id": run}, "flow_run_pkey", 10),
        Shape(
            "the runs and failures of each flow, of 2020",
            """query ($project: uuid, $since: timestamptz) { flow(where: {project_id: {_eq: $project}}) {
                failed: flow_runs_aggregate(where: {state: {_eq: "Failed"}, updated: {_gte: $since}}) {
                    aggregate { count }
                }
                all: flow_runs_aggregate(where: {updated: {_gte: $since}}) { aggregate { count } }
            } }""",
            day,
            "flow_run_flow_state_idx",
        ),
        Shape(
            "how many runs changed since yesterday",
            """query ($since: timestamptz) { flow_run_aggregate(
                where: {updated: {_gte: $since}, state: {_neq: "Scheduled"}}) { aggregate { count } } }""",
            day,
            "updated_idx",
        ),
        Shape(
            "the latest changes",
            f"""query ($project: uuid, $since: timestamptz, $without: [String!]) {{ flow_run(
                where: {{
                    flow: {{project_id: {{_eq: $project}}}}, state_timestamp: {{_gte: $since}},
                    state: {{_nin: $without}}
                }}
                order_by: {{updated: desc_nulls_last}}, limit: 10) {{ {_RUN} }} }}""",
            day | {"without": "Scheduled"},
            "flow_run_updated_idx",
        ),
        Shape(
            "tasks that failed since yesterday",
            """query ($since: timestamptz) { task_run(
                where: {state: {_eq: "Failed"}, updated: {_gte: $since}}, distinct_on: task_id)
                { id updated task { id name flow { name } } } }""",
            day,
            "task_run_failed_idx",
        ),
        Shape(
            "runs in progress",
            f"""query ($project: uuid, $live: [String!]) {{ flow_run(
                where: {{flow: {{project_id: {{_eq: $project}}}}, state: {{_in: $live}}}}
                order_by: {{start_time: desc}}) {{ {_RUN} }} }}""",
            {"live": ["Running", "Submitted", "Cancelling"]},
            "flow_run_live_idx",
        ),
        Shape(
            "what ended badly since yesterday",
            f"""query ($since: timestamptz, $bad: [String!]) {{ flow_run(
                where: {{state: {{_in: $bad}}, end_time: {{_gte: $since}}}}
                order_by: {{end_time: desc}}, limit: 8) {{ {_RUN} }} }}""",
            {"since": since, "bad": ["Failed", "TimedOut", "TriggerFailed", "ValidationFailed", "ClientFailed"]},
            "ended_idx",
        ),
        Shape(
            "upcoming runs",
            f"""{{ flow_run(where: {{state: {{_eq: "Scheduled"}}}}
                order_by: [{{scheduled_start_time: asc}}, {{flow: {{name: asc}}}}], limit: 100) {{ {_RUN} }} }}""",
            {},
            "flow_run_state_idx",
        ),
        Shape(
            "failures since yesterday",
            f"""query ($since: timestamptz) {{ flow_run(
                where: {{state: {{_eq: "Failed"}}, scheduled_start_time: {{_gte: $since}}}}
                order_by: {{flow_id: asc, scheduled_start_time: desc}}, distinct_on: flow_id) {{ {_RUN} }} }}""",
            day,
            "flow_run_state_idx",
        ),
        Shape(
            "what went on since yesterday",
            f"""query ($since: timestamptz) {{ flow_run(
                where: {{start_time: {{_gte: $since}}}}, order_by: {{start_time: desc}}, limit: 50) {{ {_RUN} }} }}""",
            day,
            "flow_run_started_idx",
        ),
        Shape(
            "the runs of a flow",
            f"""query ($flow: uuid!) {{ flow_run(
                where: {{flow_id: {{_eq: $flow}}}}, order_by: {{scheduled_start_time: desc_nulls_last}}, limit: 25)
                {{ {_RUN} }} }}""",
            {"flow": flow},
            "flow_run_flow_scheduled_idx",
        ),
        Shape(
            "flows with their last runs",
            """{ flow(where: {archived: {_eq: false}}, order_by: {name: asc}, limit: 50) {
                id name project { name }
                flow_runs(order_by: {scheduled_start_time: desc}, limit: 10) { id state start_time end_time }
            } }""",
            {},
            "flow_run_flow_scheduled_idx",
        ),
        Shape(
            "how many runs of a flow failed since yesterday",
            """query ($since: timestamptz) { flow(limit: 50) {
                failed: flow_runs_aggregate(where: {state: {_eq: "Failed"}, scheduled_start_time: {_gte: $since}}) {
                    aggregate { count }
                }
            } }""",
            day,
            "flow_run_",
        ),
        Shape(
            "the logs of a run",
            """query ($run: uuid!) { log(
                where: {flow_run_id: {_eq: $run}}, order_by: {timestamp: asc}, limit: 100)
                { message level timestamp } }""",
            {"run": run},
            "flow_run_id_timestamp_sequence_idx",
        ),
        Shape(
            "the states of a run",
            """query ($run: uuid!) { flow_run_by_pk(id: $run) { states(order_by: {version: desc}) { state } } }""",
            {"run": run},
            "flow_run_id_version_idx",
        ),
        Shape(
            "the task runs of a run",
            """query ($run: uuid!) { task_run(
                where: {flow_run_id: {_eq: $run}, task: {name: {_ilike: null}}}, order_by: {start_time: asc}, limit: 50)
                { id state task { name } } }""",
            {"run": run},
            "task_run_flow_run_id_task_id_map_index_key",
        ),
        Shape(
            "a flow runner's start",
            """query ($run: uuid!) { flow_run_by_pk(id: $run) { id version serialized_state
                task_runs(where: {map_index: {_eq: -1}}) { id version serialized_state task { id slug } }
                flow { project { id name } } } }""",
            {"run": run},
            "task_run_flow_run_id_task_id_map_index_key",
        ),
        Shape(
            "an agent's runs",
            """query ($runs: [uuid!]) { flow_run(where: {id: {_in: $runs}, _or: [
                {state: {_eq: "Scheduled"}},
                {state: {_eq: "Running"}, task_runs: {state_start_time: {_lte: "2026-01-01"}}}
            ]}) { id version state serialized_state parameters flow { id name storage core_version } } }""",
            {"runs": [run]},
            "flow_run_pkey",
        ),
        Shape(
            "a cached result",
            """query ($since: timestamptz) { task_run(
                where: {state: {_eq: "Cached"}, cache_key: {_eq: "key-0"}, state_timestamp: {_gte: $since}}
                order_by: {state_timestamp: desc}, limit: 100) { serialized_state } }""",
            day,
            "task_run_cached_idx",
        ),
        Shape(
            "the waiting task runs of a run",
            """query ($run: uuid!) { task_run(where: {
                state_start_time: {_is_null: false}, flow_run_id: {_eq: $run}, flow_run: {state: {_eq: "Running"}}
            }) { state_start_time } }""",
            {"run": run},
            "task_run",
        ),
        Shape(
            "a run by its name",
            '{ flow_run(where: {name: {_eq: "run-40"}}) { id logs(order_by: {timestamp: asc}) { message } } }',
            {},
            "flow_run_tenant_id_name_idx",
        ),
        Shape(
            "the runs of a task",
            """query ($task: uuid!) { task_run(
                where: {task: {id: {_eq: $task}}}, order_by: {state_timestamp: desc}, limit: 25) { id state } }""",
            {"task": task},
            "task_run_task_idx",
        ),
        Shape(
            "task runs of a busy day",
            """query ($since: timestamptz) { task_run_aggregate(
                where: {state: {_neq: "Success"}, state_timestamp: {_gte: $since}}) { aggregate { count } } }""",
            day,
            "task_run_changed_idx",
        ),
        Shape(
            "the newest version of a flow",
            """{ flow(where: {name: {_eq: "flow-10"}, archived: {_eq: false}, project: {name: {_eq: "project-0"}}}
                order_by: {version: desc}, limit: 1) { id } }""",
            {},
            "flow_tenant_id_name_idx",
        ),
    ]  # fmt: skip

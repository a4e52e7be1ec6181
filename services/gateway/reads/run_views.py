"""The data for one run's page in one call: its mapped tasks, and the agents that could take it."""

from libs.contracts.states import PARENT
from services.gateway.reads.derived import Argument, Asked, Derived
from services.gateway.reads.statement import TENANT

AGENT_SILENT_AFTER = "1 minute"
"""The default of `runs` for HEADWATER_AGENT_SILENT_AFTER, by which `late_reason` calls an agent silent."""

_FAILED = ", ".join(
    f"'{name}'" for name, parent in PARENT.items() if name == "Failed" or parent == "Failed"
)


def mapped_summary(asked: Asked) -> str:
    """Per task of a flow run that has mapped children: how many are in which state, and when they ran."""
    run = asked.bind("flow_run_id", "uuid")
    return f"""
        SELECT s.task_id, sum(s.children)::int AS children, jsonb_object_agg(s.state, s.children) AS state_counts,
            min(s.begun) AS min_start_time, max(s.ended) AS max_end_time,
            min(s.lowest) FILTER (WHERE s.state IN ({_FAILED})) AS first_failed_map_index
        FROM (
            SELECT c.task_id, c.state, count(*) AS children, min(c.start_time) AS begun, max(c.end_time) AS ended,
                min(c.map_index) AS lowest
            FROM runs.task_run c
            WHERE c.flow_run_id = {run} AND c.tenant_id = {TENANT} AND c.map_index >= 0
            GROUP BY c.task_id, c.state
        ) s
        GROUP BY s.task_id
        ORDER BY min(s.begun) NULLS LAST, s.task_id
        LIMIT 10000"""


def agents(asked: Asked) -> str:
    """Every agent of the tenant, compared with a flow run's labels: those that could take it first, live ones first.

    The rule is that of the queue: an agent serves a run whose labels it has all, and a run without labels only if it
    has none itself.
    """
    run = asked.bind("flow_run_id", "uuid")
    return f"""
        SELECT a.id AS agent_id, a.name, a.type, a.labels, a.last_queried, m.matches, l.is_live,
            m.matches AND l.is_live AS could_take,
            (SELECT coalesce(jsonb_agg(label), '[]') FROM jsonb_array_elements(r.labels) AS label
             WHERE NOT a.labels @> jsonb_build_array(label)) AS missing_labels
        FROM runs.flow_run r
        JOIN runs.agent a ON a.tenant_id = {TENANT}
        CROSS JOIN LATERAL (
            SELECT r.labels <@ a.labels AND (r.labels <> '[]' OR a.labels = '[]') AS matches
        ) m
        CROSS JOIN LATERAL (
            SELECT coalesce(a.last_queried > now() - interval '{AGENT_SILENT_AFTER}', false) AS is_live
        ) l
        WHERE r.id = {run} AND r.tenant_id = {TENANT}
        ORDER BY m.matches DESC, a.last_queried DESC NULLS LAST, a.id
        LIMIT 1000"""


_RUN = {"flow_run_id": Argument("uuid", "The flow run.", required=True)}

RUN_VIEWS = (
    Derived(
        name="mapped_summary",
        description=(
            "The mapped tasks of a flow run, one row each: how many children are in which state, when the first began"
            " and the last ended, and the lowest index that failed. `mapped_children` tells it of one task run."
        ),
        tables=("task_run",),
        arguments=_RUN,
        columns={
            "task_id": "uuid!", "children": "Int!", "state_counts": "jsonb!", "min_start_time": "timestamptz",
            "max_end_time": "timestamptz", "first_failed_map_index": "Int",
        },
        source=mapped_summary,
    ),
    Derived(
        name="flow_run_agents",
        description=(
            "Which agents could take a flow run: `matches` says whether the labels fit, `missing_labels` what an agent"
            " lacks, `is_live` whether it asked for work in the last minute. Best first, 1,000 at most."
        ),
        tables=("agent", "flow_run"),
        arguments=_RUN,
        columns={
            "agent_id": "uuid!", "name": "String", "type": "String!", "labels": "jsonb!",
            "last_queried": "timestamptz", "matches": "Boolean!", "is_live": "Boolean!",
            "could_take": "Boolean!", "missing_labels": "jsonb!",
        },
        source=agents,
    ),
)  # fmt: skip

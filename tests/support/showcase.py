"""A tenant as it looks after two weeks of work: for screenshots, and for people who look at the pages.

What clients register comes through the API. The past is written by plain SQL: nobody waits two weeks for it. It is the
same at each call but for the time, which ends now.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from libs.runtime.clock import utc_now
from tests.support.gql import Gql
from tests.support.serialized_flows import (
    a_cron,
    a_flow,
    a_parameter,
    a_schedule,
    a_task,
    an_edge,
    an_interval,
)
from tests.support.showcase_past import Kind, Past, Registered

Row = dict[str, Any]
_README = """# Nightly warehouse load

Copies orders and customers of the day into the warehouse, and cleans them.

* **Owner:** data platform, `#data-platform`
* **When it fails:** run again from the failed task; loads replace the day's partition.

| step | takes |
|---|---|
| extract | 3 min |
| clean | 12 min, one task for each shop |
| load | 5 min |
"""


KINDS = (
    Kind(
        name="nightly-warehouse-load", project="Warehouse", every=timedelta(days=1), seconds=1260, failures=0.12,
        schedule=a_schedule(a_cron("0 2 * * *", start_date={"dt": "2026-01-01T00:00:00", "tz": "Europe/Berlin"})),
        tasks=("extract_orders-1", "extract_customers-1", "shops-1", "clean-1", "load-1", "report-1"),
        labels=("warehouse",),
    ),
    Kind(
        name="hourly-orders", project="Warehouse", every=timedelta(hours=1), seconds=95, failures=0.04,
        schedule=a_schedule(an_interval(3600)), tasks=("fetch-1", "upsert-1", "refresh_views-1"),
        labels=("warehouse",),
    ),
    Kind(
        name="data-quality", project="Warehouse", every=timedelta(hours=6), seconds=310, failures=0.35,
        schedule=a_schedule(a_cron("30 */6 * * *")), tasks=("freshness-1", "nulls-1", "alert-1"),
    ),
    Kind(
        name="churn-model", project="Machine learning", every=timedelta(days=2), seconds=5400, failures=0.1,
        schedule=a_schedule(a_cron("0 4 * * 1")), tasks=("features-1", "train-1", "evaluate-1", "publish-1"),
        labels=("gpu",),
    ),
    Kind(
        name="score-customers", project="Machine learning", every=timedelta(hours=4), seconds=420, failures=0.02,
        schedule=a_schedule(a_cron("15 */4 * * *")), tasks=("load_model-1", "score-1", "write-1"),
    ),
    Kind(
        name="ad-spend-import", project="Marketing", every=timedelta(hours=3), seconds=61, failures=0.08,
        schedule=a_schedule(an_interval(10800)), tasks=("google-1", "meta-1", "merge-1"),
    ),
    Kind(
        name="send-invoices", project="Finance", every=timedelta(days=3), seconds=180, failures=0.0,
        schedule=None, tasks=("select-1", "render-1", "mail-1"),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Showcase:
    """The addresses of what is worth a look."""

    slug: str
    group: str
    task: str
    failed_run: str
    failed_task_run: str
    running_run: str

    @property
    def pages(self) -> dict[str, str]:
        """The address of each page, by its name."""
        at = f"/{self.slug}"
        flow, run = f"{at}/flow/{self.group}", f"{at}/flow-run/{self.failed_run}"
        return {
            "overview": at,
            "flows": f"{at}/flows",
            "flow": flow,
            **{
                f"flow {tab}": f"{flow}?tab={tab}"
                for tab in ("schedule", "tasks", "versions", "graph", "readme", "parameters", "settings")
            },
            "new run": f"{flow}/run",
            "runs": f"{at}/runs",
            "run": run,
            "running run": f"{at}/flow-run/{self.running_run}",
            "logs": f"{run}?tab=logs",
            "graph": f"{run}?tab=graph",
            "task run": f"{at}/task-run/{self.failed_task_run}",
            "task": f"{at}/task/{self.task}",
            "agents": f"{at}/agents",
            "limits": f"{at}/limits",
            "calendar": f"{at}/calendar",
            "projects": f"{at}/projects",
            "values": f"{at}/values",
            "team": f"{at}/team",
        }  # fmt: skip


async def furnish(api: Gql, pool: "asyncpg.Pool[asyncpg.Record]") -> Showcase:
    """Fill the tenant of a caller without a key."""
    tenant = (await api("{ tenant { id slug } }"))["tenant"][0]
    flows = await _register(api)
    await _values(api)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        past = Past(connection, UUID(tenant["id"]), flows, utc_now().replace(microsecond=0))
        await past.write()
    for table in ("flow_run", "task_run", "log"):
        await pool.execute(f"ANALYZE runs.{table}")
    nightly = flows["nightly-warehouse-load"]
    return Showcase(
        slug=tenant["slug"],
        group=str(nightly.group),
        task=str(nightly.tasks["clean-1"]),
        failed_run=str(past.failed_run),
        failed_task_run=str(past.failed_task_run),
        running_run=str(past.running_run),
    )


async def keep_agents_alive(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Agents that are said to live have asked for work just now."""
    await pool.execute(
        "UPDATE runs.agent SET last_queried = now() - interval '2 seconds' WHERE name LIKE 'live-%'"
    )


def _serialized(kind: Kind, version: int) -> Row:
    mapped = "clean-1" in kind.tasks
    tasks = [
        a_task(slug, max_retries=2 if slug in {"load-1", "fetch-1"} else 0, tags=["database"] if "load" in slug else [])
        for slug in kind.tasks
    ]  # fmt: skip
    edges = [
        an_edge(up, down, mapped=mapped and down == "clean-1")
        for up, down in zip(kind.tasks[:-1], kind.tasks[1:], strict=True)
        if not (mapped and down in {"extract_customers-1", "shops-1"})
    ]
    if mapped:
        edges += [
            an_edge("extract_orders-1", "clean-1", key="orders"),
            an_edge("extract_customers-1", "clean-1", key="customers"),
        ]
    return a_flow(
        kind.name,
        tasks=kind.tasks,
        schedule=kind.schedule,
        parameters=[
            a_parameter("day", default="yesterday"),
            a_parameter("shops", default=["berlin", "paris"]),
            a_parameter("batch_size", default=1000 * version),
        ],
        run_config={
            "type": "DockerRun", "image": f"registry.example/flows:{version}.0", "env": {}, "labels": list(kind.labels),
        },
    ) | {"tasks": tasks, "edges": edges}  # fmt: skip


async def _register(api: Gql) -> dict[str, Registered]:
    projects: dict[str, str] = {}
    flows: dict[str, Registered] = {}
    for kind in KINDS:
        if kind.project not in projects:
            made = await api(
                "mutation($n: String!) { create_project(input: {name: $n}) { id } }", n=kind.project
            )
            projects[kind.project] = made["create_project"]["id"]
        for version in range(1, 4 if kind is KINDS[0] else 2):
            made = await api(
                "mutation($p: UUID!, $f: JSON!) { create_flow(input: {project_id: $p, serialized_flow: $f}) { id } }",
                p=projects[kind.project],
                f=_serialized(kind, version),
            )
        found = await api(
            "query($i: uuid!) { flow_by_pk(id: $i) { flow_group_id tasks(limit: 100) { id slug } } }",
            i=made["create_flow"]["id"],
        )
        flows[kind.name] = Registered(
            kind=kind,
            id=UUID(made["create_flow"]["id"]),
            group=UUID(found["flow_by_pk"]["flow_group_id"]),
            tasks={task["slug"]: UUID(task["id"]) for task in found["flow_by_pk"]["tasks"]},
        )
    await api(
        "mutation($g: UUID!, $d: String!) { set_flow_group_description(input: {flow_group_id: $g, description: $d})"
        " { success } }",
        g=str(flows["nightly-warehouse-load"].group),
        d=_README,
    )
    return flows


async def _values(api: Gql) -> None:
    for label, limit in (("warehouse", 2), ("gpu", 1)):
        await api(
            "mutation($l: String!, $n: Int!) { update_flow_concurrency_limit(input: {label: $l, limit: $n}) { id } }",
            l=label,
            n=limit,
        )
    await api('mutation { update_task_tag_limit(input: {tag: "database", limit: 4}) { id } }')
    for key, value in (
        ("last_loaded_day", "2026-11-29"),
        ("shops", {"open": ["berlin", "paris", "madrid"], "closed": []}),
        ("exchange_rate", 1.0841),
    ):
        await api(
            "mutation($k: String!, $v: JSON!) { set_key_value(input: {key: $k, value: $v}) { id } }",
            k=key,
            v=value,
        )

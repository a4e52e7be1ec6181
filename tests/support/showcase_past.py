"""What happened in the showcase before now, written by plain SQL."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.runtime.ids import new_id

Row = dict[str, Any]
CHILDREN = 48
_TRACE = "Unexpected error: OperationalError('connection to server at \"warehouse\" failed: timeout expired')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A flow of the showcase: how often it ran, how long it took, and how often it failed."""

    name: str
    project: str
    schedule: Row | None
    every: timedelta
    seconds: float
    failures: float
    tasks: tuple[str, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A flow in the database."""

    kind: Kind
    id: UUID
    group: UUID
    tasks: dict[str, UUID]


class Past:
    """Writes what happened before now."""

    def __init__(
        self, connection: Any, tenant: UUID, flows: dict[str, Registered], now: datetime
    ) -> None:
        self._connection = connection
        self._tenant = tenant
        self._flows = flows
        self._now = now
        self._chance = random.Random(17)  # noqa: S311 - the same past at each call
        self._names = iter(_run_names(self._chance))
        self.failed_run = self.failed_task_run = self.running_run = UUID(int=0)

    async def write(self) -> None:
        """All of it."""
        await self._agents()
        for flow in self._flows.values():
            await self._finished(flow)
        nightly = self._flows["nightly-warehouse-load"]
        await self._fail(nightly)
        await self._run_now(nightly)
        await self._late()
        await self._audit()

    async def _agents(self) -> None:
        seen = {
            "live": timedelta(seconds=2),
            "stale": timedelta(minutes=4),
            "dead": timedelta(days=3),
        }
        rows = [
            ("live-docker-1", "DockerAgent", ["warehouse"], "live"),
            ("live-docker-2", "DockerAgent", ["warehouse", "reports"], "live"),
            ("live-k8s-eu", "KubernetesAgent", [], "live"),
            ("laptop-of-maria", "LocalAgent", ["dev"], "stale"),
            *((f"k8s-eu-{n}", "KubernetesAgent", [], "dead") for n in range(1, 8)),
        ]  # fmt: skip
        for name, kind, labels, state in rows:
            await self._insert(
                "agent",
                id=new_id(), tenant_id=self._tenant, name=name, type=kind, core_version="1.4.1", labels=labels,
                last_queried=self._now - seen[state], created=self._now - timedelta(days=20),
            )  # fmt: skip

    async def _finished(self, flow: Registered) -> None:
        kind = flow.kind
        at = self._now - timedelta(days=14)
        slower = 1.0
        while at < self._now - timedelta(seconds=kind.seconds * 2):
            # It takes longer as data grows: what a trend is for.
            slower += 0.3 * kind.every / timedelta(days=14)
            took = kind.seconds * slower * self._chance.uniform(0.8, 1.25)
            failed = self._chance.random() < kind.failures
            state = (
                "Failed" if failed else ("Cancelled" if self._chance.random() < 0.02 else "Success")
            )
            queued = timedelta(seconds=self._chance.uniform(0.2, 9))
            await self._flow_run(
                flow, at, state, start=at + queued,
                end=at + queued + timedelta(seconds=took * (0.4 if failed else 1)),
                message="Some reference tasks failed." if failed else "All reference tasks succeeded.",
            )  # fmt: skip
            at += kind.every

    async def _flow_run(
        self, flow: Registered, at: datetime, state: str, *, start: datetime | None = None,
        end: datetime | None = None, message: str = "", labels: Sequence[str] | None = None,
    ) -> UUID:  # fmt: skip
        id_ = new_id()
        then = end or start or at
        await self._insert(
            "flow_run",
            id=id_, created=at - timedelta(hours=1), updated=then, tenant_id=self._tenant, flow_id=flow.id,
            flow_group_id=flow.group, name=next(self._names), version=4, scheduled_start_time=at, start_time=start,
            end_time=end, auto_scheduled=flow.kind.schedule is not None, state=state, state_timestamp=then,
            state_message=message, state_start_time=at if state == "Scheduled" else None,
            labels=list(flow.kind.labels if labels is None else labels), parameters={"day": f"{at:%Y-%m-%d}"},
            serialized_state={"type": state, "message": message, "__version__": "1.4.1"},
        )  # fmt: skip
        story = [("Scheduled", at - timedelta(hours=1), "Flow run scheduled.")]
        if start:
            story += [
                ("Submitted", at, "Submitted for execution"),
                ("Running", start, "Running flow."),
            ]
        if state not in {name for name, _, _ in story}:
            story.append((state, then, message))
        for version, (name, when, text) in enumerate(story, start=1):
            await self._history("flow_run", id_, version, state=name, at=when, message=text)
        return id_

    async def _task_run(
        self, run: UUID, task: UUID, state: str, start: datetime | None, seconds: float, *, index: int = -1,
        message: str = "", retries: int = 0,
    ) -> UUID:  # fmt: skip
        id_ = new_id()
        end = (
            start + timedelta(seconds=seconds)
            if start and state not in {"Running", "Retrying"}
            else None
        )
        then = end or start or self._now
        await self._insert(
            "task_run",
            id=id_, created=(start or self._now) - timedelta(seconds=self._chance.uniform(1, 40)),
            tenant_id=self._tenant,
            flow_run_id=run, task_id=task, map_index=index, version=3 + retries * 2, start_time=start, end_time=end,
            state=state, state_timestamp=then, state_message=message, retries=retries,
            serialized_state={"type": state, "message": message, "__version__": "1.4.1"},
        )  # fmt: skip
        if start is None:
            return id_
        version = 1
        for attempt in range(retries + 1):
            began = start + timedelta(seconds=attempt * 90)
            await self._history(
                "task_run", id_, version, state="Running", at=began, message="Starting task run."
            )
            if attempt < retries:
                await self._history(
                    "task_run", id_, version + 1, state="Retrying", at=began + timedelta(seconds=31), message=_TRACE,
                    run_count=attempt + 1,
                )  # fmt: skip
            version += 2
        if state != "Running":
            await self._history("task_run", id_, version, state=state, at=then, message=message)
        return id_

    async def _history(
        self,
        kind: str,
        id_: UUID,
        version: int,
        *,
        state: str,
        at: datetime,
        message: str,
        **more: Any,
    ) -> None:
        await self._insert(
            f"{kind}_state",
            id=new_id(), created=at, tenant_id=self._tenant, **{f"{kind}_id": id_}, timestamp=at, state=state,
            message=message, version=version,
            serialized_state={"type": state, "message": message, "__version__": "1.4.1", **more},
        )  # fmt: skip

    async def _fail(self, flow: Registered) -> None:
        began = self._now - timedelta(minutes=52)
        self.failed_run = run = await self._flow_run(
            flow, began, "Failed", start=began + timedelta(seconds=6), end=began + timedelta(minutes=21),
            message="Some reference tasks failed.",
        )  # fmt: skip
        start = began + timedelta(seconds=8)
        for slug, after, seconds in (
            ("extract_orders-1", 0, 170),
            ("extract_customers-1", 2, 205),
            ("shops-1", 1, 4),
        ):
            await self._task_run(
                run, flow.tasks[slug], "Success", start + timedelta(seconds=after), seconds,
                message="Task run succeeded.",
            )  # fmt: skip
        cleaning = start + timedelta(seconds=210)
        await self._task_run(
            run,
            flow.tasks["clean-1"],
            "Mapped",
            cleaning,
            640,
            message="Ready to proceed with mapping.",
        )
        for index in range(CHILDREN):
            await self._task_run(
                run, flow.tasks["clean-1"], "Success", cleaning + timedelta(seconds=index // 8 * 95),
                self._chance.uniform(60, 95), index=index, message="Task run succeeded.",
            )  # fmt: skip
        loading = cleaning + timedelta(seconds=660)
        self.failed_task_run = await self._task_run(
            run, flow.tasks["load-1"], "Failed", loading, 300, message=_TRACE, retries=2
        )
        await self._task_run(
            run, flow.tasks["report-1"], "TriggerFailed", loading + timedelta(seconds=301), 0.1,
            message='Trigger was "all_successful" but some of the upstream tasks failed.',
        )  # fmt: skip
        await self._logs(run, self.failed_task_run, began)

    async def _logs(self, run: UUID, task_run: UUID, began: datetime) -> None:
        lines = [
            ("INFO", "prefect.CloudFlowRunner", "Beginning Flow run for 'nightly-warehouse-load'"),
            *(("INFO", "prefect.clean", f"shop {n}: {self._chance.randrange(900, 9000)} rows, 0 refused")
              for n in range(160)),
            ("WARNING", "prefect.load", "the warehouse answers slowly: 4.2 s for one row"),
            *(("ERROR", "prefect.CloudTaskRunner", f"Task 'load': {_TRACE}") for _ in range(3)),
            ("INFO", "prefect.CloudFlowRunner", "Flow run FAILED: some reference tasks failed."),
        ]  # fmt: skip
        for number, (level, name, text) in enumerate(lines):
            at = began + timedelta(seconds=8 + number * 7.4)
            await self._insert(
                "log",
                id=new_id(), created=at, tenant_id=self._tenant, flow_run_id=run, timestamp=at, level=level, name=name,
                task_run_id=task_run if "load" in text and level != "INFO" else None, message=text, sequence=number,
            )  # fmt: skip

    async def _run_now(self, flow: Registered) -> None:
        began = self._now - timedelta(minutes=9)
        self.running_run = run = await self._flow_run(
            flow, began, "Running", start=began + timedelta(seconds=4), message="Running flow."
        )
        start = began + timedelta(seconds=5)
        for slug in ("extract_orders-1", "extract_customers-1", "shops-1"):
            await self._task_run(
                run, flow.tasks[slug], "Success", start, self._chance.uniform(20, 190)
            )
        cleaning = start + timedelta(seconds=200)
        await self._task_run(run, flow.tasks["clean-1"], "Mapped", cleaning, 200)
        for index in range(CHILDREN):
            state = "Success" if index < 29 else "Running" if index < 33 else "Pending"
            await self._task_run(
                run, flow.tasks["clean-1"], state,
                None if state == "Pending" else cleaning + timedelta(seconds=index * 9), self._chance.uniform(30, 80),
                index=index,
            )  # fmt: skip
        for slug in ("load-1", "report-1"):
            await self._task_run(run, flow.tasks[slug], "Pending", None, 0)
        await self._slot("flow_concurrency_limit", "warehouse", run)
        other = self._flows["hourly-orders"]
        began = self._now - timedelta(seconds=40)
        run = await self._flow_run(other, began, "Running", start=began, message="Running flow.")
        await self._slot("flow_concurrency_limit", "warehouse", run)

    async def _slot(self, table: str, name: str, run: UUID) -> None:
        limit = await self._connection.fetchval(
            f"SELECT id FROM runs.{table} WHERE tenant_id = $1 AND name = $2",
            self._tenant,
            name,
        )
        await self._insert(
            "concurrency_slot",
            limit_id=limit, run_id=run, flow_run_id=run, tenant_id=self._tenant, taken=self._now,
        )  # fmt: skip

    async def _late(self) -> None:
        for minutes in (3, 64):
            await self._flow_run(
                self._flows["churn-model"], self._now - timedelta(minutes=minutes), "Scheduled"
            )
        await self._flow_run(
            self._flows["data-quality"],
            self._now - timedelta(minutes=2),
            "Scheduled",
            labels=["warehouse"],
        )

    async def _audit(self) -> None:
        for minutes, actor, message in (
            (4, "user maria", "Flow group schedule was set."),
            (95, "key ci", "Flow version was registered."),
            (610, "user jonas", "Flow run was cancelled."),
            (2000, "user maria", "Key for agents was made."),
        ):
            await self._insert(
                "gateway.audit_log",
                id=new_id(), tenant_id=self._tenant, timestamp=self._now - timedelta(minutes=minutes), actor=actor,
                message=message, object_table="flow_group",
            )  # fmt: skip

    async def _insert(self, table: str, **values: Any) -> None:
        name = table if "." in table else f"runs.{table}"
        columns = ", ".join(f'"{column}"' for column in values)
        places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
        await self._connection.execute(
            f"INSERT INTO {name} ({columns}) VALUES ({places})",
            *values.values(),
        )


def _run_names(chance: random.Random) -> Sequence[str]:
    first = (
        "amber",
        "brisk",
        "calm",
        "eager",
        "fabled",
        "gentle",
        "ivory",
        "jolly",
        "keen",
        "lucid",
        "noble",
        "quiet",
    )
    second = (
        "badger",
        "crane",
        "dolphin",
        "egret",
        "falcon",
        "gecko",
        "heron",
        "ibis",
        "kestrel",
        "lemur",
        "otter",
        "puffin",
    )
    return [f"{chance.choice(first)}-{chance.choice(second)}" for _ in range(4000)]

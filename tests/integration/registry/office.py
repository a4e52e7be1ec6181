"""A tenant with a project: asks the registry over NATS, looks into its tables."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from libs.contracts import registry as contracts
from libs.contracts import subjects
from libs.contracts.base import Applied, Message, Refused, Rpc
from libs.runtime.ids import new_id
from services.registry.app import Registry
from services.registry.upkeep import Upkeep
from tests.support.engines import Stack
from tests.support.eventually import eventually

Reply = TypeVar("Reply", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A version that a registration made or found."""

    id: UUID
    flow_group_id: UUID
    version: int
    existing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What a test works with."""

    stack: Stack
    service: Registry
    tenant_id: UUID
    project_id: UUID

    @classmethod
    async def open(cls, stack: Stack, service: Registry) -> "Office":
        """A new tenant and its first project."""
        tenant_id = new_id()
        await stack.admin_pool.execute(
            "INSERT INTO gateway.tenant (id, name, slug) VALUES ($1, $2, $2)",
            tenant_id,
            str(tenant_id),
        )
        office = cls(stack=stack, service=service, tenant_id=tenant_id, project_id=new_id())
        made = await office.ask(
            contracts.CREATE_PROJECT, contracts.CreateProject(tenant_id=tenant_id, name="sales")
        )
        assert isinstance(made, Applied), made
        assert made.id is not None
        return cls(stack=stack, service=service, tenant_id=tenant_id, project_id=made.id)

    async def ask(self, rpc: Rpc[Any, Reply], request: Message) -> Reply | Refused:
        """The answer of the registry, over the bus."""
        return await self.service.bus.call(rpc, request, timeout=60)

    async def do(self, rpc: Rpc[Any, Reply], request: Message) -> Reply:
        """An answer that must not be a refusal."""
        answer = await self.ask(rpc, request)
        assert not isinstance(answer, Refused), answer
        return answer

    async def refusal(self, rpc: Rpc[Any, Any], request: Message) -> Refused:
        """An answer that must be a refusal."""
        answer = await self.ask(rpc, request)
        assert isinstance(answer, Refused), answer
        return answer

    def registration(self, serialized: Any = None, **fields: Any) -> contracts.RegisterFlow:
        """The command that registers a flow in this project."""
        return contracts.RegisterFlow(
            **(
                {
                    "tenant_id": self.tenant_id,
                    "project_id": self.project_id,
                    "serialized_flow": serialized,
                }
                | fields
            )
        )

    async def register(self, serialized: Any = None, **fields: Any) -> Made:
        """Register a whole flow in this project."""
        reply = await self.do(contracts.REGISTER_FLOW, self.registration(serialized, **fields))
        assert reply.flow_group_id is not None
        assert reply.version is not None
        return Made(
            id=reply.id,
            flow_group_id=reply.flow_group_id,
            version=reply.version,
            existing=reply.existing,
        )

    async def begin(self, serialized: Any = None, **fields: Any) -> UUID:
        """Begin to register a flow as Core 1.x does: without tasks and edges, with the schedule off."""
        reply = await self.do(
            contracts.REGISTER_FLOW,
            self.registration(serialized, **({"set_schedule_active": False} | fields)),
        )
        return reply.id

    async def add_tasks(self, flow_id: UUID, serialized: Any) -> Applied | Refused:
        """Send a piece of tasks."""
        return await self.ask(
            contracts.REGISTER_TASKS,
            contracts.RegisterTasks(
                tenant_id=self.tenant_id, flow_id=flow_id, serialized_tasks=serialized
            ),
        )

    async def add_edges(self, flow_id: UUID, serialized: Any) -> Applied | Refused:
        """Send a piece of edges."""
        return await self.ask(
            contracts.REGISTER_EDGES,
            contracts.RegisterEdges(
                tenant_id=self.tenant_id, flow_id=flow_id, serialized_edges=serialized
            ),
        )

    async def on_flow(self, rpc: Rpc[Any, Applied], flow_id: UUID) -> Applied:
        """Archive, unarchive or delete a flow."""
        return await self.do(rpc, contracts.FlowCommand(tenant_id=self.tenant_id, flow_id=flow_id))

    async def told(self, about: UUID, noun: str = "flow") -> dict[str, int]:
        """What the bus has been told of something, once everything that is committed was published: verb and count."""

        async def published() -> bool:
            return not await self.rows("SELECT FROM registry.outbox")

        await eventually(published)
        info = await self.service.bus.js.stream_info(
            "EVENTS", subjects_filter=f"hw.evt.{noun}.*.{about}"
        )
        return {subject.split(".")[3]: n for subject, n in (info.state.subjects or {}).items()}

    async def pieces_told(self, flow_id: UUID) -> list[contracts.FlowPieceRegistered]:
        """The events about a flow's pieces, in their order."""
        count = (await self.told(flow_id)).get("piece_registered", 0)
        subject = subjects.FLOW_PIECE_REGISTERED.at(flow_id=flow_id)
        js = self.service.bus.js
        found: list[contracts.FlowPieceRegistered] = []
        seq = 1
        for _ in range(count):
            message = await js.get_msg("EVENTS", seq=seq, subject=subject, next=True)
            assert message.seq is not None
            seq = message.seq + 1
            found.append(contracts.FlowPieceRegistered.model_validate_json(message.data or b""))
        return found

    async def row(self, sql: str, *arguments: Any) -> dict[str, Any]:
        """The one row of a query."""
        rows = await self.rows(sql, *arguments)
        assert len(rows) == 1, rows
        return rows[0]

    async def rows(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        """All rows of a query, as the owner of the database."""
        return [dict(row) for row in await self.stack.admin_pool.fetch(sql, *arguments)]

    async def drafts(self) -> list[UUID]:
        """The registrations in pieces that are not whole yet."""
        rows = await self.rows(
            "SELECT id FROM registry.flow_draft WHERE tenant_id = $1 ORDER BY id", self.tenant_id
        )
        return [row["id"] for row in rows]

    async def everything(self) -> dict[str, int]:
        """How many rows of each kind the tenant has, to show that nothing was stored."""
        return {
            table: (
                await self.row(
                    f"SELECT count(*) AS n FROM registry.{table} WHERE tenant_id = $1",
                    self.tenant_id,
                )
            )["n"]
            for table in ("project", "flow_group", "flow", "task", "edge")
        }

    async def flow(self, flow_id: UUID) -> dict[str, Any]:
        """A flow's row."""
        return await self.row("SELECT * FROM registry.flow WHERE id = $1", flow_id)

    async def tasks(self, flow_id: UUID) -> dict[str, dict[str, Any]]:
        """A flow's tasks by slug."""
        rows = await self.rows("SELECT * FROM registry.task WHERE flow_id = $1", flow_id)
        return {row["slug"]: row for row in rows}

    async def shapes(self, flow_id: UUID) -> dict[str, str]:
        """The flags of each task by their initials."""
        flags = {
            "m": "mapped",
            "r": "is_root_task",
            "t": "is_terminal_task",
            "f": "is_reference_task",
        }
        return {
            slug: "".join(initial for initial, column in flags.items() if task[column])
            for slug, task in (await self.tasks(flow_id)).items()
        }

    async def versions(self, flow_group_id: UUID) -> list[tuple[int, bool]]:
        """Version and archived of each flow of a group, in order."""
        rows = await self.rows(
            "SELECT version, archived FROM registry.flow WHERE flow_group_id = $1 ORDER BY version",
            flow_group_id,
        )
        return [(row["version"], row["archived"]) for row in rows]


def upkeep(
    office: Office,
    *,
    left_after: timedelta = timedelta(hours=1),
    unfinished_for: timedelta = timedelta(hours=1),
) -> Upkeep:
    """The registry's upkeep with other patience."""
    return Upkeep(
        office.service.database,
        office.service.units,
        left_after=left_after,
        unfinished_for=unfinished_for,
    )

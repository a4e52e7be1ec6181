"""Agents: their registration, their last sign of life, and the runs that wait for them."""

from datetime import datetime
from uuid import UUID

from libs.contracts.runs import GetRunsInQueue, RegisterAgent
from libs.runtime.database import Database, statement
from libs.runtime.reported import fault_of_text
from services.runs.domain.creation import canonical_labels
from services.runs.domain.queue import servable_label_sets
from services.runs.domain.states import to_json

PRESENCE_EVERY = 5.0
"""Seconds between two writes of an agent's `last_queried`. Clients count an agent as alive for a minute after it, and
an agent that finds work asks four times a second."""

PRESENCE_FORGET = 10_000
"""Agents remembered between writes; past it the memory is emptied, which costs one extra write each."""


IDENTITY_LIMIT = 2_500
"""Most bytes of type, name, version and labels of an agent together: the size of an entry in their unique index."""
_BYTES_OF_A_LABEL = 8  # beside its text


def unstorable_identity(command: RegisterAgent) -> str | None:
    """Why an agent cannot be registered like this, or None."""
    texts = {"type": command.type, "name": command.name, "core_version": command.core_version}
    given = [(field, text) for field, text in texts.items() if text is not None]
    given += [("labels", label) for label in command.labels]
    for field, text in given:
        if (reason := fault_of_text(text)) is not None:
            return f"{field} {reason}"
    size = sum(len(text.encode()) for _, text in given) + _BYTES_OF_A_LABEL * len(command.labels)
    if size > IDENTITY_LIMIT:
        return (
            f"type, name, core_version and labels have {size:,} bytes together, and at most {IDENTITY_LIMIT:,} are"
            " kept: give the agent fewer or shorter labels"
        )
    return None


class Agents:
    """The `agent` table and the queue. `monotonic` gives seconds of any monotonic clock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # By tenant and agent: the agent's id comes from the caller, and may belong to another tenant's agent.
        self._written: dict[tuple[UUID, UUID], float] = {}

    async def register(self, command: RegisterAgent, *, id_: UUID, at: datetime) -> UUID:
        """The agent with this identity, made if absent. The unique index decides between concurrent registrations.

        A registration of an agent that gave a sign of life within a day may come from a second process beside the
        first, for example a deployment with two replicas; then `shared` is set.
        """
        registered: UUID = await self._database.pool.fetchval(
            """
            INSERT INTO runs.agent
                (id, created, updated, tenant_id, agent_config_id, name, type, core_version, labels, last_queried,
                 shared)
            VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $2, false)
            ON CONFLICT (tenant_id, (coalesce(name, '')), type, (coalesce(core_version, '')), labels)
            DO UPDATE SET updated = excluded.updated, last_queried = excluded.last_queried,
                agent_config_id = coalesce(excluded.agent_config_id, agent.agent_config_id),
                shared = agent.last_queried > excluded.last_queried - interval '1 day'
                    OR agent.last_queried IS NULL
            RETURNING id
            """,
            id_,
            at,
            command.tenant_id,
            command.agent_config_id,
            command.name,
            command.type,
            command.core_version,
            canonical_labels(command.labels),
        )
        return registered

    async def delete(self, tenant_id: UUID, agent_id: UUID) -> bool:
        """Delete an agent; its runs keep its id, which then refers to no row."""
        tag = await self._database.pool.execute(
            "DELETE FROM runs.agent WHERE id = $1 AND tenant_id = $2", agent_id, tenant_id
        )
        return tag == "DELETE 1"

    async def queue(self, request: GetRunsInQueue) -> list[UUID]:
        """Due runs that the agent may have, oldest first. Reading does not claim them; Submitted is the claim."""
        labels = canonical_labels(request.labels)
        sets = servable_label_sets(labels)
        async with self._database.transaction() as connection:
            # With many old runs PostgreSQL would plan this anew each time, which takes longer than executing it.
            await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            rows = await connection.fetch(
                statement(__file__, "runs_in_queue"),
                request.tenant_id,
                request.before,
                labels,
                None if sets is None else [to_json(labels) for labels in sets],
                max(0, request.limit),
            )
        return [row["id"] for row in rows]

    async def seen(
        self, tenant_id: UUID, agent_id: UUID, *, at: datetime, monotonic: float
    ) -> None:
        """The agent gave a sign of life; written at most every PRESENCE_EVERY seconds."""
        agent = (tenant_id, agent_id)
        last = self._written.get(agent)
        if last is not None and monotonic - last < PRESENCE_EVERY:
            return
        if len(self._written) >= PRESENCE_FORGET:
            self._written.clear()
        self._written[agent] = monotonic
        await self._database.pool.execute(
            "UPDATE runs.agent SET last_queried = $3 WHERE id = $1 AND tenant_id = $2",
            agent_id,
            tenant_id,
            at,
        )

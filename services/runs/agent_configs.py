"""Agent configs: settings that agents fetch by id when they start."""

from datetime import datetime
from uuid import UUID

from libs.contracts.agent_configs import CreateAgentConfig, DeleteAgentConfig, UpdateAgentConfig
from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.runtime.database import Database
from libs.runtime.reported import faults

NAME_LIMIT = 255


async def create_config(
    database: Database, command: CreateAgentConfig, *, id_: UUID, at: datetime
) -> Applied | Refused:
    """Make a config."""
    if (reason := _fault(command)) is not None:
        return Refused(code=Code.INVALID, fields={"reason": reason})
    await database.pool.execute(
        "INSERT INTO runs.agent_config (id, created, updated, tenant_id, name, settings)"
        " VALUES ($1, $2, $2, $3, $4, $5)",
        id_,
        at,
        command.tenant_id,
        command.name,
        command.settings or {},
    )
    return Applied(id=id_)


async def update_config(
    database: Database, command: UpdateAgentConfig, *, at: datetime
) -> Applied | Refused:
    """Replace its name, its settings or both."""
    if (reason := _fault(command)) is not None:
        return Refused(code=Code.INVALID, fields={"reason": reason})
    tag = await database.pool.execute(
        "UPDATE runs.agent_config SET updated = $3, name = coalesce($4, name), settings = coalesce($5, settings)"
        " WHERE id = $1 AND tenant_id = $2",
        command.agent_config_id,
        command.tenant_id,
        at,
        command.name,
        command.settings,
    )
    return Applied(id=command.agent_config_id, success=tag == "UPDATE 1")


async def delete_config(database: Database, command: DeleteAgentConfig) -> Applied | Refused:
    """Delete it, unless agents name it: Core's agents end at their start when their config is gone.

    An agent that registers in the same moment may name it all the same; it does so too when it names one that was
    never there.
    """
    tag = await database.pool.execute(
        "DELETE FROM runs.agent_config c WHERE c.id = $1 AND c.tenant_id = $2"
        " AND NOT EXISTS (SELECT FROM runs.agent a WHERE a.agent_config_id = c.id AND a.tenant_id = c.tenant_id)",
        command.agent_config_id,
        command.tenant_id,
    )
    if tag == "DELETE 0":
        users: int = await database.pool.fetchval(
            "SELECT count(*) FROM runs.agent a JOIN runs.agent_config c ON c.id = a.agent_config_id"
            " WHERE c.id = $1 AND c.tenant_id = $2 AND a.tenant_id = $2",
            command.agent_config_id,
            command.tenant_id,
        )
        if users:
            reason = (
                f"agent_config_id: {users} agents use this config, and would end at their next start. Start them"
                " without it and delete them (delete_agent) first."
            )
            return Refused(code=Code.INVALID, fields={"reason": reason})
    return Applied(id=command.agent_config_id, success=tag == "DELETE 1")


def _fault(command: CreateAgentConfig | UpdateAgentConfig) -> str | None:
    if command.name is not None:
        if not command.name.strip() or len(command.name) > NAME_LIMIT:
            return f"name must have 1 to {NAME_LIMIT} characters, and has {len(command.name)}"
        if (odd := next(faults(command.name, "name"), None)) is not None:
            return odd
    return next(faults(command.settings or {}, "settings"), None)

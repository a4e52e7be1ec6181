"""The ledger's verbs for agent configs: settings that agents fetch by id when they start."""

from uuid import UUID

from libs.contracts import subjects
from libs.contracts.base import Applied, JsonObject, Message, Rpc


class CreateAgentConfig(Message):
    """Make settings that agents fetch by id. Refused: INVALID."""

    tenant_id: UUID
    name: str | None = None
    settings: JsonObject | None = None


class UpdateAgentConfig(Message):
    """Replace the name, the settings or both; None: as it is. Refused: INVALID.

    `success` is false for an unknown id.
    """

    tenant_id: UUID
    agent_config_id: UUID
    name: str | None = None
    settings: JsonObject | None = None


class DeleteAgentConfig(Message):
    """Forget an agent config. `success` is false for an unknown id. Refused: INVALID while agents name it: they would
    end at their next start."""

    tenant_id: UUID
    agent_config_id: UUID


CREATE_AGENT_CONFIG = Rpc(subjects.CREATE_AGENT_CONFIG, CreateAgentConfig, Applied)
UPDATE_AGENT_CONFIG = Rpc(subjects.UPDATE_AGENT_CONFIG, UpdateAgentConfig, Applied)
DELETE_AGENT_CONFIG = Rpc(subjects.DELETE_AGENT_CONFIG, DeleteAgentConfig, Applied)

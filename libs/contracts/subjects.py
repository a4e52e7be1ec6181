"""Every subject, grouped by plane: the map of the system. The second token states the guarantee (ARCHITECTURE.md).

| plane | carrier | guarantee |
|---|---|---|
| rpc | request/reply, queue group named after the service | at most once; the caller owns the retry |
| work | JetStream work queue | at least once; must happen |
| evt | JetStream, through an outbox | at least once; a fact; ordered per id |
| log | request/reply: an agent hands log lines to the ledger | at most once; the agent owns the retry |
| lines | JetStream, drained in batches | at least once, deduplicated |
| beat | core NATS, heard by every replica of the heartbeat service | lossy: three of four may be lost |
| sig | core NATS | lossy; nothing may depend on one arriving |
| dlq | JetStream | poison, kept for a human |
"""

from dataclasses import dataclass
from string import Formatter


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject template, usable as is by FastStream (`hw.evt.flow.archived.{flow_id}`)."""

    template: str

    def at(self, **tokens: object) -> str:
        """The subject for these tokens; a missing one is a KeyError at the caller."""
        return self.template.format(**tokens)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The names in braces, in order."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.template) if name)

    @property
    def wildcard(self) -> str:
        """The subject with `*` for each token."""
        return self.template.format(**dict.fromkeys(self.tokens, "*"))


# Requests to the registry
CREATE_PROJECT = Subject("hw.rpc.registry.create_project")
DELETE_PROJECT = Subject("hw.rpc.registry.delete_project")
UPDATE_PROJECT = Subject("hw.rpc.registry.update_project")
REGISTER_FLOW = Subject("hw.rpc.registry.register_flow")
REGISTER_TASKS = Subject("hw.rpc.registry.register_tasks")
REGISTER_EDGES = Subject("hw.rpc.registry.register_edges")
ARCHIVE_FLOW = Subject("hw.rpc.registry.archive_flow")
UNARCHIVE_FLOW = Subject("hw.rpc.registry.unarchive_flow")
DELETE_FLOW = Subject("hw.rpc.registry.delete_flow")
MOVE_FLOW = Subject("hw.rpc.registry.move_flow")
SET_SCHEDULE_ACTIVE = Subject("hw.rpc.registry.set_schedule_active")
SET_FLOW_SETTINGS = Subject("hw.rpc.registry.set_flow_settings")
UPDATE_FLOW_GROUP = Subject("hw.rpc.registry.update_flow_group")
CHECK_SCHEDULE = Subject("hw.rpc.registry.check_schedule")
DELETE_FLOW_GROUP = Subject("hw.rpc.registry.delete_flow_group")

# Requests to the ledger
CREATE_FLOW_RUN = Subject("hw.rpc.runs.create_flow_run")
SET_STATES = Subject("hw.rpc.runs.set_states")
GET_OR_CREATE_TASK_RUN = Subject("hw.rpc.runs.get_or_create_task_run")
CANCEL_FLOW_RUN = Subject("hw.rpc.runs.cancel_flow_run")
GET_RUNS_IN_QUEUE = Subject("hw.rpc.runs.get_runs_in_queue")
REGISTER_AGENT = Subject("hw.rpc.runs.register_agent")
DELETE_AGENT = Subject("hw.rpc.runs.delete_agent")
UPDATE_RUN = Subject("hw.rpc.runs.update_run")
DELETE_FLOW_RUN = Subject("hw.rpc.runs.delete_flow_run")
WRITE_ARTIFACT = Subject("hw.rpc.runs.write_artifact")
SET_CONCURRENCY_LIMIT = Subject("hw.rpc.runs.set_concurrency_limit")
DELETE_CONCURRENCY_LIMIT = Subject("hw.rpc.runs.delete_concurrency_limit")

CREATE_AGENT_CONFIG = Subject("hw.rpc.runs.create_agent_config")
UPDATE_AGENT_CONFIG = Subject("hw.rpc.runs.update_agent_config")
DELETE_AGENT_CONFIG = Subject("hw.rpc.runs.delete_agent_config")

# Requests to the automations
CREATE_ACTION = Subject("hw.rpc.automations.create_action")
DELETE_ACTION = Subject("hw.rpc.automations.delete_action")
CREATE_HOOK = Subject("hw.rpc.automations.create_hook")
UPDATE_HOOK = Subject("hw.rpc.automations.update_hook")
DELETE_HOOK = Subject("hw.rpc.automations.delete_hook")
CREATE_FLOW_SLA_CONFIG = Subject("hw.rpc.automations.create_flow_sla_config")
CREATE_FLOW_GROUP_SLA = Subject("hw.rpc.automations.create_flow_group_sla")

# Requests of native agents, served by the ledger (libs/contracts/agents.py)
PREVIEW_SCHEDULE = Subject("hw.rpc.scheduler.preview_schedule")

AGENT_HELLO = Subject("hw.rpc.agents.{tenant_id}.hello")
AGENT_CLAIM = Subject("hw.rpc.agents.{tenant_id}.claim")
AGENT_RENEW = Subject("hw.rpc.agents.{tenant_id}.renew")
AGENT_REPORT = Subject("hw.rpc.agents.{tenant_id}.report")
AGENT_DRAIN = Subject("hw.rpc.agents.{tenant_id}.drain")

# Requests to the automations, about deliveries
TEST_ACTION = Subject("hw.rpc.automations.test_action")
TEST_CLOUD_HOOK = Subject("hw.rpc.automations.test_cloud_hook")
REDELIVER = Subject("hw.rpc.automations.redeliver")

# Requests of the automations to the gateway, which alone reads secrets and writes inboxes
OPEN_SECRETS = Subject("hw.rpc.gateway.open_secrets")
ADD_MESSAGE = Subject("hw.rpc.gateway.add_message")
SWITCH_OFF_CLOUD_HOOK = Subject("hw.rpc.gateway.switch_off_cloud_hook")
MAY_ACT = Subject("hw.rpc.gateway.may_act")

# Work that must happen
WORK_CREATE_SCHEDULED = Subject("hw.work.runs.create_scheduled.{flow_id}")
WORK_CLEAR_SCHEDULED = Subject("hw.work.runs.clear_scheduled.{flow_id}")
WORK_FORGET_DELETED = Subject("hw.work.runs.forget_deleted.{flow_id}")
WORK_RESCHEDULE = Subject("hw.work.runs.reschedule.{flow_run_id}")

# Facts
FLOW_REGISTERED = Subject("hw.evt.flow.registered.{flow_id}")
FLOW_PIECE_REGISTERED = Subject("hw.evt.flow.piece_registered.{flow_id}")
FLOW_ARCHIVED = Subject("hw.evt.flow.archived.{flow_id}")
FLOW_UNARCHIVED = Subject("hw.evt.flow.unarchived.{flow_id}")
FLOW_SCHEDULE_CHANGED = Subject("hw.evt.flow.schedule_changed.{flow_id}")
FLOW_SETTINGS_CHANGED = Subject("hw.evt.flow.settings_changed.{flow_id}")
FLOW_MOVED = Subject("hw.evt.flow.moved.{flow_id}")
FLOW_DELETED = Subject("hw.evt.flow.deleted.{flow_id}")
FLOW_GROUP_CHANGED = Subject("hw.evt.flow_group.changed.{flow_group_id}")
FLOW_GROUP_DELETED = Subject("hw.evt.flow_group.deleted.{flow_group_id}")
PROJECT_CREATED = Subject("hw.evt.project.created.{project_id}")
PROJECT_CHANGED = Subject("hw.evt.project.changed.{project_id}")
PROJECT_DELETED = Subject("hw.evt.project.deleted.{project_id}")
FLOW_RUN_STATE_CHANGED = Subject("hw.evt.flow_run.state_changed.{flow_run_id}")
FLOW_RUN_ZOMBIE_DETECTED = Subject("hw.evt.flow_run.zombie_detected.{flow_run_id}")

# Log lines and pings. No stream keeps subjects that agents may publish to: the broker would send its acknowledgement to
# any subject that they name.
LOG = Subject("hw.log.{tenant_id}.{flow_run_id}")
LINES = Subject("hw.lines.{tenant_id}.{flow_run_id}")
BEAT = Subject("hw.beat.{tenant_id}.{flow_run_id}")

# Lossy signals
SIG_AGENT_WORK_READY = Subject("hw.sig.agent.{tenant_id}.work_ready")
SIG_AGENT_CANCEL = Subject("hw.sig.agent.{tenant_id}.cancel.{flow_run_id}")
SIG_RUN_DUE = Subject("hw.sig.runs.due.{tenant_id}")
SIG_CHANGED = Subject("hw.sig.runs.changed.{tenant_id}")
SIG_TASK_BEAT = Subject("hw.sig.heartbeat.task.{tenant_id}.{task_run_id}")
SIG_SERVICE_ALIVE = Subject("hw.sig.service.alive.{service}")
SIG_KEY_CHANGED = Subject("hw.sig.gateway.key_changed.{key_id}")

# Poison
DLQ = Subject("hw.dlq.{service}.{noun}")

ALL: tuple[Subject, ...] = tuple(v for v in dict(globals()).values() if isinstance(v, Subject))


AUTH_CALLOUT = "$SYS.REQ.USER.AUTH"
"""For nats-server's own requests about log-ins; not in our grammar."""


def inbox_of(user: str) -> str:
    """The prefix for answers to a NATS user's requests: its own, so that no other user can read them."""
    return f"_INBOX.{user}"


def agent_inbox(tenant_id: object) -> str:
    """The same for the agents of a tenant."""
    return inbox_of(f"agent.{tenant_id}")

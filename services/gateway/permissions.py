"""The permissions, in Cloud's form `verb:object`, and the tables of what needs which. Pure.

Each mutation, query, table and kind of event names what its caller must hold. Nothing is open because somebody forgot
it: the schema is not built while a name is missing here. `tests/unit/gateway/test_permissions.py` walks all of it.
"""

from collections.abc import Mapping

Needed = frozenset[str]
"""Permissions that are needed together; an empty set is for everybody with a key."""

VERBS = ("create", "read", "update", "delete")
OBJECTS = (
    "api-key", "service-account", "service-api-key", "run", "project", "log", "flow", "agent", "secret",
    "secret-value", "cloud-hook", "hook", "flow-sla", "key-value", "concurrency-limit", "audit-trail", "usage",
    "user", "tenant", "license", "role", "membership", "membership-invitation", "message",
)  # fmt: skip
FEATURES = tuple(
    f"feature:{name}"
    for name in (
        "basic-rbac", "custom-role", "version-locking", "concurrency-limit", "flow-sla", "agent-sla",
        "api-action", "audit-trail",
    )
)  # fmt: skip
LICENSE_ADMIN = "license:admin"


def all_of(*objects: str) -> set[str]:
    """Every verb of these objects."""
    return {f"{verb}:{name}" for name in objects for verb in VERBS}


ALL = frozenset({*all_of(*OBJECTS), *FEATURES, LICENSE_ADMIN})


def needs(text: str) -> Needed:
    """The permissions in a line of the tables below."""
    return frozenset(text.split())


def _table(lines: Mapping[str, str]) -> dict[str, Needed]:
    return {name: needs(text) for name, text in lines.items()}


EVERYBODY = ""

MUTATIONS = _table({
    # tenants and people
    "create_tenant": "create:tenant",
    "delete_tenant": "delete:tenant",
    "update_tenant_name": "update:tenant",
    "update_tenant_slug": "update:tenant",
    "update_tenant_settings": "update:tenant",
    "create_api_key": "create:api-key",
    "create_api_token": "create:api-key",
    "delete_api_key": "delete:api-key",
    "delete_api_token": "delete:api-key",
    "create_service_account": "create:service-account",
    "delete_service_account": "delete:service-account",
    "set_user_name": "update:user",
    "create_custom_role": "create:role",
    "update_custom_role_permissions": "update:role",
    "delete_custom_role": "delete:role",
    "create_membership": "create:membership",
    "set_membership_role": "update:membership",
    "delete_membership": "delete:membership",
    "create_membership_invitation": "create:membership-invitation",
    # Whoever has the link was invited.
    "accept_membership_invitation": EVERYBODY,
    "delete_membership_invitation": EVERYBODY,
    # Who holds a key may enter where they belong, and stay there.
    "switch_tenant": EVERYBODY,
    "switchTenant": EVERYBODY,
    "refresh_token": EVERYBODY,
    "refreshToken": EVERYBODY,
    # flows and projects
    "create_project": "create:project",
    "delete_project": "delete:project",
    "set_project_name": "update:project",
    "set_project_description": "update:project",
    "create_flow": "create:flow",
    "create_flow_from_compressed_string": "create:flow",
    "register_tasks": "create:flow",
    "register_edges": "create:flow",
    "archive_flow": "update:flow",
    "unarchive_flow": "update:flow",
    "bulk_flows": "read:flow update:flow",
    "delete_flow": "delete:flow",
    "delete_flow_group": "delete:flow",
    "update_flow_project": "update:flow",
    # A schedule makes runs and takes them back; the web UI asks for the same two.
    "set_schedule_active": "create:run delete:run",
    "set_schedule_inactive": "create:run delete:run",
    "setFlowScheduleState": "create:run delete:run",
    "disableFlowHeartbeat": "update:flow",
    "disableLazarusForFlow": "update:flow",
    "enableFlowVersionLocking": "update:flow",
    "disableFlowVersionLocking": "update:flow",
    "enable_flow_heartbeat": "update:flow",
    "disable_flow_heartbeat": "update:flow",
    "enable_flow_lazarus_process": "update:flow",
    "disable_flow_lazarus_process": "update:flow",
    "enable_flow_version_lock": "update:flow",
    "disable_flow_version_lock": "update:flow",
    "set_flow_group_default_parameters": "update:flow",
    "set_flow_group_labels": "update:flow",
    "set_flow_group_description": "update:flow",
    "set_flow_group_run_config": "update:flow",
    "set_flow_group_schedule": "update:flow",
    "delete_flow_group_schedule": "update:flow",
    # runs
    "create_flow_run": "create:run",
    "cancel_flow_run": "update:run",
    "delete_flow_run": "delete:run",
    "bulk_flow_runs": "read:run update:run delete:run",
    "set_flow_run_labels": "update:run",
    "set_flow_run_name": "update:run",
    "set_flow_run_states": "update:run",
    "set_task_run_states": "update:run",
    "set_task_run_name": "update:run",
    "get_or_create_task_run": "update:run",
    "get_or_create_task_run_info": "update:run",
    "update_flow_run_heartbeat": "update:run",
    "update_task_run_heartbeat": "update:run",
    "create_task_run_artifact": "update:run",
    "update_task_run_artifact": "update:run",
    "delete_task_run_artifact": "update:run",
    "write_run_logs": "create:log",
    "writeRunLog": "create:log",
    "retrieve_archived_flow_run_logs": "read:log",
    # agents
    "register_agent": "create:agent",
    "get_runs_in_queue": "update:run",
    "delete_agent": "delete:agent",
    "create_agent_config": "update:agent",
    "update_agent_config": "update:agent",
    "delete_agent_config": "delete:agent",
    # values and limits
    "set_secret": "update:secret",
    "delete_secret": "delete:secret",
    "set_key_value": "update:key-value",
    "delete_key_value": "delete:key-value",
    "update_flow_concurrency_limit": "create:concurrency-limit update:concurrency-limit",
    "delete_flow_concurrency_limit": "delete:concurrency-limit",
    "update_task_tag_limit": "create:concurrency-limit update:concurrency-limit",
    "delete_task_tag_limit": "delete:concurrency-limit",
    "update_task_concurrency_limit": "create:concurrency-limit update:concurrency-limit",
    "delete_task_concurrency_limit": "delete:concurrency-limit",
    # automations, hooks and the inbox
    "create_action": "create:hook",
    "delete_action": "delete:hook",
    "test_action": "update:hook",
    "create_flow_run_state_changed_hook": "create:hook",
    "create_flow_sla_failed_hook": "create:hook",
    "create_agent_sla_failed_hook": "create:hook",
    "update_hook": "update:hook",
    "delete_hook": "delete:hook",
    "redeliver": "update:hook",
    "create_flow_sla_config": "create:flow-sla",
    "create_flow_group_sla": "create:flow-sla",
    "create_cloud_hook": "create:cloud-hook",
    "update_cloud_hook": "update:cloud-hook",
    "set_cloud_hook_active": "update:cloud-hook",
    "set_cloud_hook_inactive": "update:cloud-hook",
    "test_cloud_hook": "update:cloud-hook",
    "delete_cloud_hook": "delete:cloud-hook",
    "mark_message_as_read": "update:message",
    "mark_message_as_unread": "update:message",
    "delete_message": "delete:message",
    "pause_tenant_work_queue": "update:tenant",
    "resume_tenant_work_queue": "update:tenant",
})  # fmt: skip
"""By the name in snake_case; by the other one for what only the old dialect has."""

QUERIES = _table({
    "hello": EVERYBODY,
    "api": EVERYBODY,
    "reference_data": EVERYBODY,
    # Who somebody is, and what they may do, is told to them.
    "auth_info": EVERYBODY,
    "authInfo": EVERYBODY,
    "auth_role": EVERYBODY,
    "user": EVERYBODY,
    "permissions_info": EVERYBODY,
    # Shown to who has the link.
    "membership_invitation_by_pk": EVERYBODY,
    "membership_invitation": "read:membership-invitation create:membership-invitation",
    "license_users": "license:admin",
    "system_health": "update:tenant",
    "auth_api_key": "read:api-key",
    "api_token": "read:api-key",
    "membership": "update:membership",
    "user_view_same_tenant": "read:user",
    "secret_names": "read:secret",
    "secret_value": "read:secret-value",
    "secretValue": "read:secret-value",
    "flow_concurrency": "read:concurrency-limit",
    "task_concurrency": "read:concurrency-limit",
    "log_search": "read:log",
    "schedule_preview": "read:flow",
    "bulk_request": "read:run",
})  # fmt: skip
"""The root queries that are not tables."""

TABLES: dict[str, str] = {
    "tenant": "read:tenant",
    "project": "read:project",
    "flow_group": "read:flow",
    "flow": "read:flow",
    "task": "read:flow",
    "edge": "read:flow",
    "utility_traversal": "read:flow",
    "flow_run": "read:run",
    "flow_run_state": "read:run",
    "task_run": "read:run",
    "task_run_state": "read:run",
    "task_run_artifact": "read:run",
    "log": "read:log",
    "agent": "read:agent",
    "agent_config": "read:agent",
    "flow_concurrency_limit": "read:concurrency-limit",
    "task_tag_limit": "read:concurrency-limit",
    "task_concurrency_limit": "read:concurrency-limit",
    "key_value": "read:key-value",
    "cloud_hook": "read:cloud-hook",
    "message": "read:message",
    "audit_log": "read:audit-trail",
    "action": "read:hook",
    "hook": "read:hook",
    "delivery": "read:hook",
    "delivery_attempt": "read:hook",
    "flow_sla_config": "read:flow-sla",
    "flow_group_sla": "read:flow-sla",
}
"""Each table of the read path, wherever a document names it: at its root, below another table, or in a filter."""

EVENTS: dict[str, str] = {
    "agent": "read:agent",
    "flow": "read:flow",
    "flow_group": "read:flow",
    "flow_run": "read:run",
    "log": "read:log",
    "project": "read:project",
    "task_run": "read:run",
}
"""Each kind of hint of `GET /events` and of the subscriptions."""

LINKS: dict[str, str] = {
    "flow": "read:flow",
    "flow-run": "read:run",
    "task-run": "read:run",
    "task": "read:flow",
    "project": "read:project",
    "agent": "read:agent",
}
"""Each kind of thing that has a page behind a link."""

KEYS_OF = {"USER": "user", "SERVICE": "service-api-key"}
"""What one needs, beside `api-key`, for keys of other people and of service accounts, by the type of the account."""

SERVES_RUNS = needs("read:flow read:run update:run create:log create:agent")
"""What an agent that logs in to NATS needs: there it may do all of it."""


def needed_by(table: Mapping[str, Needed], name: str) -> Needed:
    """What this mutation or query needs. LookupError while nobody has said it."""
    found = table.get(name)
    if found is None:
        msg = f"services/gateway/permissions.py does not say which permission {name} needs"
        raise LookupError(msg)
    return found

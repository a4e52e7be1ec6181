"""Refusals that travel. A refusal is a code and fields; no service matches on text.

The texts that old clients match on are in one table of the gateway (`services/gateway/compat.py`).
"""

from enum import StrEnum


class Code(StrEnum):
    """Why a command was refused. The comment names the fields that fill the text."""

    # any service
    INTERNAL = "internal"  # error_id
    UNAVAILABLE = "unavailable"  # service; why, if it is known
    BUSY = "busy"  # service; the caller may try again
    INVALID = "invalid"  # reason: a sentence that names the field

    # tenants, keys
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    TENANT_FORBIDDEN = "tenant_forbidden"  # field: the input that names a tenant
    TENANT_NOT_FOUND = "tenant_not_found"  # tenant_id
    SLUG_TAKEN = "slug_taken"  # slug
    ACCOUNT_DELETED = "account_deleted"  # user_id
    USER_NOT_FOUND = "user_not_found"
    LAST_ADMIN_KEY = "last_admin_key"
    LAST_ADMIN = "last_admin"
    ROLE_NOT_FOUND = "role_not_found"  # role_id
    ROLE_NAME_TAKEN = "role_name_taken"  # name
    ROLE_IN_USE = "role_in_use"  # role_id
    ROLE_TOO_FAR = "role_too_far"  # field, missing
    ALREADY_INVITED = "already_invited"  # email, tenant_id
    ALREADY_MEMBER = "already_member"  # email, tenant_id
    INVITATION_NOT_FOUND = "invitation_not_found"  # invitation_id
    NOT_CONFIRMED = "not_confirmed"
    UNIQUENESS_VIOLATION = "uniqueness_violation"
    FOREIGN_KEY_VIOLATION = "foreign_key_violation"
    UPDATE_FAILED = "update_failed"  # project_id
    PROJECT_NAME_TAKEN = "project_name_taken"  # name

    SECRET_NOT_FOUND = "secret_not_found"  # noqa: S105 - a code, not a secret
    SECRET_SEALED_ELSEWHERE = "secret_sealed_elsewhere"  # noqa: S105 - as above

    # registry
    PROJECT_INVALID_ID = "project_invalid_id"
    PROJECT_NOT_FOUND = "project_not_found"
    FLOW_NOT_FOUND = "flow_not_found"  # flow_id
    FLOW_INVALID_ID = "flow_invalid_id"
    FLOW_ARCHIVED = "flow_archived"  # flow_id
    FLOW_UNFINISHED = "flow_unfinished"  # flow_id
    FLOW_UNDECODABLE = "flow_undecodable"  # reason
    FLOW_MALFORMED = "flow_malformed"  # reason
    FLOW_TOO_OLD = "flow_too_old"  # version
    EDGES_UNKNOWN_TASKS = "edges_unknown_tasks"  # reason
    REQUIRED_PARAMETERS_UNSCHEDULABLE = "required_parameters_unschedulable"  # flow, names
    ARCHIVED_UNSCHEDULABLE = "archived_unschedulable"  # flow_id
    SCHEDULE_ENDED = "schedule_ended"  # flow, at
    SCHEDULE_MISSING = "schedule_missing"  # flow_id
    SCHEDULE_EMPTY = "schedule_empty"  # flow
    TIMEZONE_INVALID = "timezone_invalid"  # timezone
    CLOCK_INVALID = "clock_invalid"  # clock, reason
    FLOW_OR_PROJECT_INVALID = "flow_or_project_invalid"

    # runs
    FLOW_OR_GROUP_REQUIRED = "flow_or_group_required"
    VERSION_GROUP_EMPTY = "version_group_empty"  # version_group_id
    PARAMETERS_MISSING = "parameters_missing"  # names
    RUN_NOT_FOUND = "run_not_found"  # kind, id (for set states: "State update failed for ...")
    FLOW_RUN_INVALID_ID = "flow_run_invalid_id"  # id
    TASK_RUN_NOT_FOUND = "task_run_not_found"  # id
    TASK_INVALID_ID = "task_invalid_id"
    ALREADY_SUBMITTED = "already_submitted"
    FLOW_RUN_NOT_RUNNING = "flow_run_not_running"  # task_run_id, flow_run_id
    RUN_FINISHED = "run_finished"  # id, state, version
    STATE_INVALID = "state_invalid"  # reason
    STATE_TOO_LARGE = "state_too_large"
    VERSION_LOCKED = "version_locked"  # id, current, given
    NAME_INVALID = "name_invalid"
    ARTIFACT_TOO_LARGE = "artifact_too_large"
    TENANT_INVALID = "tenant_invalid"
    LEASE_LOST = "lease_lost"  # id
    LIMIT_FULL = "limit_full"  # id, reason
    QUEUE_PAUSED = "queue_paused"  # id: the tenant's work queue is paused
    FLOW_WITHDRAWN = "flow_withdrawn"  # id, flow_id: the run may not be started any more

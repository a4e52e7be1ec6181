"""Behaviour for old clients: the error texts that they match on, each with its reason.

One table, one test per row (tests/unit/gateway/test_compat.py). Services refuse with a code and fields; only here a
refusal becomes a sentence. reference/requests.md describes what clients do with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLError,
    NonNullTypeNode,
    ObjectFieldNode,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import VersionConflict


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence with the refusal's fields in braces, and the `extensions.code` that goes with it."""

    template: str
    code: str = "BAD_USER_INPUT"


# Anywhere in `errors`, Core >= 0.12 sends the same request again, up to six times.
API_ERROR = "API_ERROR"
# As errors[0].extensions.code it is a VersionLockMismatchSignal.
VERSION_LOCKING_ERROR = "VERSION_LOCKING_ERROR"
FORBIDDEN = "FORBIDDEN"
_ACCEPTED = "202"
UNAUTHENTICATED = "UNAUTHENTICATED"  # anywhere in `errors`: AuthorizationError

TEXTS: dict[Code, Text] = {
    Code.INTERNAL: Text(
        "Unable to complete operation. An internal error occurred; the log of {service} has it"
        " as {error_id}.",
        "INTERNAL_SERVER_ERROR",
    ),
    Code.UNAVAILABLE: Text(
        "Unable to complete operation. An internal API error occurred: {service} {why}; try again.",
        API_ERROR,
    ),
    Code.BUSY: Text(
        "Unable to complete operation. An internal API error occurred: {service} is busy;"
        " try again.",
        API_ERROR,
    ),
    Code.INVALID: Text("{reason}"),
    Code.UNAUTHENTICATED: Text("UNAUTHENTICATED: {reason}", UNAUTHENTICATED),
    Code.FORBIDDEN: Text("Unauthorized: permission error.", FORBIDDEN),
    Code.TENANT_FORBIDDEN: Text(
        "Unauthorized: permission error: {field} is not the tenant of your key. Leave it out, or use a key of that"
        " tenant.",
        FORBIDDEN,
    ),
    Code.TENANT_NOT_FOUND: Text(
        "Invalid tenant id: there is no tenant {tenant_id}. The query tenant {{ id slug }} lists those there are."
    ),
    Code.SLUG_TAKEN: Text(
        "Uniqueness violation: another tenant has the slug {slug}; choose another one."
    ),
    # the same for a tenant that is not there and for one whose user this is not
    Code.ACCOUNT_DELETED: Text(
        "user_id: the service account {user_id} was deleted; make another one."
    ),
    Code.USER_NOT_FOUND: Text(
        "Invalid user id: no key of home_tenant_id belongs to user_id. Ask that user for the answer to"
        " auth_info {{ user_id tenant_id }}."
    ),
    Code.LAST_ADMIN_KEY: Text(
        "This is the last key of an administrator of the tenant. Make another one first, or revoke it on the machine"
        " itself (`python -m deploy.keys`)."
    ),
    Code.LAST_ADMIN: Text(
        "membership_id: this is the last administrator of the tenant, and stays one. Make somebody else one first."
    ),
    Code.ROLE_NOT_FOUND: Text(
        "role_id: this tenant has no role {role_id}; auth_role {{ id name }} lists them."
    ),
    Code.ROLE_NAME_TAKEN: Text(
        "name: this tenant has a role {name!r} already; choose another name."
    ),
    Code.ROLE_IN_USE: Text(
        "role_id: a key, an account, a membership or an invitation has the role {role_id}; give them another one first."
    ),
    Code.ROLE_TOO_FAR: Text(
        "Unauthorized: permission error: {field}: nobody gives, changes or takes away more than they hold, and you do"
        " not hold {missing}.",
        FORBIDDEN,
    ),
    # the web UI compares these two
    Code.ALREADY_INVITED: Text(
        'A user with email "{email}" has already been invited to tenant {tenant_id}.'
    ),
    Code.ALREADY_MEMBER: Text(
        'A user with email "{email}" already has a membership in tenant {tenant_id}.'
    ),
    Code.INVITATION_NOT_FOUND: Text(
        "invitation_id: there is no invitation {invitation_id}: it was accepted, declined or taken back, or it has run"
        " out. Ask for another one."
    ),
    Code.NOT_CONFIRMED: Text("Must pass `confirm=True` to proceed."),
    # create_project of Core >= 0.13.15 looks for exactly this message, then reads the existing id
    Code.UNIQUENESS_VIOLATION: Text("Uniqueness violation."),
    Code.FOREIGN_KEY_VIOLATION: Text("Foreign key violation."),
    Code.UPDATE_FAILED: Text("Update failed: there is no project {project_id}."),
    Code.PROJECT_NAME_TAKEN: Text(
        "Uniqueness violation: the tenant has a project {name!r} already; choose another name."
    ),
    # Core's Secret task turns exactly this text into a KeyError
    Code.SECRET_NOT_FOUND: Text("No value found for the requested key"),
    Code.SECRET_SEALED_ELSEWHERE: Text(
        "The secret was sealed under another HEADWATER_KEY_PEPPER; set it again."
    ),
    Code.PROJECT_INVALID_ID: Text("Invalid project ID"),
    Code.PROJECT_NOT_FOUND: Text("Invalid project."),
    Code.FLOW_NOT_FOUND: Text("Flow {flow_id} not found"),
    Code.FLOW_INVALID_ID: Text("Invalid flow ID."),
    Code.FLOW_ARCHIVED: Text("Flow {flow_id} is archived."),
    Code.FLOW_UNFINISHED: Text(
        "Flow {flow_id} is still being registered: send the rest of its tasks and then of its edges"
        " (an empty list ends each), or register it again."
    ),
    Code.FLOW_UNDECODABLE: Text("Unable to decompress serialized flow: {reason}"),
    Code.FLOW_MALFORMED: Text("Invalid serialized flow: {reason}"),
    Code.FLOW_TOO_OLD: Text(
        "Prefect backends require new flows to be built with Prefect 0.6.1+, but this flow was"
        " built with Prefect {version}."
    ),
    Code.EDGES_UNKNOWN_TASKS: Text(
        "Edges could not be registered - some edges reference tasks that do not exist within"
        " this flow."
    ),
    Code.REQUIRED_PARAMETERS_UNSCHEDULABLE: Text(
        "Can not schedule a flow that has required parameters. Nobody gives {names} of {flow} a value:"
        " give it in the parameter_defaults of each clock, or by set_flow_group_default_parameters."
    ),
    Code.ARCHIVED_UNSCHEDULABLE: Text(
        "Can not schedule flow {flow_id}, which is archived: take it out of the archive first"
        " (unarchive_flow), or schedule the version that is in force."
    ),
    Code.TIMEZONE_INVALID: Text("Invalid timezone provided for schedule: {timezone}"),
    Code.CLOCK_INVALID: Text("Invalid clock provided for schedule: {clock}: {reason}"),
    Code.SCHEDULE_ENDED: Text(
        "Can not schedule {flow}: its schedule ended at {at}, and no run would ever be planned. Give it another one"
        " with set_flow_group_schedule, or register the flow with later dates."
    ),
    Code.SCHEDULE_MISSING: Text(
        "Flow {flow_id} has no schedule to start: give it one with set_flow_group_schedule, or register it with one."
    ),
    Code.SCHEDULE_EMPTY: Text(
        "Can not schedule {flow}: its schedule has no clocks, and no run would ever be planned. Give it one with"
        " set_flow_group_schedule, or register the flow with a clock."
    ),
    Code.FLOW_OR_PROJECT_INVALID: Text("Invalid flow or project ID."),
    Code.FLOW_OR_GROUP_REQUIRED: Text("A flow id or version group ID must be provided."),
    Code.VERSION_GROUP_EMPTY: Text("Version group {version_group_id} has no unarchived flows."),
    # Prefect Server prints a Python set; clients show it, none parses it
    Code.PARAMETERS_MISSING: Text("Required parameters were not supplied: {names}"),
    # agents >= 0.9.2 drop the run silently when they see "State update failed"; any other text
    # makes them set the run Failed, so every refusal of a state starts with these words
    Code.RUN_NOT_FOUND: Text("State update failed for {kind} ID {id}"),
    Code.ALREADY_SUBMITTED: Text("State update failed: this run has already been submitted."),
    Code.FLOW_RUN_NOT_RUNNING: Text(
        "State update failed for task run ID {task_run_id}: provided a running state but"
        " associated flow run {flow_run_id} is not in a running state."
    ),
    Code.RUN_FINISHED: Text(
        "State update failed for run ID {id}: the run has already finished as {state}. Who means to change that names"
        " its version, {version}, or leaves `version` out; a restart is the state Scheduled."
    ),
    Code.LEASE_LOST: Text(
        "State update failed for run ID {id}: the run was handed to another agent."
    ),
    # agents of every generation start the process on the answer QUEUED; so a claim is refused, and they drop the run
    Code.LIMIT_FULL: Text("State update failed for run ID {id}: no slot is free. {reason}"),
    Code.QUEUE_PAUSED: Text(
        "State update failed for run ID {id}: the tenant's work queue is paused, and no run is given to agents until"
        " it is resumed."
    ),
    Code.FLOW_WITHDRAWN: Text(
        "State update failed for run ID {id}: its flow {flow_id} was archived or deleted."
    ),
    Code.STATE_INVALID: Text("{reason}"),
    Code.STATE_TOO_LARGE: Text(
        "State payload is too large. Its results and inputs alone are over 1000000 bytes of JSON: keep them in a"
        " result backend."
    ),
    Code.FLOW_RUN_INVALID_ID: Text("Invalid flow run ID: {id}."),
    # create_task_run_artifact is tried five times while the text contains "not found"
    Code.TASK_RUN_NOT_FOUND: Text("Task run {id} not found"),
    Code.TASK_INVALID_ID: Text("Invalid task ID"),
    Code.VERSION_LOCKED: Text(
        "State update failed for run ID {id}: version {given} was expected to be current but"
        " the run is at version {current}.",
        VERSION_LOCKING_ERROR,
    ),
    Code.NAME_INVALID: Text("Invalid name"),
    # long text is cut; this is for a million small values
    Code.ARTIFACT_TOO_LARGE: Text("Artifact data payload exceeds 1000000 bytes limit."),
    Code.TENANT_INVALID: Text("Invalid tenant ID."),
}


class _Fields(dict[str, str]):
    """Fields of a refusal; a missing one shows as a question mark rather than an exception."""

    def __missing__(self, key: str) -> str:
        return "is not reachable" if key == "why" else "?"


def error_of(refused: Refused) -> GraphQLError:
    """The error that a client sees for a refusal."""
    text = TEXTS[refused.code]
    return GraphQLError(
        text.template.format_map(_Fields(refused.fields)),
        extensions={"code": text.code, "reason": refused.code.value},
    )


def failed_test(reason: str, facts: Mapping[str, Any]) -> GraphQLError:
    """The error of `test_action`, whose `extensions` say what the receiver answered.

    Cloud's web page shows "Test accepted" for an error with 202 anywhere in it, be it a part of an address. Then the
    reason stands in `extensions.error` alone.
    """
    message = f"The test failed: {reason}."
    if _ACCEPTED in message:
        message = "The test failed; `error` in the extensions of this error says why."
    code = TEXTS[Code.INVALID].code
    return GraphQLError(
        message, extensions={"code": code, "reason": Code.INVALID.value, "error": reason, **facts}
    )


def state_error_of(refused: Refused, *, kind: str, run_id: str) -> GraphQLError:
    """Like `error_of` for a state that could not be set because a service is away.

    An agent that reads "State update failed" leaves the run alone, to be offered again; on any other text it would set
    the run Failed, and our outage would have failed a healthy run.
    """
    if refused.code not in {Code.UNAVAILABLE, Code.BUSY, Code.INTERNAL}:
        return error_of(refused)
    cause = error_of(refused)
    return GraphQLError(
        f"State update failed for {kind} ID {run_id}. {cause.message}", extensions=cause.extensions
    )


def conflict_error_of(conflict: VersionConflict) -> GraphQLError:
    """What a client with a stale version sees; it re-reads the run's state and decides."""
    text = TEXTS[Code.VERSION_LOCKED]
    return GraphQLError(
        text.template.format_map(_Fields(
            id=str(conflict.id), given=str(conflict.given), current=str(conflict.current)
        )),
        extensions={
            "code": text.code, "current_version": conflict.current, "current_state": conflict.state,
        },
    )  # fmt: skip


def variables_by_field(
    operation: OperationDefinitionNode, given: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The variables, with required ones that are missing found under the name of the input field they stand for.

    The founding document declares `$flow`, gives it to the field `serializedFlow`, and lists its value as
    `serializedFlow`; GraphQL does not allow that, but a user who copies the example must get the described result.
    """
    declared = {
        node.variable.name.value: isinstance(node.type, NonNullTypeNode) and not node.default_value
        for node in operation.variable_definitions or ()
    }
    missing = {name for name, required in declared.items() if required} - given.keys()
    spare = given.keys() - declared.keys()
    if not missing or not spare:
        return given
    fields = _FieldsOfVariables()
    visit(operation, fields)
    found = {
        variable: given[field]
        for field, variable in fields.found
        if variable in missing and field in spare
    }
    return {**given, **found}


class _FieldsOfVariables(Visitor):
    """Pairs of an input field and the variable that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def enter_object_field(self, node: ObjectFieldNode, *_: Any) -> None:
        """An input field with its value."""
        if isinstance(node.value, VariableNode):
            self.found.append((node.name.value, node.value.name.value))


def header_uuid(value: str | None) -> str | None:
    """A header that carries an id; the web UI sends the string "null" before it knows one (reference/requests.md)."""
    return None if value is None or value.strip().lower() in {"", "null", "undefined"} else value


def registers(core_version: str | None) -> bool:
    """Whether `set_schedule_active` comes from Core, as the last step of each registration.

    Since 0.15.5, whether the flow has a schedule or not, and it makes no other use of it. An error there would end
    `flow.register` with an exception though the flow is registered: because its group's schedule does not suit it, or
    because the next version was registered meanwhile. Core does not look at `success`.
    """
    return core_version is not None


def knows_no_projects(core_version: str | None) -> bool:
    """Whether a client may register a flow without naming a project.

    Core 0.10-0.12 talked to a Server that had no projects, and sends `project_id: null`. Their flows go to the tenant's
    project "default". For other clients a missing project is a mistake, and is refused.
    """
    return core_version is not None and core_version.startswith(("0.10.", "0.11.", "0.12."))

"""One test per row of the table of error texts that clients match on (gateway/reference/requests.md)."""

from uuid import UUID

import pytest
from graphql import OperationDefinitionNode, parse

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import VersionConflict
from services.gateway import compat

RUN = "0190a0a0-0000-7000-8000-000000000001"
TASK = "0190a0a0-0000-7000-8000-000000000002"
INTERNAL_HINT = "An internal API error occurred"

ROWS: list[tuple[Code, dict[str, str], str]] = [
    (Code.NOT_CONFIRMED, {}, "Must pass `confirm=True` to proceed."),
    (Code.UNIQUENESS_VIOLATION, {}, "Uniqueness violation."),
    (Code.FOREIGN_KEY_VIOLATION, {}, "Foreign key violation."),
    (
        Code.UPDATE_FAILED,
        {"project_id": TASK},
        f"Update failed: there is no project {TASK}.",
    ),
    (
        Code.PROJECT_NAME_TAKEN,
        {"name": "sales"},
        "Uniqueness violation: the tenant has a project 'sales' already; choose another name.",
    ),
    (Code.FORBIDDEN, {}, "Unauthorized: permission error."),
    (
        Code.TENANT_FORBIDDEN,
        {"field": "tenant_id"},
        "Unauthorized: permission error: tenant_id is not the tenant of your key. Leave it out, or use a key of that"
        " tenant.",
    ),
    (
        Code.TENANT_NOT_FOUND,
        {"tenant_id": RUN},
        f"Invalid tenant id: there is no tenant {RUN}. The query tenant {{ id slug }} lists those there are.",
    ),
    (
        Code.SLUG_TAKEN,
        {"slug": "s"},
        "Uniqueness violation: another tenant has the slug s; choose another one.",
    ),
    (
        Code.USER_NOT_FOUND,
        {},
        "Invalid user id: no key of home_tenant_id belongs to user_id. Ask that user for the answer to"
        " auth_info { user_id tenant_id }.",
    ),
    (
        Code.LAST_ADMIN_KEY,
        {},
        "This is the last key of an administrator of the tenant. Make another one first, or revoke it on the machine"
        " itself (`python -m deploy.keys`).",
    ),
    (
        Code.LAST_ADMIN,
        {},
        "membership_id: this is the last administrator of the tenant, and stays one. Make somebody else one first.",
    ),
    (
        Code.ROLE_NOT_FOUND,
        {"role_id": RUN},
        f"role_id: this tenant has no role {RUN}; auth_role {{ id name }} lists them.",
    ),
    (
        Code.ROLE_NAME_TAKEN,
        {"name": "watcher"},
        "name: this tenant has a role 'watcher' already; choose another name.",
    ),
    (
        Code.ROLE_IN_USE,
        {"role_id": RUN},
        f"role_id: a key, an account, a membership or an invitation has the role {RUN}; give them another one first.",
    ),
    (
        Code.ROLE_TOO_FAR,
        {"field": "role_id", "missing": "delete:flow"},
        "Unauthorized: permission error: role_id: nobody gives, changes or takes away more than they hold, and you do"
        " not hold delete:flow.",
    ),
    (
        Code.ALREADY_INVITED,
        {"email": "a@x.org", "tenant_id": RUN},
        f'A user with email "a@x.org" has already been invited to tenant {RUN}.',
    ),
    (
        Code.ALREADY_MEMBER,
        {"email": "a@x.org", "tenant_id": RUN},
        f'A user with email "a@x.org" already has a membership in tenant {RUN}.',
    ),
    (
        Code.INVITATION_NOT_FOUND,
        {"invitation_id": RUN},
        f"invitation_id: there is no invitation {RUN}: it was accepted, declined or taken back, or it has run out. Ask"
        " for another one.",
    ),
    (Code.SECRET_NOT_FOUND, {}, "No value found for the requested key"),
    (Code.PROJECT_INVALID_ID, {}, "Invalid project ID"),
    (Code.PROJECT_NOT_FOUND, {}, "Invalid project."),
    (Code.FLOW_NOT_FOUND, {"flow_id": RUN}, f"Flow {RUN} not found"),
    (Code.FLOW_INVALID_ID, {}, "Invalid flow ID."),
    (Code.FLOW_ARCHIVED, {"flow_id": RUN}, f"Flow {RUN} is archived."),
    (
        Code.FLOW_UNDECODABLE,
        {"reason": "not gzip"},
        "Unable to decompress serialized flow: not gzip",
    ),
    (
        Code.FLOW_MALFORMED,
        {"reason": "tasks.0.slug: missing"},
        "Invalid serialized flow: tasks.0.slug: missing",
    ),
    (
        Code.FLOW_TOO_OLD,
        {"version": "0.5.0"},
        "Prefect backends require new flows to be built with Prefect 0.6.1+, but this flow was built"
        " with Prefect 0.5.0.",
    ),
    (
        Code.EDGES_UNKNOWN_TASKS,
        {},
        "Edges could not be registered - some edges reference tasks that do not exist within this flow.",
    ),
    (
        Code.REQUIRED_PARAMETERS_UNSCHEDULABLE,
        {"flow": "orders version 2", "names": "'x', 'y'"},
        "Can not schedule a flow that has required parameters. Nobody gives 'x', 'y' of orders version 2 a value:"
        " give it in the parameter_defaults of each clock, or by set_flow_group_default_parameters.",
    ),
    (
        Code.ARCHIVED_UNSCHEDULABLE,
        {"flow_id": TASK},
        f"Can not schedule flow {TASK}, which is archived: take it out of the archive first"
        " (unarchive_flow), or schedule the version that is in force.",
    ),
    (
        Code.FLOW_UNFINISHED,
        {"flow_id": TASK},
        f"Flow {TASK} is still being registered: send the rest of its tasks and then of its edges"
        " (an empty list ends each), or register it again.",
    ),
    (Code.TIMEZONE_INVALID, {"timezone": "Mars"}, "Invalid timezone provided for schedule: Mars"),
    (
        Code.CLOCK_INVALID,
        {"clock": "x", "reason": "at least 60 seconds are expected, not 30"},
        "Invalid clock provided for schedule: x: at least 60 seconds are expected, not 30",
    ),
    (
        Code.SCHEDULE_ENDED,
        {"flow": "orders version 2", "at": "2020-05-01T08:00:00+00:00"},
        "Can not schedule orders version 2: its schedule ended at 2020-05-01T08:00:00+00:00, and no run would ever be"
        " planned. Give it another one with set_flow_group_schedule, or register the flow with later dates.",
    ),
    (
        Code.SCHEDULE_MISSING,
        {"flow_id": TASK},
        f"Flow {TASK} has no schedule to start: give it one with set_flow_group_schedule, or register it with one.",
    ),
    (
        Code.SCHEDULE_EMPTY,
        {"flow": "orders version 2"},
        "Can not schedule orders version 2: its schedule has no clocks, and no run would ever be planned. Give it one"
        " with set_flow_group_schedule, or register the flow with a clock.",
    ),
    (Code.FLOW_OR_PROJECT_INVALID, {}, "Invalid flow or project ID."),
    (Code.FLOW_OR_GROUP_REQUIRED, {}, "A flow id or version group ID must be provided."),
    (
        Code.VERSION_GROUP_EMPTY,
        {"version_group_id": "vg"},
        "Version group vg has no unarchived flows.",
    ),
    (Code.PARAMETERS_MISSING, {"names": "{'x'}"}, "Required parameters were not supplied: {'x'}"),
    (
        Code.RUN_NOT_FOUND,
        {"kind": "flow run", "id": RUN},
        f"State update failed for flow run ID {RUN}",
    ),
    (Code.ALREADY_SUBMITTED, {}, "State update failed: this run has already been submitted."),
    (
        Code.FLOW_RUN_NOT_RUNNING,
        {"task_run_id": TASK, "flow_run_id": RUN},
        f"State update failed for task run ID {TASK}: provided a running state but associated flow run {RUN}"
        " is not in a running state.",
    ),
    (
        Code.STATE_TOO_LARGE,
        {},
        "State payload is too large. Its results and inputs alone are over 1000000 bytes of JSON: keep them in a"
        " result backend.",
    ),
    (
        Code.STATE_INVALID,
        {"reason": "{'type': ['Unsupported value: Nope']}"},
        "{'type': ['Unsupported value: Nope']}",
    ),
    (Code.FLOW_RUN_INVALID_ID, {"id": RUN}, f"Invalid flow run ID: {RUN}."),
    (Code.TASK_RUN_NOT_FOUND, {"id": TASK}, f"Task run {TASK} not found"),
    (Code.TASK_INVALID_ID, {}, "Invalid task ID"),
    (Code.NAME_INVALID, {}, "Invalid name"),
    (Code.ARTIFACT_TOO_LARGE, {}, "Artifact data payload exceeds 1000000 bytes limit."),
    (Code.TENANT_INVALID, {}, "Invalid tenant ID."),
    (Code.INVALID, {"reason": "labels must be a list"}, "labels must be a list"),
    (
        Code.UNAVAILABLE,
        {"service": "runs"},
        "Unable to complete operation. An internal API error occurred: runs is not reachable; try again.",
    ),
    (
        Code.UNAVAILABLE,
        {"service": "runs", "why": "cannot write, because the disk of PostgreSQL is full"},
        "Unable to complete operation. An internal API error occurred: runs cannot write, because the disk of"
        " PostgreSQL is full; try again.",
    ),
    (
        Code.FLOW_WITHDRAWN,
        {"id": RUN, "flow_id": TASK},
        f"State update failed for run ID {RUN}: its flow {TASK} was archived or deleted.",
    ),
    (
        Code.LIMIT_FULL,
        {
            "id": RUN,
            "reason": "Waiting for a slot: 1 flow runs with the label 'gpu' may run at once.",
        },
        f"State update failed for run ID {RUN}: no slot is free. "
        "Waiting for a slot: 1 flow runs with the label 'gpu' may run at once.",
    ),
]


@pytest.mark.parametrize(("code", "fields", "text"), ROWS, ids=[row[0].value for row in ROWS])
def test_a_refusal_becomes_the_sentence_that_clients_know(
    code: Code, fields: dict[str, str], text: str
) -> None:
    assert compat.error_of(Refused(code=code, fields=fields)).message == text


def test_every_code_has_a_text() -> None:
    assert set(compat.TEXTS) == set(Code)


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.BUSY])
def test_a_service_that_is_away_is_an_api_error_so_that_clients_try_again(code: Code) -> None:
    error = compat.error_of(Refused(code=code, fields={"service": "runs"}))

    assert error.extensions == {"code": "API_ERROR", "reason": code.value}
    assert INTERNAL_HINT in error.message


def test_an_agent_leaves_a_run_alone_when_the_ledger_is_away() -> None:
    refused = Refused(code=Code.UNAVAILABLE, fields={"service": "runs"})

    error = compat.state_error_of(refused, kind="flow run", run_id=RUN)

    assert error.message.startswith(f"State update failed for flow run ID {RUN}")
    assert error.extensions is not None
    assert error.extensions["code"] == "API_ERROR"


def test_a_version_conflict_carries_the_code_and_the_current_state() -> None:
    conflict = VersionConflict(id=UUID(RUN), given=2, current=4, state="Running")

    error = compat.conflict_error_of(conflict)

    assert error.extensions is not None
    assert error.extensions["code"] == "VERSION_LOCKING_ERROR"
    assert error.extensions["current_version"] == 4
    assert error.extensions["current_state"] == "Running"


@pytest.mark.parametrize("value", [None, "", "null", " NULL ", "undefined"])
def test_a_header_that_says_null_says_nothing(value: str | None) -> None:
    assert compat.header_uuid(value) is None


@pytest.mark.parametrize(
    ("core_version", "knows_none"),
    [
        ("0.9.8", False),
        ("0.10.0", True),
        ("0.11.5", True),
        ("0.12.6", True),
        ("0.13.0", False),
        ("0.100.0", False),
        ("1.4.1", False),
        (None, False),
    ],
)
def test_only_core_0_10_to_0_12_may_register_without_a_project(
    core_version: str | None, *, knows_none: bool
) -> None:
    assert compat.knows_no_projects(core_version) is knows_none


@pytest.mark.parametrize(
    ("declared", "given", "found"),
    [
        ("$flow: JSON!", {"serializedFlow": 1}, {"flow": 1, "serializedFlow": 1}),
        ("$flow: JSON!", {"flow": 2, "serializedFlow": 1}, {"flow": 2, "serializedFlow": 1}),
        ("$flow: JSON!", {"other": 1}, {"other": 1}),
        ("$flow: JSON!", {}, {}),
        ("$flow: JSON", {"serializedFlow": 1}, {"serializedFlow": 1}),  # may be left out on purpose
        ('$flow: JSON! = "{}"', {"serializedFlow": 1}, {"serializedFlow": 1}),
    ],
)
def test_a_required_variable_is_found_under_its_fields_name(
    declared: str, given: dict[str, int], found: dict[str, int]
) -> None:
    text = f"mutation({declared}) {{ createFlow(input: {{ serializedFlow: $flow }}) {{ id }} }}"
    operation = parse(text).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)

    assert compat.variables_by_field(operation, given) == found


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("the receiver answered 500", "The test failed: the receiver answered 500."),
        # The web page takes it for "202 Accepted".
        (
            "10.202.0.1 is not public",
            "The test failed; `error` in the extensions of this error says why.",
        ),
    ],
)
def test_a_test_that_failed_is_no_acceptance_to_the_web_page(reason: str, message: str) -> None:
    error = compat.failed_test(reason, {"status": 500})

    assert error.message == message
    assert error.extensions is not None
    assert (error.extensions["error"], error.extensions["status"]) == (reason, 500)

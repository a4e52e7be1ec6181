"""The lists of permissions say what the guards do, and nobody but administrators has what is theirs."""

import pytest

from services.gateway.keys import NAMES, Guard, Role, may, role_id
from services.gateway.permissions import OBJECTS, PERMISSIONS, RESERVED, UNREADABLE, VERBS, has
from services.gateway.reads.catalog import build_catalog


@pytest.mark.parametrize(
    ("permission", "guard"),
    [
        ("create:api-key", Guard.ADMIN),
        ("update:tenant", Guard.ADMIN),
        ("create:membership", Guard.ADMIN),
        ("create:concurrency-limit", Guard.ADMIN),
        ("update:flow", Guard.WRITE),
        ("delete:project", Guard.WRITE),
        ("update:secret", Guard.WRITE),
        ("update:run", Guard.RUN),
        ("create:log", Guard.RUN),
        ("create:key-value", Guard.RUN),
        ("read:secret-value", Guard.RUN),
    ],
)
def test_a_role_has_a_permission_exactly_where_the_guard_lets_it_pass(
    permission: str, guard: Guard
) -> None:
    assert {role for role in Role if has(role, permission)} == {r for r in Role if may(r, guard)}


@pytest.mark.parametrize(
    ("role", "unreadable"),
    [
        (Role.TENANT_ADMIN, set()),
        (Role.USER, {"audit_log"}),
        (Role.READ_ONLY, {"audit_log"}),
        (Role.AGENT, {"audit_log", "cloud_hook", "message"}),
    ],
)
def test_the_matrix_of_what_may_be_read_is_the_one_that_was_reviewed(
    role: Role, unreadable: set[str]
) -> None:
    assert UNREADABLE[role] == unreadable


def test_every_permission_is_a_verb_of_an_object_or_a_feature() -> None:
    known = {f"{verb}:{name}" for verb in VERBS for name in OBJECTS}

    for permissions in PERMISSIONS.values():
        assert {p for p in permissions if not p.startswith("feature:")} <= known


def test_no_relationship_leads_to_a_reserved_table() -> None:
    """A role is checked at root fields, so nothing nested may show what a root field would refuse."""
    tables = build_catalog().tables

    assert tables.keys() >= RESERVED.keys()
    assert (
        not {
            relationship.target
            for table in tables.values()
            for relationship in table.relationships.values()
        }
        & RESERVED.keys()
    )


def test_roles_have_cloud_names_and_ids_of_their_own() -> None:
    assert NAMES.keys() == set(Role)
    assert len({role_id(role) for role in Role}) == len(Role)

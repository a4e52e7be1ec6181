"""Everything names what it needs, and the built-in roles are the sets that they are said to be."""

from uuid import UUID

import pytest

from services.gateway import permissions
from services.gateway.events.domain import KINDS
from services.gateway.graphql.dialect import REGISTRY
from services.gateway.graphql.export import sdl
from services.gateway.graphql.schema import strawberry_schema
from services.gateway.links.domain import Kind
from services.gateway.permissions import (
    ALL,
    EVENTS,
    LINKS,
    MUTATIONS,
    OBJECTS,
    QUERIES,
    TABLES,
    VERBS,
    needed_by,
    needs,
)
from services.gateway.reads.catalog import build_catalog
from services.gateway.roles import (
    NAMES,
    PERMISSIONS,
    RIGHTS,
    Role,
    both,
    custom,
    known_permissions,
    refused_permissions,
    role_id,
)


@pytest.mark.parametrize(
    ("permission", "roles"),
    [
        ("create:api-key", {Role.TENANT_ADMIN}),
        ("update:tenant", {Role.TENANT_ADMIN}),
        ("create:membership", {Role.TENANT_ADMIN}),
        ("create:concurrency-limit", {Role.TENANT_ADMIN}),
        ("read:audit-trail", {Role.TENANT_ADMIN}),
        ("read:membership-invitation", {Role.TENANT_ADMIN}),
        ("license:admin", {Role.TENANT_ADMIN}),
        ("update:flow", {Role.TENANT_ADMIN, Role.USER}),
        ("delete:run", {Role.TENANT_ADMIN, Role.USER}),
        ("delete:project", {Role.TENANT_ADMIN, Role.USER}),
        ("update:secret", {Role.TENANT_ADMIN, Role.USER}),
        ("update:run", {Role.TENANT_ADMIN, Role.USER, Role.AGENT}),
        ("create:log", {Role.TENANT_ADMIN, Role.USER, Role.AGENT}),
        ("create:key-value", {Role.TENANT_ADMIN, Role.USER, Role.AGENT}),
        ("read:secret-value", {Role.TENANT_ADMIN, Role.USER, Role.AGENT}),
        ("update:message", {Role.TENANT_ADMIN, Role.USER, Role.READ_ONLY}),
        ("read:user", {Role.TENANT_ADMIN, Role.USER, Role.READ_ONLY}),
        ("read:run", set(Role)),
    ],
)
def test_a_built_in_role_has_the_permissions_that_were_reviewed(
    permission: str, roles: set[Role]
) -> None:
    assert {role for role in Role if permission in PERMISSIONS[role]} == roles


@pytest.mark.parametrize(
    ("role", "unreadable"),
    [
        (Role.TENANT_ADMIN, set()),
        (Role.USER, {"audit_log"}),
        (Role.READ_ONLY, {"audit_log"}),
        (Role.AGENT, {"audit_log", "cloud_hook", "message"}),
    ],
)
def test_of_what_runs_and_people_read_today_each_role_may_read_what_it_could(
    role: Role, unreadable: set[str]
) -> None:
    automations = {
        table for table, read in TABLES.items() if read in ("read:hook", "read:flow-sla")
    }

    assert RIGHTS[role].unreadable - automations == unreadable


def test_an_administrator_has_all_and_each_other_role_less_than_a_user_or_as_much() -> None:
    assert PERMISSIONS[Role.TENANT_ADMIN] == ALL
    for role in (Role.USER, Role.READ_ONLY, Role.AGENT):
        assert PERMISSIONS[role] <= PERMISSIONS[Role.USER] < ALL


# The walk: what is served, and what it needs.


def test_every_mutation_every_query_and_every_table_names_what_it_needs() -> None:
    schema = strawberry_schema()._schema
    assert schema.query_type is not None

    assert {d.snake or d.camel for d in REGISTRY} <= MUTATIONS.keys()
    assert set(schema.query_type.fields) == QUERIES.keys()
    assert build_catalog().tables.keys() <= TABLES.keys()
    assert EVENTS.keys() == set(KINDS)
    assert LINKS.keys() == {kind.value for kind in Kind}
    for named in (*MUTATIONS.values(), *QUERIES.values()):
        assert named <= ALL
    assert {*TABLES.values(), *EVENTS.values(), *LINKS.values()} <= ALL


def test_nothing_is_named_that_is_not_served() -> None:
    served = {d.snake or d.camel for d in REGISTRY}

    assert MUTATIONS.keys() == served
    assert TABLES.keys() == build_catalog().tables.keys()


@pytest.mark.parametrize("table", [MUTATIONS, QUERIES])
def test_what_nobody_named_is_not_served(table: dict[str, frozenset[str]]) -> None:
    with pytest.raises(LookupError, match=r"permissions\.py does not say"):
        needed_by(table, "set_everything")


def test_a_schema_with_a_table_that_nobody_named_is_not_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(permissions.TABLES, "project")

    with pytest.raises(LookupError, match="project"):
        sdl()


def test_every_permission_is_a_verb_of_an_object_or_a_feature_or_the_licenses() -> None:
    of_objects = {f"{verb}:{name}" for verb in VERBS for name in OBJECTS}

    assert {p for p in ALL if not p.startswith("feature:")} == of_objects | {"license:admin"}


# Roles.


def test_roles_have_cloud_names_and_ids_of_their_own() -> None:
    assert NAMES.keys() == set(Role)
    assert len({role_id(role) for role in Role}) == len(Role)


def test_a_custom_role_may_what_it_names_and_reads_no_other_table() -> None:
    rights = custom(UUID(int=1), "auditor", ["read:audit-trail", "read:run", "no:longer-there"])

    assert rights.permissions == {"read:audit-trail", "read:run"}
    assert "audit_log" not in rights.unreadable
    assert {"log", "flow", "secret", "agent"} - rights.unreadable == {"secret"}
    assert rights.may(needs("read:run read:audit-trail"))
    assert not rights.may(needs("read:run update:run"))
    assert rights.may(needs(""))


def test_two_roles_together_may_what_both_allow() -> None:
    one = custom(UUID(int=1), "one", ["read:run", "read:flow"])
    other = custom(UUID(int=2), "other", ["read:run", "update:run"])
    lesser = custom(UUID(int=3), "lesser", ["read:run"])

    together = both(one, other)

    assert together.permissions == {"read:run"}
    assert "flow" in together.unreadable
    assert both(one, lesser) is both(lesser, one) is lesser
    assert both(RIGHTS[Role.USER], RIGHTS[Role.TENANT_ADMIN]) is RIGHTS[Role.USER]


def test_permissions_of_a_role_are_known_words_and_the_web_uis_undefined_is_dropped() -> None:
    given = ["read:run", "read:undefined", "read:run", "create:flow"]

    assert known_permissions(given) == ("create:flow", "read:run")
    assert refused_permissions(known_permissions(given)) is None
    assert "read:everything" in (refused_permissions(["read:everything"]) or "")

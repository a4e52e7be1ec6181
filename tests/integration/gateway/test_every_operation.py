"""Every query and every mutation of the schema, in both dialects, tried with every kind of key.

Two tenants: the victim has a row in every table that can be read; the intruder has keys of every role, knows every id
of the victim's and names the victim's tenant wherever a tenant can be named. Whoever may not is told so in the words
that clients take for a refusal (gateway/reference/requests.md), and nothing of the victim's changes or is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest

from libs.runtime.ids import new_id
from libs.schema import metadata
from services.gateway.app import Gateway
from services.gateway.keys import Key, fingerprint
from services.gateway.permissions import ALL, TABLES, needs
from services.gateway.permissions import QUERIES as READS
from services.gateway.roles import RIGHTS, Rights, Role, custom
from tests.integration.gateway.every_field import (
    Asked,
    Objects,
    every_mutation,
    every_query,
    every_subscription,
    schema,
)
from tests.integration.gateway.victim import MARK, furnished
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.services import all_services
from tests.support.subscriber import first_told

SCHEMA = schema()
QUERIES = sorted(SCHEMA.query_type.fields) if SCHEMA.query_type else []
MUTATIONS = sorted(SCHEMA.mutation_type.fields) if SCHEMA.mutation_type else []
SUBSCRIPTIONS = sorted(SCHEMA.subscription_type.fields) if SCHEMA.subscription_type else []
FOR_ADMINISTRATORS = {
    "auth_api_key", "api_token", "membership", "audit_log", "audit_log_aggregate", "audit_log_by_pk",
    "system_health", "license_users", "membership_invitation",
}  # fmt: skip
FOR_THOSE_WHO_RUN = {"secret_value", "secretValue"}
NOT_FOR_RUNS = {
    "cloud_hook", "cloud_hook_aggregate", "cloud_hook_by_pk", "message", "message_aggregate", "message_by_pk",
    "secret_names", "user_view_same_tenant",
    "action", "action_aggregate", "action_by_pk", "hook", "hook_aggregate", "hook_by_pk",
    "flow_sla_config", "flow_sla_config_aggregate", "flow_sla_config_by_pk",
    "flow_group_sla", "flow_group_sla_aggregate", "flow_group_sla_by_pk",
    "delivery", "delivery_aggregate", "delivery_by_pk",
    "delivery_attempt", "delivery_attempt_aggregate", "delivery_attempt_by_pk",
}  # fmt: skip
"""What a process with an agent's key has no business with: addresses with tokens in them, the names of all secrets."""
LETS_OTHERS_IN = {"create_membership"}
"""Mutations that name another tenant by design: a membership is for its people."""
LINKS = {
    "membership_invitation_by_pk", "accept_membership_invitation", "acceptMembershipInvitation",
    "delete_membership_invitation", "deleteMembershipInvitation",
}  # fmt: skip
"""Served to whoever has an invitation's link, of another tenant by design (test_invitations.py)."""
SERVED_OTHERWISE = {
    # Where keys are off.
    "create_tenant",
    # The victim has none; test_people.py has.
    "delete_service_account",
    "refresh_token", "refreshToken",  # to a refresh token (test_tokens.py)
    # To those of other tenants, or who may take it back (test_invitations.py).
    "accept_membership_invitation", "delete_membership_invitation",
}  # fmt: skip
TAKEN_WHATEVER_THEY_ARE_ABOUT = {
    # of runs that are gone, from processes that outlived them (gateway/reference/runs.md): cheap, and no error to log
    "update_flow_run_heartbeat", "updateFlowRunHeartbeat", "update_task_run_heartbeat", "updateTaskRunHeartbeat",
    # the agent is registered; the configuration that it names may be made later
    "register_agent", "registerAgent",
}  # fmt: skip
"""Mutations that are done though what they name is not there."""
ABOUT_NOBODY = {
    "hello",
    "api",
    "reference_data",
    "authInfo",
    "permissions_info",
    "schedule_preview",
    "system_health",
}
"""Queries that show the same to every caller."""
COUNTS_ALONE = {"mapped_children", "mapped_summary", "flow_run_buckets", "flow_run_durations"}
"""Queries that show numbers of what the tenant has, which the victim has none of (reads/test_buckets.py has)."""
UUIDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KEYS = re.compile(r"hw_[\w-]{43}")
FORBIDDEN = {"message": "Unauthorized: permission error.", "code": "FORBIDDEN"}
DELETED_LAST = (
    "custom_role", "message", "hook", "action", "service_account", "limit", "artifact", "invitation", "membership",
    "agent_config", "agent", "key_value", "secret", "schedule", "flow_run", "flow_group", "flow", "project", "api",
    "tenant",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenants:
    """Clients with keys of the victim by role, with the intruder's best key, and with none that anybody may let in."""

    victim_id: UUID
    victim: dict[str, Gql]
    intruder: Gql
    strangers: dict[str, Gql]
    objects: Objects
    caller: Callable[[frozenset[str]], Awaitable[Gql]]
    """A key with a custom role of these permissions, of a tenant that has nothing else."""

    @property
    def ids(self) -> set[str]:
        """The victim's, as far as requests name them."""
        named = [
            str(value)
            for name, value in self.objects.arguments.items()
            if name not in ("home_tenant_id", "user_id")  # another's
        ]
        return {str(self.victim_id), *self.objects.rows.values(), *filter(UUIDS.fullmatch, named)}


@pytest.fixture(scope="module")
async def tenants(stack: Stack) -> AsyncIterator[Tenants]:
    async with AsyncExitStack() as exits:
        gateway = await exits.enter_async_context(all_services(stack, auth="required"))

        async def client(**headers: str) -> Gql:
            url = f"http://127.0.0.1:{gateway.port}"
            return await exits.enter_async_context(Gql(url, headers=headers))

        async def holder(tenant_id: UUID, role: Role) -> Gql:
            key = await _make_key(gateway, tenant_id, role)
            return await client(authorization=f"Bearer {key}")

        async def with_permissions(permissions: frozenset[str]) -> Gql:
            role_id = gateway.ids()
            await gateway._store.create_role(role_id, empty_id, str(role_id), sorted(permissions))
            rights = custom(role_id, str(role_id), permissions)
            key = await _make_key(gateway, empty_id, Role.READ_ONLY, rights=rights)
            return await client(authorization=f"Bearer {key}")

        victim_id = await _make_tenant(gateway, "victim")
        empty_id = await _make_tenant(gateway, "empty")
        intruder_id = await _make_tenant(gateway, "intruder")
        of_victim = {role.value: await holder(victim_id, role) for role in Role}
        revoked = await _make_key(gateway, victim_id, Role.TENANT_ADMIN, revoked=True)
        expired = await _make_key(gateway, victim_id, Role.TENANT_ADMIN, expired=True)
        of_intruder = await _make_key(gateway, intruder_id, Role.TENANT_ADMIN)
        intruder = await client(authorization=f"Bearer {of_intruder}")
        me = await intruder("{ auth_info { user_id } }")
        guest_id = UUID(me["auth_info"]["user_id"])
        strangers = {
            "no key": await client(),
            "a revoked key": await client(authorization=f"Bearer {revoked}"),
            "an expired key": await client(authorization=f"Bearer {expired}"),
            "another tenant's key": await client(
                **{
                    "authorization": f"Bearer {of_intruder}",
                    "x-prefect-tenant-id": str(victim_id),
                }
            ),
        }
        yield Tenants(
            victim_id=victim_id,
            victim=of_victim,
            intruder=await holder(intruder_id, Role.TENANT_ADMIN),
            strangers=strangers,
            caller=with_permissions,
            objects=await furnished(
                stack,
                of_victim["tenant_admin"],
                victim_id,
                another_id=intruder_id,
                guest_id=guest_id,
            ),
        )


async def _make_tenant(gateway: Gateway, slug: str) -> UUID:
    made = await gateway._store.create_tenant(gateway.ids(), name=slug, slug=slug)
    assert isinstance(made, UUID)
    return made


async def _make_key(
    gateway: Gateway,
    tenant_id: UUID,
    role: Role,
    *,
    rights: Rights | None = None,
    revoked: bool = False,
    expired: bool = False,
) -> str:
    """A key as the operator's bootstrap makes it; a revoked one was used before."""
    text = f"hw_{gateway.ids()}"
    key = Key(
        id=gateway.ids(),
        tenant_id=tenant_id,
        user_id=gateway.ids(),
        name=f"{role} of {tenant_id}",
        role=role,
        custom=rights,
        expires_at=gateway.clock() if expired else None,
    )
    await gateway._store.create_key(
        key, fingerprint(text, gateway._settings.pepper), created_by=None
    )
    if revoked:
        await gateway._store.revoke_key(tenant_id, key.id)
    return text


def _place(name: str) -> tuple[int, str]:
    """What makes comes before what changes, and what destroys last, the parts before the whole."""
    if not name.startswith("delete_"):
        return (-1 if name.startswith(("create", "register", "get")) else 0, name)
    return (1 + next(n for n, noun in enumerate(DELETED_LAST) if noun in name), name)


def queries(objects: Objects) -> list[Asked]:
    return list(every_query(SCHEMA, objects))


def subscriptions(objects: Objects) -> list[Asked]:
    return list(every_subscription(SCHEMA, objects))


def mutations(objects: Objects) -> list[Asked]:
    return list(every_mutation(SCHEMA, objects))


async def answers(caller: Gql, asked: Sequence[Asked]) -> dict[str, dict[str, Any]]:
    """Each answer by the field's name. In batches, which are answered at once."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(asked), 20):
        batch = asked[start : start + 20]
        answered = (await caller.post([each.body for each in batch])).json()
        found |= {each.name: answer for each, answer in zip(batch, answered, strict=True)}
    return found


def refusal(answer: dict[str, Any]) -> dict[str, Any] | None:
    """The one error of an answer that shows nothing; None when it shows something or failed in another way."""
    data = answer.get("data") or {}
    if any(value is not None for value in data.values()) or len(answer.get("errors", ())) != 1:
        return None
    [error] = answer["errors"]
    return {"message": error["message"], "code": error.get("extensions", {}).get("code")}


async def rows_of(stack: Stack, tenant_id: UUID) -> dict[str, str]:
    """A digest of every row of a tenant, by table: what was changed, added or removed shows."""
    found = {}
    for name, table in metadata.tables.items():
        column = "id" if name == "gateway.tenant" else "tenant_id"
        if column not in table.columns or name == "automations.ruleset":
            # That one says how far a sweep is: it moves on by itself.
            continue
        found[name] = await stack.admin_pool.fetchval(
            f"SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '')"
            f" FROM {name} t WHERE {column} = $1",
            tenant_id,
        )
    return found


@pytest.mark.parametrize(
    "stranger",
    ["no key", "a revoked key", "an expired key", "another tenant's key"],
)
async def test_a_stranger_is_turned_away_from_every_field(
    stack: Stack, tenants: Tenants, stranger: str
) -> None:
    before = await rows_of(stack, tenants.victim_id)

    answered = {
        # One by one: a batch of a stranger's is refused as a whole.
        asked.name: (await tenants.strangers[stranger].post(asked.body)).json()
        for asked in (*queries(tenants.objects), *mutations(tenants.objects))
    }

    let_in = {
        name: answer
        for name, answer in answered.items()
        if answer["data"] is not None
        or [error["extensions"]["code"] for error in answer["errors"]] != ["UNAUTHENTICATED"]
        or "UNAUTHENTICATED" not in answer["errors"][0]["message"]
    }
    assert let_in == {}
    assert answered.keys() == {*QUERIES, *MUTATIONS}
    assert await rows_of(stack, tenants.victim_id) == before


@pytest.mark.parametrize("path", ["/", "/graphql", "/graphql/", "/graphql/alpha"])
@pytest.mark.parametrize("lease", ["", f"/lease/{new_id()}/{new_id()}"], ids=["plain", "leased"])
async def test_a_stranger_is_turned_away_at_every_address(
    tenants: Tenants, path: str, lease: str
) -> None:
    stranger = tenants.strangers["a revoked key"]

    one = await stranger.post({"query": "{ hello }"}, path=lease + path)
    several = await stranger.post([{"query": "{ hello }"}] * 2, path=lease + path)

    for answer in (one.json(), several.json()):
        assert answer["data"] is None
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("role", [Role.READ_ONLY, Role.AGENT, Role.USER])
async def test_a_role_is_refused_every_mutation_that_is_not_for_it(
    stack: Stack, tenants: Tenants, role: Role
) -> None:
    forbidden = [
        asked
        for asked in mutations(tenants.objects)
        if asked.declared and not RIGHTS[role].may(asked.declared.needed)
    ]
    before = await rows_of(stack, tenants.victim_id)

    answered = await answers(tenants.victim[role], forbidden)

    assert {name: refusal(answer) for name, answer in answered.items()} == dict.fromkeys(
        (asked.name for asked in forbidden), FORBIDDEN
    )
    assert forbidden
    # That they tried is in the trail.
    after = await rows_of(stack, tenants.victim_id)
    assert after.pop("gateway.audit_log") != before.pop("gateway.audit_log")
    assert after == before


@pytest.mark.parametrize(
    ("role", "reserved"),
    [
        (Role.READ_ONLY, FOR_ADMINISTRATORS | FOR_THOSE_WHO_RUN),
        (Role.AGENT, FOR_ADMINISTRATORS | NOT_FOR_RUNS),
        (Role.USER, FOR_ADMINISTRATORS),
        (Role.TENANT_ADMIN, set[str]()),
    ],
)
async def test_a_role_reads_all_of_its_tenant_but_what_is_reserved(
    tenants: Tenants, role: Role, reserved: set[str]
) -> None:
    answered = await answers(tenants.victim[role], queries(tenants.objects))

    refused = {name for name, answer in answered.items() if refusal(answer) == FORBIDDEN}
    failed = {name: answer["errors"] for name, answer in answered.items() if "errors" in answer}
    assert refused == reserved
    assert failed.keys() == reserved, failed


async def test_what_a_field_needs_is_enough_for_it_and_less_is_not(
    stack: Stack, tenants: Tenants
) -> None:
    """Each mutation and query, and each table, by a role of just what it needs, and by roles without one of that."""
    asked = [
        _with_ids_of_nothing(each)
        for each in mutations(tenants.objects)
        # Refused to every key, whatever it may.
        if each.name not in ("create_tenant", "createTenant")
    ]
    needed = {each.name: each.declared.needed for each in asked if each.declared}
    for name, table in ((n, t) for t in TABLES for n in (t, f"{t}_aggregate")):
        if name in QUERIES:
            asked.append(Asked(name=name, query=f"{{ {name} {{ __typename }} }}", variables={}))
            needed[name] = needs(TABLES[table])
    for each in queries(tenants.objects):
        if each.name in READS:
            asked.append(_with_ids_of_nothing(each))
            needed[each.name] = READS[each.name]
    roles = {frozenset(which) for which in needed.values()}
    roles |= {ALL - {one} for which in needed.values() for one in which}
    before = await rows_of(stack, tenants.victim_id)

    answered: dict[tuple[str, frozenset[str]], dict[str, Any]] = {}
    for role in sorted(roles, key=sorted):
        caller = await tenants.caller(role)
        mine = [
            each
            for each in asked
            if needed[each.name] == role or (role >= ALL - needed[each.name] and role != ALL)
        ]
        answered |= {(name, role): answer for name, answer in (await answers(caller, mine)).items()}

    wrong = {
        (name, *sorted(needed[name])): answer
        for (name, role), answer in answered.items()
        if (refusal(answer) == FORBIDDEN) != (not needed[name] <= role)
    }
    assert wrong == {}
    assert {name for name, _ in answered} == needed.keys()
    assert await rows_of(stack, tenants.victim_id) == before


async def test_every_query_has_something_of_the_victims_to_show(tenants: Tenants) -> None:
    answered = await answers(tenants.victim["tenant_admin"], queries(tenants.objects))

    empty = {name for name, answer in answered.items() if not _shows(answer, tenants)}
    assert empty == ABOUT_NOBODY | COUNTS_ALONE


def _shows(answer: dict[str, Any], tenants: Tenants) -> bool:
    """Whether anything of the victim's is in an answer's data."""
    text = json.dumps(answer.get("data"))
    return MARK in text or not tenants.ids.isdisjoint(UUIDS.findall(text))


async def test_no_query_shows_another_tenants_rows(tenants: Tenants) -> None:
    answered = await answers(tenants.intruder, queries(tenants.objects))

    shown = {name for name, answer in answered.items() if _shows(answer, tenants)}
    assert shown == {"membership_invitation_by_pk"}


@pytest.mark.parametrize("naming_the_tenant", [True, False], ids=["tenant named", "ids alone"])
async def test_no_mutation_reaches_another_tenant_nor_tells_whether_its_objects_exist(
    stack: Stack, tenants: Tenants, naming_the_tenant: bool
) -> None:
    asked = [
        each
        for each in mutations(tenants.objects)
        if each.is_about_objects and each.name not in LINKS
    ]
    if not naming_the_tenant:
        asked = [_without_tenant(each) for each in asked if "tenant" not in each.name.lower()]
        asked = [each for each in asked if each.is_about_objects]
    before = await rows_of(stack, tenants.victim_id)

    about_the_victims = await answers(tenants.intruder, asked)
    about_nothing = await answers(tenants.intruder, [_with_ids_of_nothing(each) for each in asked])

    first_messages = {
        name: (answer, about_nothing[name])
        for name, answer in about_the_victims.items()
        if name not in LETS_OTHERS_IN and _without_ids(answer) != _without_ids(about_nothing[name])
    }
    assert first_messages == {}
    assert await rows_of(stack, tenants.victim_id) == before
    if naming_the_tenant:
        of_tenants = {
            each.name: "FORBIDDEN" if each.declared.needed else "UNAUTHENTICATED"
            for each in asked
            if each.declared
            and "tenant" in json.dumps(each.variables).lower()
            and each.name not in LETS_OTHERS_IN
        }
        assert of_tenants
        assert {
            name: (refusal(about_the_victims[name]) or {}).get("code") for name in of_tenants
        } == of_tenants


def _without_tenant(asked: Asked) -> Asked:
    given = {
        name: value
        for name, value in asked.variables["input"].items()
        if "tenant" not in name.lower()
    }
    return replace(asked, variables={"input": given})


def _with_ids_of_nothing(asked: Asked) -> Asked:
    unknown = UUIDS.sub(lambda _: str(new_id()), json.dumps(asked.variables))
    return replace(asked, variables=json.loads(unknown))


def _without_ids(answer: dict[str, Any]) -> str:
    """An answer without the ids and keys in it, and without places, which only the first answer to a text has."""
    for error in answer.get("errors", ()):
        error.pop("locations", None)
    return KEYS.sub("...", UUIDS.sub("...", json.dumps(answer, sort_keys=True)))


async def test_no_mutation_about_what_is_not_there_says_that_it_was_done(tenants: Tenants) -> None:
    asked = [_without_tenant(each) for each in mutations(tenants.objects)]
    asked = [each for each in asked if each.is_about_objects and "tenant" not in each.name.lower()]

    answered = await answers(
        tenants.victim["tenant_admin"], [_with_ids_of_nothing(each) for each in asked]
    )

    said_done = {name: answer for name, answer in answered.items() if _says_done(answer)}
    assert said_done.keys() == TAKEN_WHATEVER_THEY_ARE_ABOUT, said_done
    without_a_word = {
        name: answer
        for name, answer in answered.items()
        if name not in said_done and "errors" not in answer and not _says_why(answer)
    }
    assert without_a_word == {}


def _says_done(answer: dict[str, Any]) -> bool:
    """Whether an answer tells of success, or shows what was touched."""
    return any(
        value is not None and value.get("success", True) is not False
        for value in (answer.get("data") or {}).values()
    )


def _says_why(answer: dict[str, Any]) -> bool:
    return all(value and value.get("error") for value in answer["data"].values())


async def first_messages(caller: Gql, asked: Sequence[Asked]) -> dict[str, dict[str, Any]]:
    """What each subscription is told first, by the field's name."""
    return {
        each.name: await first_told(caller.url, each.query, each.variables, headers=caller.headers)
        for each in asked
    }


@pytest.mark.parametrize(
    "stranger", ["no key", "a revoked key", "an expired key", "another tenant's key"]
)
async def test_a_stranger_has_no_socket(tenants: Tenants, stranger: str) -> None:
    answered = await first_messages(tenants.strangers[stranger], subscriptions(tenants.objects))

    assert {name: answer.get("closed", (0, ""))[0] for name, answer in answered.items()} == (
        dict.fromkeys(SUBSCRIPTIONS, 4403)
    )


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_hears_of_its_tenant(tenants: Tenants, role: Role) -> None:
    answered = await first_messages(tenants.victim[role], subscriptions(tenants.objects))

    assert {name: answer["type"] for name, answer in answered.items()} == (
        dict.fromkeys(SUBSCRIPTIONS, "next")
    )


async def test_no_subscription_is_about_another_tenants_objects_nor_tells_whether_they_exist(
    tenants: Tenants,
) -> None:
    asked = [each for each in subscriptions(tenants.objects) if each.is_about_objects]

    about_the_victims = await first_messages(tenants.intruder, asked)
    about_nothing = await first_messages(
        tenants.intruder, [_with_ids_of_nothing(each) for each in asked]
    )

    assert asked
    assert {name: answer["type"] for name, answer in about_the_victims.items()} == (
        {each.name: "error" for each in asked}
    )
    for name, answer in about_the_victims.items():
        assert _without_ids(answer) == _without_ids(about_nothing[name])


async def test_the_same_requests_are_served_to_those_who_may(tenants: Tenants) -> None:
    """Else all of the above might be refused for being nonsense. Last, since it changes and deletes."""
    least_first = (Role.READ_ONLY, Role.AGENT, Role.USER, Role.TENANT_ADMIN)
    first_of_its_names = {
        asked.declared.snake or asked.declared.camel: asked
        for asked in reversed(mutations(tenants.objects))
        if asked.declared and asked.name == (asked.declared.snake or asked.declared.camel)
    }
    ordered = sorted(first_of_its_names.values(), key=lambda asked: _place(asked.name))

    refused = {}
    for asked in ordered:
        assert asked.declared
        least = next(role for role in least_first if RIGHTS[role].may(asked.declared.needed))
        answer = (await tenants.victim[least].post(asked.body)).json()
        if "errors" in answer or '"success": false' in json.dumps(answer):
            refused[asked.name] = answer

    assert refused.keys() == SERVED_OTHERWISE, refused

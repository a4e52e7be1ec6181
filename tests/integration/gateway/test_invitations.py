"""Invitations: who has the link enters, once; what those who invite and those who are invited see of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.roles import Role, role_id
from tests.support.callers import AsCaller, callers_of
from tests.support.engines import Stack
from tests.support.offices import Office, a_key, a_role, an_office, do, refused
from tests.support.services import all_services

SHOWN = """id created email role role_id role_detail { id name } tenant { id name slug } tenant_id
    user { id username email }"""
LISTED = f"{{ membership_invitation {{ {SHOWN} }} }}"
BY_LINK = f"query($id: uuid!) {{ membership_invitation_by_pk(id: $id) {{ {SHOWN} }} }}"
USER = str(role_id(Role.USER))


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack, auth="required") as gateway:
        yield gateway


@pytest.fixture
async def as_caller(gateway: Gateway) -> AsyncIterator[AsCaller]:
    async with callers_of(gateway) as caller:
        yield caller


@pytest.fixture
async def office(gateway: Gateway, stack: Stack, as_caller: AsCaller) -> Office:
    return await an_office(gateway, stack, as_caller, "Alice")


@pytest.fixture
async def ann(gateway: Gateway, stack: Stack, as_caller: AsCaller) -> Office:
    """Who is invited, with a tenant of her own."""
    return await an_office(gateway, stack, as_caller, "Ann at home")


async def an_invitation(office: Office, email: str = "ann@example.org", role: str = USER) -> str:
    made = await do(office.admin, "create_membership_invitation", email=email, role_id=role)
    invitation_id: str = made["id"]
    return invitation_id


async def test_who_is_invited_sees_the_invitation_enters_and_is_known_by_the_address(
    office: Office, ann: Office, as_caller: AsCaller
) -> None:
    invitation = await an_invitation(office)
    by_link = (await ann.admin(BY_LINK, id=invitation))["membership_invitation_by_pk"]

    accepted = await do(ann.admin, "accept_membership_invitation", invitation_id=invitation)

    entered = await do(ann.admin, "switch_tenant", tenant_id=office.tenant_id)
    there = await as_caller(entered["access_token"])
    info = (await there("{ auth_info { tenant_id role } }"))["auth_info"]
    people = await office.admin(
        "{ user_view_same_tenant { id username email memberships { id } } }"
    )
    [known] = [p for p in people["user_view_same_tenant"] if p["id"] == str(ann.admin_id)]
    assert by_link["user"]["id"] == str(ann.admin_id)
    assert by_link["tenant"]["id"] == str(office.tenant_id)
    assert by_link["role_detail"] == {"id": USER, "name": "USER"}
    assert info == {"tenant_id": str(office.tenant_id), "role": "user"}
    assert (known["username"], known["email"]) == ("ann@example.org", "ann@example.org")
    assert known["memberships"] == [{"id": accepted["id"]}]
    # No tenant reads what another one calls her.
    assert "Ann at home" not in json.dumps(people)
    assert (await ann.admin(BY_LINK, id=invitation))["membership_invitation_by_pk"] is None


async def test_those_who_invite_see_theirs_and_nobody_as_invited_yet(
    office: Office, ann: Office, as_caller: AsCaller
) -> None:
    invitation = await an_invitation(office)
    reader = await as_caller((await a_key(office.admin, role="read_only"))["key"])
    user = await as_caller((await a_key(office.admin, role="user"))["key"])

    [listed] = (await office.admin(LISTED))["membership_invitation"]

    assert (listed["id"], listed["email"], listed["user"]) == (invitation, "ann@example.org", None)
    assert (await ann.admin(LISTED))["membership_invitation"] == []
    for caller in (reader, user):
        assert (await caller.errors(LISTED))[0]["message"] == "Unauthorized: permission error."


async def test_who_invites_sees_no_invitation_to_more_than_they_hold(
    office: Office, as_caller: AsCaller
) -> None:
    """Else they would accept it with another key."""
    role = await a_role(
        office.admin, "create:membership-invitation", "read:membership-invitation", "read:run"
    )
    inviter = await as_caller((await a_key(office.admin, role_id=role))["key"])
    great = await an_invitation(office)
    small = await an_invitation(office, "bob@example.org", await a_role(office.admin, "read:run"))

    seen = [row["id"] for row in (await inviter(LISTED))["membership_invitation"]]
    trail = await office.admin("{ audit_log { message object_id info } }")

    assert seen == [small]
    assert great not in json.dumps(trail)
    assert "create_membership_invitation" in json.dumps(trail)


async def test_the_texts_that_the_web_ui_compares(office: Office, ann: Office) -> None:
    await an_invitation(office)
    again = await refused(
        office.admin, "create_membership_invitation", email="ANN@example.org", role_id=USER
    )
    bob = await an_invitation(office, "bob@example.org")
    await do(ann.admin, "accept_membership_invitation", invitation_id=bob)
    member = await refused(
        office.admin, "create_membership_invitation", email="bob@example.org", role_id=USER
    )

    of = f"tenant {office.tenant_id}."
    assert again["message"] == (
        f'A user with email "ANN@example.org" has already been invited to {of}'
    )
    assert member["message"] == (
        f'A user with email "bob@example.org" already has a membership in {of}'
    )


async def test_an_invitation_is_good_once_also_for_two_who_show_it_at_once(
    gateway: Gateway, stack: Stack, as_caller: AsCaller, office: Office, ann: Office
) -> None:
    bob = await an_office(gateway, stack, as_caller, "Bob")
    text = "mutation($i: accept_membership_invitation_input!) { accept_membership_invitation(input: $i) { id } }"
    invitation = await an_invitation(office)
    body = {"query": text, "variables": {"i": {"invitation_id": invitation}}}

    answers = [
        answer.json() for answer in await asyncio.gather(ann.admin.post(body), bob.admin.post(body))
    ]

    refusals = [answer["errors"][0]["message"] for answer in answers if "errors" in answer]
    assert len(refusals) == 1
    assert "Ask for another one" in refusals[0]
    once_more = await refused(ann.admin, "accept_membership_invitation", invitation_id=invitation)
    assert once_more["message"] == refusals[0]


async def test_a_member_keeps_the_invitation_for_whom_it_is(office: Office, ann: Office) -> None:
    first = await an_invitation(office)
    await do(ann.admin, "accept_membership_invitation", invitation_id=first)
    second = await an_invitation(office, "carl@example.org")

    twice = await refused(ann.admin, "accept_membership_invitation", invitation_id=second)
    at_home = await refused(office.admin, "accept_membership_invitation", invitation_id=second)

    assert "already has a membership" in twice["message"]
    assert "already has a membership" in at_home["message"]
    assert [row["id"] for row in (await office.admin(LISTED))["membership_invitation"]] == [second]


async def test_it_is_taken_back_by_those_who_may_and_declined_by_who_has_the_link(
    office: Office, ann: Office, as_caller: AsCaller
) -> None:
    user = await as_caller((await a_key(office.admin, role="user"))["key"])
    first, second = await an_invitation(office), await an_invitation(office, "bob@example.org")

    forbidden = await refused(user, "delete_membership_invitation", invitation_id=first)
    back = await do(office.admin, "delete_membership_invitation", invitation_id=first)
    declined = await do(ann.admin, "delete_membership_invitation", invitation_id=second)
    again = await do(ann.admin, "delete_membership_invitation", invitation_id=second)
    late = await refused(ann.admin, "accept_membership_invitation", invitation_id=first)

    assert forbidden["message"] == "Unauthorized: permission error."
    assert back["success"]
    assert declined["success"]
    assert not again["success"]
    assert second in again["error"]
    assert "no invitation" in late["message"]
    trail = (await office.admin("{ audit_log { message actor } }"))["audit_log"]
    [line] = [row for row in trail if row["message"] == "decline_membership_invitation"]
    assert line["actor"] == f"guest:{ann.admin_id}:{ann.key_id}"


async def test_an_invitation_runs_out_and_can_be_made_again(
    stack: Stack, office: Office, ann: Office
) -> None:
    invitation = await an_invitation(office)
    await stack.admin_pool.execute(
        "UPDATE gateway.membership_invitation SET created = created - $1::interval WHERE id = $2",
        timedelta(days=14, minutes=1), invitation,
    )  # fmt: skip

    late = await refused(ann.admin, "accept_membership_invitation", invitation_id=invitation)
    listed = (await office.admin(LISTED))["membership_invitation"]
    another = await an_invitation(office)

    assert "has run out" in late["message"]
    assert listed == []
    assert another != invitation
    assert (await do(ann.admin, "accept_membership_invitation", invitation_id=another))["id"]


async def test_what_was_accepted_is_in_the_trail_of_both_tenants(
    office: Office, ann: Office
) -> None:
    invitation = await an_invitation(office)
    accepted = await do(ann.admin, "accept_membership_invitation", invitation_id=invitation)
    trail = '{ audit_log(where: {message: {_eq: "accept_membership_invitation"}}) { actor object_id info } }'

    [there] = (await office.admin(trail))["audit_log"]
    [at_home] = (await ann.admin(trail))["audit_log"]

    assert there["actor"] == f"guest:{ann.admin_id}:{ann.key_id}"
    assert there["object_id"] == at_home["object_id"] == accepted["id"]
    assert there["info"]["email"] == "ann@example.org"
    assert invitation not in json.dumps([there, at_home])


@pytest.mark.parametrize(
    "email", ["", "ann", "ann@", "a@b, c@d", "two\n@lines.org", "<a@b>", "x" * 250 + "@example.org"]
)
async def test_what_is_not_one_address_is_refused_with_the_field(
    office: Office, email: str
) -> None:
    error = await refused(office.admin, "create_membership_invitation", email=email, role_id=USER)

    assert error["message"].startswith("email")


async def test_an_invitation_that_there_never_was_is_answered_like_one_that_is_used(
    office: Office, ann: Office
) -> None:
    used = await an_invitation(office)
    await do(ann.admin, "accept_membership_invitation", invitation_id=used)
    nothing = str(new_id())

    errors = [
        (await refused(ann.admin, "accept_membership_invitation", invitation_id=id_))[
            "message"
        ].replace(id_, "ID")
        for id_ in (used, nothing)
    ]

    assert errors[0] == errors[1]

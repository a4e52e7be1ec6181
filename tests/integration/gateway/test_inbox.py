"""The inbox over GraphQL, in the documents of the old web UI: marked, deleted, counted, and nobody else's."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.preparation import INBOX_LIMIT
from tests.support.callers import AsCaller, callers_of
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.services import all_services

FIRST = "hw_first-key-of-the-inbox"
LIST = """query Messages($where: message_bool_exp, $limit: Int, $offset: Int) {
    message(where: $where, limit: $limit, offset: $offset, order_by: {created: desc}) {
        id content created read tenant_id text type updated
    }
    message_aggregate(where: $where) { aggregate { count } }
}"""
LONG_AGO = datetime(2021, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack, auth="required", bootstrap_key=FIRST) as gateway:
        yield gateway


@pytest.fixture
async def as_caller(gateway: Gateway) -> AsyncIterator[AsCaller]:
    async with callers_of(gateway) as caller:
        yield caller


@pytest.fixture
async def admin(stack: Stack, as_caller: AsCaller) -> Gql:
    await stack.admin_pool.execute("DELETE FROM gateway.message")
    return await as_caller(FIRST)


async def own(admin: Gql) -> UUID:
    return UUID((await admin("{ auth_info { tenant_id } }"))["auth_info"]["tenant_id"])


async def put(stack: Stack, tenant_id: UUID, count: int) -> list[UUID]:
    """So many unread messages, the oldest first."""
    ids = [new_id() for _ in range(count)]
    await stack.admin_pool.executemany(
        "INSERT INTO gateway.message (id, tenant_id, type, text, content, created) VALUES ($1, $2, $3, $4, $5, $6)",
        [
            (id_, tenant_id, "MESSAGE", f"message {n}", {"title": "t", "message": "m"}, LONG_AGO + timedelta(hours=n))
            for n, id_ in enumerate(ids)
        ],
    )  # fmt: skip
    return ids


def all_of(mutation: str, ids: list[UUID], prefix: str = "m") -> str:
    """One document with an aliased mutation for each message, as the web UI writes it."""
    fields = "".join(
        f'{prefix}{n}: {mutation}(input: {{message_id: "{id_}"}}) {{ success }}\n'
        for n, id_ in enumerate(ids)
    )
    return f"mutation {{ {fields} }}"


def done(count: int, prefix: str = "m") -> dict[str, Any]:
    return {f"{prefix}{n}": {"success": True} for n in range(count)}


async def unread(admin: Gql) -> int:
    found = await admin(
        "{ message_aggregate(where: {read: {_eq: false}}) { aggregate { count } } }"
    )
    count: int = found["message_aggregate"]["aggregate"]["count"]
    return count


async def test_two_thousand_unread_messages_are_marked_and_deleted_in_one_document_each(
    stack: Stack, admin: Gql
) -> None:
    ids = await put(stack, await own(admin), INBOX_LIMIT)

    read = await admin(all_of("mark_message_as_read", ids))
    after_reading = await unread(admin)
    again = await admin(all_of("mark_message_as_unread", ids))
    after_again = await unread(admin)
    deleted = await admin(all_of("delete_message", ids, "d"))

    assert read == again == done(INBOX_LIMIT)
    assert deleted == done(INBOX_LIMIT, "d")
    assert (after_reading, after_again) == (0, INBOX_LIMIT)
    assert await stack.admin_pool.fetchval("SELECT count(*) FROM gateway.message") == 0


async def test_more_than_that_are_refused_with_their_number_and_nothing_is_marked(
    stack: Stack, admin: Gql
) -> None:
    [message] = await put(stack, await own(admin), 1)

    [error] = await admin.errors(all_of("mark_message_as_read", [message] * (INBOX_LIMIT + 1)))

    assert error["message"] == (
        f"The document has {INBOX_LIMIT + 1} mutations; at most {INBOX_LIMIT} are run at once."
    )
    assert await unread(admin) == 1


async def test_mutations_of_other_things_are_still_bounded_when_they_stand_beside_the_inbox(
    stack: Stack, admin: Gql
) -> None:
    [message] = await put(stack, await own(admin), 1)
    mixed = all_of("mark_message_as_read", [message] * 500)
    document = mixed.replace("{", '{ x: set_key_value(input: {key: "k", value: "1"}) { id } ', 1)

    [error] = await admin.errors(document)

    assert error["message"] == "The document has 501 mutations; at most 500 are run at once."


async def test_a_long_document_that_no_plan_covers_is_refused_and_does_nothing(
    stack: Stack, admin: Gql
) -> None:
    ids = await put(stack, await own(admin), 501)
    every = all_of("mark_message_as_read", ids)
    document = every.replace("{ success }", "@skip(if: false) { success }", 1)

    [error] = await admin.errors(document)

    assert error["message"] == "The document has 501 mutations; at most 500 are run at once."
    assert await unread(admin) == 501


async def test_messages_are_listed_newest_first_filtered_by_page_and_counted(
    stack: Stack, admin: Gql
) -> None:
    tenant_id = await own(admin)
    ids = await put(stack, tenant_id, 5)
    await admin(all_of("mark_message_as_read", ids[:2]))

    async def listed(where: dict[str, Any], **page: int) -> tuple[list[str], int]:
        found = await admin(LIST, where=where, **page)
        count: int = found["message_aggregate"]["aggregate"]["count"]
        return [message["text"] for message in found["message"]], count

    mine = {"tenant_id": {"_eq": str(tenant_id)}}
    assert await listed({"read": {"_eq": False}}) == (["message 4", "message 3", "message 2"], 3)
    assert await listed(mine, limit=2, offset=1) == (["message 3", "message 2"], 5)
    assert await listed({"tenant_id": {"_is_null": True}}) == ([], 0)
    either = {"_or": [mine, {"tenant_id": {"_is_null": True}}], "read": {"_eq": True}}
    assert await listed(either) == (["message 1", "message 0"], 2)


async def test_what_was_read_already_stays_as_it_was_and_an_unknown_message_is_named(
    stack: Stack, admin: Gql
) -> None:
    [message] = await put(stack, await own(admin), 1)
    await admin(all_of("mark_message_as_read", [message]))
    first = (await admin(LIST))["message"][0]["updated"]

    again = await admin(all_of("mark_message_as_read", [message]))
    nobody = new_id()
    missing = await admin(
        f'mutation {{ delete_message(input: {{message_id: "{nobody}"}}) {{ success error }} }}'
    )

    assert again == done(1)
    assert (await admin(LIST))["message"][0]["updated"] == first
    assert missing["delete_message"] == {
        "success": False,
        "error": f"This tenant has no message {nobody}: it was deleted, or is another tenant's.",
    }


async def test_another_tenants_messages_are_neither_shown_nor_changed(
    stack: Stack, admin: Gql
) -> None:
    foreign = await put(stack, new_id(), 1)

    outcomes = [
        await admin(all_of(mutation, foreign))
        for mutation in ("mark_message_as_read", "mark_message_as_unread", "delete_message")
    ]

    assert outcomes == [{"m0": {"success": False}}] * 3
    assert (await admin(LIST))["message"] == []
    assert [tuple(row) for row in await stack.admin_pool.fetch("SELECT id, read FROM gateway.message")] == [
        (foreign[0], False)
    ]  # fmt: skip


@pytest.mark.parametrize(("role", "may"), [("user", True), ("read_only", True), ("agent", False)])
async def test_everybody_but_agents_keeps_the_inbox(
    stack: Stack, admin: Gql, as_caller: AsCaller, role: str, *, may: bool
) -> None:
    ids = await put(stack, await own(admin), 1)
    made = await admin(
        "mutation($i: create_api_key_input!) { create_api_key(input: $i) { key } }",
        i={"name": f"reads as {role}", "role": role},
    )
    other = await as_caller(made["create_api_key"]["key"])

    if may:
        assert await other(all_of("mark_message_as_read", ids)) == done(1)
    else:
        [error] = await other.errors(all_of("mark_message_as_read", ids))
        assert error["extensions"]["code"] == "FORBIDDEN"
    assert await unread(admin) == (0 if may else 1)

"""A deleted tenant leaves nothing in any table of any service, and nobody who was on the way gets in behind it.

The tables are those of `libs.schema`: a new one with a `tenant_id` is filled, deleted from and counted without a line
here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest

from libs.runtime.database import Database as RuntimeDatabase
from libs.runtime.departed import KEPT, Departed
from libs.runtime.ids import new_id
from libs.schema import OWNERS
from services.gateway.app import Gateway
from services.gateway.keys import Key, Role, fingerprint
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.rows_of_tenants import TABLES, fill, left
from tests.support.running import running
from tests.support.services import services_on

ADMIN = "hw_admin-of-the-doomed"


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    """The gateway alone: the sweeps of the other services would judge rows that refer to nothing."""
    gateway = services_on(stack, lambda _: stack.nats_url, auth="required")[-1]
    async with running(gateway):
        yield cast("Gateway", gateway)


@asynccontextmanager
async def database_of(stack: Stack, owner: str) -> AsyncIterator[RuntimeDatabase]:
    """A service's own connection."""
    database = RuntimeDatabase(stack.postgres_url(owner), pool_size=1, name=f"departed-{owner}")
    await database.connect()
    try:
        yield database
    finally:
        await database.close()


async def a_tenant(gateway: Gateway, slug: str, key: str | None = None) -> UUID:
    tenant_id = await gateway._store.create_tenant(gateway.ids(), name=slug, slug=slug)
    assert isinstance(tenant_id, UUID)
    if key is not None:
        await make_key(gateway, tenant_id, key)
    return tenant_id


async def make_key(gateway: Gateway, tenant_id: UUID, text: str) -> Any:
    key = Key(
        id=gateway.ids(),
        tenant_id=tenant_id,
        user_id=gateway.ids(),
        name="k",
        role=Role.TENANT_ADMIN,
        expires_at=None,
    )
    return await gateway._store.create_key(
        key, fingerprint(text, gateway._settings.pepper), created_by=None
    )


def delete(tenant_id: UUID) -> str:
    return f'mutation {{ delete_tenant(input: {{tenant_id: "{tenant_id}", confirm: true}}) {{ success }} }}'


async def test_every_table_is_emptied_of_the_tenant_and_of_nobody_else(
    stack: Stack, gateway: Gateway
) -> None:
    doomed, other = await a_tenant(gateway, "doomed", ADMIN), await a_tenant(gateway, "other")
    await fill(stack, doomed)
    await fill(stack, other)
    url = f"http://127.0.0.1:{gateway.port}"

    async with Gql(url, headers={"authorization": f"Bearer {ADMIN}"}) as admin:
        deleted = await admin(delete(doomed))
        answer = await admin.errors(
            'mutation { set_key_value(input: {key: "k", value: 1}) { id } }'
        )
    for owner in OWNERS:
        async with database_of(stack, owner) as database:
            await Departed(database, owner).tick()

    assert deleted == {"delete_tenant": {"success": True}}
    # Not a second later: at once.
    assert answer[0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await left(stack, doomed) == {*KEPT}
    assert await left(stack, other) == {table.fullname for table in TABLES}
    assert {table.schema for table in TABLES} == {*OWNERS}


async def test_a_writer_who_is_under_way_finds_no_tenant(stack: Stack, gateway: Gateway) -> None:
    tenant_id = await a_tenant(gateway, "under-way")
    store = gateway._store
    async with stack.admin_pool.acquire() as connection, connection.transaction():
        # The deletion, not yet committed: whoever was let in before it comes to write now.
        await connection.execute("SELECT FROM gateway.tenant WHERE id = $1 FOR UPDATE", tenant_id)
        late = [
            asyncio.create_task(writing)
            for writing in (
                store.set_key_value(new_id(), tenant_id, "k", 1),
                store.set_secret(new_id(), tenant_id, "s", b"sealed"),
                make_key(gateway, tenant_id, "hw_late"),
            )
        ]
        await eventually(lambda: _waiting(stack, 3))
        await connection.execute("DELETE FROM gateway.tenant WHERE id = $1", tenant_id)

    answers = [await writing for writing in late]

    assert [answer.code for answer in answers] == ["tenant_not_found"] * 3
    assert await left(stack, tenant_id) == set()


async def _waiting(stack: Stack, how_many: int) -> bool:
    waiting = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return bool(waiting == how_many)


async def test_what_arrives_late_is_deleted_at_the_next_look(
    stack: Stack, gateway: Gateway
) -> None:
    tenant_id = await a_tenant(gateway, "late")
    await gateway._store.delete_tenant(tenant_id)
    async with database_of(stack, "heartbeat") as database:
        departed = Departed(database, "heartbeat")
        await departed.tick()
        await fill(stack, tenant_id)
        too_early = await departed.tick()
        await stack.admin_pool.execute(
            "UPDATE gateway.deleted_tenant SET deleted = now() - interval '1 minute' WHERE id = $1",
            tenant_id,
        )
        in_time = await departed.tick()
        again = await departed.tick()

    found = {name for name in await left(stack, tenant_id) if name.startswith("heartbeat.")}
    assert (too_early, in_time, again) == (0, 3, 0)
    assert found == set()


async def test_a_service_that_was_away_for_days_deletes_when_it_is_back(
    stack: Stack, gateway: Gateway
) -> None:
    away = [await a_tenant(gateway, f"away-{n}") for n in range(2)]
    for tenant_id in away:
        await gateway._store.delete_tenant(tenant_id)
        await stack.admin_pool.execute(
            "UPDATE gateway.deleted_tenant SET deleted = now() - interval '9 days' WHERE id = $1",
            tenant_id,
        )
        await fill(stack, tenant_id)
    async with database_of(stack, "lazarus") as database:
        counted = await Departed(database, "lazarus").tick()

    assert counted >= 2
    assert not await left(stack, away[0]) & {"lazarus.resurrection"}
    assert not await left(stack, away[1]) & {"lazarus.resurrection"}


async def test_two_services_at_once_delete_each_row_once(stack: Stack, gateway: Gateway) -> None:
    tenant_id = await a_tenant(gateway, "twice")
    for _ in range(20):
        await fill(stack, tenant_id)
    async with database_of(stack, "registry") as one, database_of(stack, "registry") as two:
        counted = await asyncio.gather(
            *(Departed(database, "registry").delete_all([tenant_id]) for database in (one, two))
        )

    tables = [table for table in TABLES if table.schema == "registry"]
    assert sum(counted) == 20 * len(tables)
    assert not {name for name in await left(stack, tenant_id) if name.startswith("registry.")}


async def test_the_trail_of_who_deleted_what_cannot_be_changed_by_the_gateway(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.postgres_url("gateway"))
    try:
        for statement in (
            "DELETE FROM gateway.audit_log",
            "UPDATE gateway.audit_log SET actor = 'nobody'",
            "TRUNCATE gateway.audit_log",
            "DROP TABLE gateway.audit_log",
            "ALTER TABLE gateway.audit_log DISABLE TRIGGER ALL",
            "DELETE FROM gateway.deleted_tenant",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()

"""Tenants and API keys, from the machine itself: `python -m deploy.keys --help`.

For cases that the API cannot handle: the last key of an administrator is lost or leaked, or keys are required and a new
tenant is needed. It is for people who may read the gateway's settings: it writes to the gateway's tables with the
gateway's role and pepper, and needs neither a key nor a running gateway. Its actions are in the audit trail.

    docker compose exec gateway python -m deploy.keys create --tenant default --role tenant_admin --name "by hand"
    headwater keys create --tenant default --role tenant_admin --name mine

A running gateway refuses a revoked key within a second.
"""

import argparse
import asyncio
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from getpass import getuser
from typing import Any
from uuid import UUID

import asyncpg

from deploy.entrypoint import ConfigurationError, environment_for
from deploy.say import complain
from libs.contracts.base import Refused
from libs.runtime.database import Database
from libs.runtime.ids import new_id
from services.gateway import compat, keys
from services.gateway.keys import Key
from services.gateway.names import name_refusal
from services.gateway.roles import Role
from services.gateway.store import Store


class KeysError(Exception):
    """The command cannot be done; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was done: lines for a person, and the same for a script."""

    lines: list[str]
    data: dict[str, Any] | list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The access to the gateway's tables, and the pepper for its keys."""

    postgres_url: str
    pepper: bytes


def access_of(environment: Mapping[str, str]) -> Access:
    """The gateway's own access, from its variables."""
    try:
        given = environment_for("gateway", environment)
    except ConfigurationError as error:
        raise KeysError(str(error)) from None
    missing = [n for n in ("HEADWATER_POSTGRES_URL", "HEADWATER_KEY_PEPPER") if not given.get(n)]
    if missing:
        msg = (
            f"{' and '.join(missing)} must be set, as for the gateway: run this where the gateway runs"
            " (docker compose exec gateway ..., kubectl exec, make keys)"
        )
        raise KeysError(msg)
    return Access(
        postgres_url=given["HEADWATER_POSTGRES_URL"], pepper=given["HEADWATER_KEY_PEPPER"].encode()
    )


def parser() -> argparse.ArgumentParser:
    """The commands."""
    whole = argparse.ArgumentParser(
        prog="python -m deploy.keys", description="Tenants and API keys, from the machine itself."
    )
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("tenants", help="list the tenants")
    listing = verbs.add_parser("list", help="list the keys of a tenant that are not revoked")
    listing.add_argument("--tenant", required=True, help="slug or id")
    create = verbs.add_parser("create", help="make a key; its text is shown once")
    create.add_argument("--tenant", required=True, help="slug or id")
    create.add_argument("--role", choices=[role.value for role in Role], default=Role.USER.value)
    create.add_argument("--name", required=True, help="what it is for")
    revoke = verbs.add_parser("revoke", help="revoke a key, also the last of an administrator")
    revoke.add_argument("--tenant", required=True, help="slug or id")
    revoke.add_argument("key_id", type=UUID)
    tenant = verbs.add_parser("create-tenant", help="make a tenant and its first key")
    tenant.add_argument("name")
    tenant.add_argument("slug")
    return whole


async def run(access: Access, asked: argparse.Namespace) -> Answer:
    """Do it. KeysError says why not."""
    database = Database(access.postgres_url, pool_size=1, name="keys")
    try:
        await database.connect()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        msg = f"PostgreSQL does not answer: {error}"
        raise KeysError(msg) from None
    try:
        return await _Desk(Store(database), access.pepper).do(asked)
    finally:
        await database.close()


class _Desk:
    def __init__(self, store: Store, pepper: bytes) -> None:
        self._store = store
        self._pepper = pepper

    async def do(self, asked: argparse.Namespace) -> Answer:
        match asked.verb:
            case "tenants":
                tenants = await self._store.tenants(await self._store.tenant_ids())
                return Answer(
                    [f"{t.id}  {t.slug}  {t.name}" for t in tenants.values()],
                    [{"id": t.id, "slug": t.slug, "name": t.name} for t in tenants.values()],
                )
            case "create-tenant":
                return await self._create_tenant(asked.name, asked.slug)
            case "list":
                return await self._list(await self._tenant(asked.tenant))
            case "create":
                return await self._create(await self._tenant(asked.tenant), asked.name, asked.role)
            case _:
                return await self._revoke(await self._tenant(asked.tenant), asked.key_id)

    async def _tenant(self, named: str) -> UUID:
        tenants = await self._store.tenants(await self._store.tenant_ids())
        for tenant in tenants.values():
            if named in (tenant.slug, str(tenant.id)):
                return tenant.id
        slugs = ", ".join(tenant.slug for tenant in tenants.values())
        msg = f"there is no tenant {named}; there are {slugs or 'none'}"
        raise KeysError(msg)

    async def _list(self, tenant_id: UUID) -> Answer:
        found = [listed.key for listed in await self._store.keys(tenant_id)]
        return Answer(
            [f"{k.id}  {k.given.code:12}  {_until(k.expires_at)}  {k.name}" for k in found],
            [
                {
                    "id": k.id,
                    "role": k.given.code,
                    "expires_at": k.expires_at and k.expires_at.isoformat(),
                    "name": k.name,
                }
                for k in found
            ],
        )

    async def _create(self, tenant_id: UUID, name: str, role: str) -> Answer:
        _check(name_refusal("--name", name))
        text = keys.make(secrets.token_bytes(keys.KEY_BYTES))
        key = Key(
            id=new_id(),
            tenant_id=tenant_id,
            user_id=new_id(),
            name=name,
            role=Role(role),
            expires_at=None,
        )
        made = await self._store.create_key(
            key, keys.fingerprint(text, self._pepper), created_by=None
        )
        _check(made)
        await self._record(tenant_id, "create_api_key", key.id, {"name": name, "role": role})
        return Answer(
            [text, f"key {key.id}: {role} of tenant {tenant_id}. It is shown once; keep it."],
            {"key": text, "id": key.id, "role": role, "name": name, "tenant_id": tenant_id},
        )

    async def _revoke(self, tenant_id: UUID, key_id: UUID) -> Answer:
        if not await self._store.revoke_key(tenant_id, key_id, may_be_last=True):
            msg = f"the tenant has no key {key_id} that is not revoked"
            raise KeysError(msg)
        await self._record(tenant_id, "delete_api_key", key_id, {})
        return Answer(
            [f"key {key_id} is revoked; gateways refuse it within a second"], {"revoked": key_id}
        )

    async def _create_tenant(self, name: str, slug: str) -> Answer:
        _check(name_refusal("name", name))
        _check(keys.slug_refusal(slug))
        tenant_id = await self._store.create_tenant(new_id(), name=name, slug=slug)
        if isinstance(tenant_id, Refused):
            raise KeysError(compat.error_of(tenant_id).message)
        await self._record(tenant_id, "create_tenant", tenant_id, {"name": name, "slug": slug})
        shown = await self._create(tenant_id, "first", Role.TENANT_ADMIN.value)
        return Answer(
            [*shown.lines, f"tenant {tenant_id} ({slug})"],
            {"id": tenant_id, "slug": slug, "name": name, "first_key": shown.data},
        )

    async def _record(
        self, tenant_id: UUID, message: str, object_id: UUID, info: dict[str, str]
    ) -> None:
        await self._store.audit(
            new_id(),
            tenant_id=tenant_id,
            actor=f"machine:{_user()}",
            user_id=None,
            message=message,
            object_id=object_id,
            info=info,
        )


def _until(expires_at: datetime | None) -> str:
    return expires_at.isoformat() if expires_at else "for ever"


def _check(refusal: str | Refused | UUID | None) -> None:
    if isinstance(refusal, str):
        raise KeysError(refusal)
    if isinstance(refusal, Refused):
        raise KeysError(compat.error_of(refusal).message)


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user has only a number, no name
        return str(os.getuid())


def main(arguments: Sequence[str]) -> None:
    """The command line; ends with a sentence and 1 when it cannot be done."""
    asked = parser().parse_args(arguments)
    try:
        answer = asyncio.run(run(access_of(os.environ), asked))
    except KeysError as error:
        complain(error)
    sys.stdout.write("".join(f"{line}\n" for line in answer.lines))


if __name__ == "__main__":
    main(sys.argv[1:])

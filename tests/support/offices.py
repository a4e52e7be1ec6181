"""A tenant with a flow, and an administrator who has a name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.keys import KEY_BYTES, Key, fingerprint, make
from services.gateway.roles import Role
from tests.support.callers import AsCaller
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.ledger import Flow, tenant_with_flow
from tests.support.services import PEPPER


@dataclass(frozen=True, slots=True)
class Office:
    """The tenant of a flow, and its administrator's API, ids and key."""

    flow: Flow
    admin: Gql
    admin_id: UUID
    key_id: UUID
    text: str

    @property
    def tenant_id(self) -> UUID:
        """The tenant's id."""
        return self.flow.tenant_id


async def an_office(gateway: Gateway, stack: Stack, as_caller: AsCaller, name: str) -> Office:
    """Make one, with an administrator of this name."""
    flow = await tenant_with_flow(stack.admin_pool)
    text = make(new_id().bytes.ljust(KEY_BYTES, b"."))
    key = Key(
        id=new_id(),
        tenant_id=flow.tenant_id,
        user_id=new_id(),
        name=name,
        role=Role.TENANT_ADMIN,
        expires_at=None,
    )
    await gateway._store.create_key(key, fingerprint(text, PEPPER.encode()), created_by=None)
    return Office(flow, await as_caller(text), key.user_id, key.id, text)


async def do(api: Gql, mutation: str, **given: Any) -> dict[str, Any]:
    """The payload of a mutation: `id`, or `success` and `error`."""
    shown = _SHOWN.get(mutation, "id")
    text = f"mutation($i: {mutation}_input!) {{ {mutation}(input: $i) {{ {shown} }} }}"
    payload: dict[str, Any] = (await api(text, i=_plain(given)))[mutation]
    return payload


async def refused(api: Gql, mutation: str, **given: Any) -> dict[str, Any]:
    """The one error of a mutation: its `message` and `code`."""
    shown = _SHOWN.get(mutation, "id")
    text = f"mutation($i: {mutation}_input!) {{ {mutation}(input: $i) {{ {shown} }} }}"
    [error] = await api.errors(text, i=_plain(given))
    return {"message": error["message"], "code": error["extensions"]["code"]}


async def a_role(api: Gql, *permissions: str, name: str | None = None) -> str:
    """The id of a new custom role."""
    made = await do(
        api, "create_custom_role", name=name or f"role {new_id()}", permissions=[*permissions]
    )
    role_id: str = made["id"]
    return role_id


async def a_key(api: Gql, **given: Any) -> dict[str, str]:
    """The id and the text of a new key, of a new user unless one is given."""
    asked = {"name": "somebody", "user_id": new_id()} | given
    made: dict[str, str] = await do(api, "create_api_key", **asked)
    return made


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    return {name: str(v) if isinstance(v, UUID) else v for name, v in given.items()}


_DONE = "success error"
_SHOWN = {
    "create_api_key": "id key",
    "delete_api_key": _DONE,
    "delete_service_account": _DONE,
    "delete_membership": _DONE,
    "delete_membership_invitation": _DONE,
    "update_custom_role_permissions": _DONE,
    "delete_custom_role": _DONE,
    "set_secret": _DONE,
    "switch_tenant": "access_token",
}


def named(rows: Iterable[dict[str, Any]], name: str) -> dict[str, Any]:
    """The row of a list with this name."""
    [found] = [row for row in rows if row.get("name", row.get("username")) == name]
    return found

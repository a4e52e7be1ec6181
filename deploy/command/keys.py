"""`headwater keys` and `headwater tenants`: as `deploy.keys` does it, for the Headwater of the data folder.

With HEADWATER_POSTGRES_URL and HEADWATER_KEY_PEPPER set, as for a gateway, it is for that gateway's database.
"""

import asyncio
import os
from argparse import Namespace
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from deploy.local.commands import local_settings, or_complain
from deploy.output import Json, console, show_json, show_rows
from deploy.say import complain

if TYPE_CHECKING:
    from deploy.keys import Access, Answer

app = typer.Typer(help="Make, list and revoke API keys, without a key.", no_args_is_help=True)
tenants_app = typer.Typer(help="List and make tenants, without a key.")

Tenant = Annotated[str, typer.Option(help="Slug or id of the tenant.")]


@app.command("list")
def list_keys(*, tenant: Tenant = "default", as_json: Json = False) -> None:
    """List the keys of a tenant that are not revoked."""
    answer = _ask(verb="list", tenant=tenant)
    _show_rows(answer, ("id", "role", "expires_at", "name"), as_json=as_json)


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="What it is for.")],
    role: Annotated[str, typer.Option(help="user, tenant_admin or read_only_user.")] = "user",
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Make a key. Its text is shown once."""
    from services.gateway.roles import Role

    if role not in {each.value for each in Role}:
        roles = ", ".join(each.value for each in Role)
        raise typer.BadParameter(f"{role!r} is none of {roles}.", param_hint="--role")
    _show(_ask(verb="create", tenant=tenant, name=name, role=role), as_json=as_json)


@app.command()
def revoke(key_id: UUID, *, tenant: Tenant = "default", as_json: Json = False) -> None:
    """Revoke a key, also the last one of an administrator."""
    _show(_ask(verb="revoke", tenant=tenant, key_id=key_id), as_json=as_json)


@app.command("create-tenant", hidden=True)
@tenants_app.command("create")
def create_tenant(name: str, slug: str, *, as_json: Json = False) -> None:
    """Make a tenant and its first key, which is shown once."""
    _show(_ask(verb="create-tenant", name=name, slug=slug), as_json=as_json)


@app.command("tenants", hidden=True)
@tenants_app.command("list")
def list_tenants(*, as_json: Json = False) -> None:
    """List the tenants."""
    _show_rows(_ask(verb="tenants"), ("id", "slug", "name"), as_json=as_json)


@tenants_app.callback(invoke_without_command=True)
def tenants(context: typer.Context, *, as_json: Json = False) -> None:
    """List the tenants, or make one."""
    if context.invoked_subcommand is None:
        list_tenants(as_json=as_json)


def access() -> "Access":
    """The access to the gateway's tables; ends the command with a sentence if there is none."""
    from deploy.engines import DataFolder, EngineError
    from deploy.engines.embedded import DATABASE
    from deploy.keys import Access, KeysError, access_of
    from deploy.local import record
    from deploy.migrate import role_url

    if os.environ.get("HEADWATER_POSTGRES_URL"):
        try:
            return access_of(os.environ)
        except KeysError as error:
            complain(error)
    folder = DataFolder(local_settings().data)
    found = or_complain(lambda: record.read(folder))
    if found is None:
        msg = f"no Headwater runs on {folder.path}; start it (headwater up), then ask again"
        complain(EngineError(msg))
    url = role_url(
        f"postgresql://127.0.0.1:{found.postgres_port}/{DATABASE}",
        role="gateway",
        password=folder.secret("postgres.gateway"),
    )
    return Access(postgres_url=url, pepper=folder.secret("gateway.key_pepper").encode())


def _ask(**asked: Any) -> "Answer":
    from deploy import keys

    try:
        return asyncio.run(keys.run(access(), Namespace(**asked)))
    except keys.KeysError as error:
        complain(error)


def _show(answer: "Answer", *, as_json: bool) -> None:
    if as_json:
        show_json(answer.data)
        return
    for line in answer.lines:
        console.print(line, markup=False)


def _show_rows(answer: "Answer", columns: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        show_json(answer.data)
        return
    assert isinstance(answer.data, list)  # noqa: S101 - for the type checker
    show_rows(answer.data, columns)

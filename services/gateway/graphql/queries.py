"""Root queries that are not tables (reference/people.md)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import strawberry
from strawberry.types import Info

from libs.contracts import states
from libs.contracts.agents import PROTOCOL
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.version import BUILD, RELEASED, VERSION
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql import account, bulk_requests, members, system_health
from services.gateway.graphql import log_search as searches
from services.gateway.graphql import schedule_preview as previews
from services.gateway.graphql.scalars import JSON
from services.gateway.keys import Listed
from services.gateway.page_headers import base_path_of
from services.gateway.permissions import KEYS_OF, SERVES_RUNS, needs
from services.gateway.store import USER
from services.gateway.vault import CannotOpenError

CORE_VERSION = "1.4.1"  # the newest generation of clients that this API speaks


@strawberry.type(name="reference_data")
@dataclass
class ReferenceData:
    """The state vocabulary."""

    state_hierarchy: JSON
    state_info: JSON


@strawberry.type(name="nats")
@dataclass
class Nats:
    """Where agents reach NATS, and the numbers of the agent protocol that are spoken there (libs/agent/PROTOCOL.md)."""

    url: str
    tls: bool
    protocols: list[int]


@strawberry.type(name="api")
@dataclass
class Api:
    """What answers here; `backend` SERVER is what clients and the web UI know.

    `public_url` is where people reach it (empty: wherever they came from), `base_path` what a proxy puts before paths.
    `nats` is null for those who may not serve runs, and where no address is set (HEADWATER_NATS_PUBLIC_URL).
    """

    backend: str
    mode: str
    version: str
    core_version: str
    release_timestamp: str
    public_url: str
    base_path: str
    build_id: str
    nats: Nats | None


@strawberry.type(name="flow_concurrency")
@dataclass
class FlowConcurrency:
    """How many flow runs with a label are at work, out of how many that may (null: any number), and how many wait."""

    label: str
    usage: int
    limit: int | None
    waiting: int


@strawberry.type(name="task_concurrency")
@dataclass
class TaskConcurrency:
    """The same of task runs with a tag."""

    name: str
    usage: int
    limit: int | None
    waiting: int


@strawberry.type
class Query:
    """Everything that is not a table."""

    @strawberry.field
    def hello(self) -> str:
        """A wave: agents ask it to see whether anybody is there."""
        return "👋"

    @strawberry.field
    def api(self, info: Info[Context, None]) -> Api:
        """The version of this API."""
        settings = info.context.shared.settings
        public_url = settings.public_url
        may_serve = info.context.identity.rights.may(SERVES_RUNS)
        return Api(
            backend="SERVER",
            mode="normal",
            version=VERSION,
            core_version=CORE_VERSION,
            release_timestamp=RELEASED,
            public_url=public_url,
            base_path=base_path_of(public_url),
            build_id=BUILD,
            nats=_nats(settings.nats_public_url) if may_serve else None,
        )

    @strawberry.field
    async def system_health(self, info: Info[Context, None]) -> system_health.SystemHealth:
        """How every service and engine is: for administrators in short, for everybody in full where keys are off."""
        return await system_health.read(info.context)

    @strawberry.field
    def reference_data(self) -> ReferenceData:
        """States, their families and colours."""
        return ReferenceData(
            state_hierarchy=JSON(states.hierarchy()),
            state_info=JSON({name: {"color": color} for name, color in states.COLORS.items()}),
        )

    @strawberry.field
    def auth_info(self, info: Info[Context, None]) -> account.AuthInfo:
        """Who the server takes the caller for."""
        return account.caller(info.context.identity)

    @strawberry.field
    def permissions_info(self, info: Info[Context, None]) -> account.PermissionsInfo:
        """What the caller may do, and what a role can name."""
        return account.permissions(info.context.identity)

    @strawberry.field
    async def auth_role(self, info: Info[Context, None]) -> list[account.AuthRole]:
        """The built-in roles with what they may do, and the tenant's own for those who may read roles."""
        context = info.context
        if not context.identity.rights.may(needs("read:role")):
            return account.roles((), context.tenant_id)
        own = await context.shared.store.custom_roles(context.tenant_id)
        return account.roles(own.values(), context.tenant_id)

    @strawberry.field
    async def auth_api_key(self, info: Info[Context, None]) -> list[account.AuthApiKey]:
        """The tenant's keys that are not revoked: the caller's own, and those of others for who may read them."""
        keys, people = await _keys(info.context)
        return [account.api_key(key, people) for key in keys]

    @strawberry.field
    async def api_token(self, info: Info[Context, None]) -> list[account.ApiToken]:
        """The same for Core <= 0.15."""
        keys, people = await _keys(info.context)
        return [account.api_token(key, people) for key in keys]

    @strawberry.field
    async def membership(self, info: Info[Context, None]) -> list[account.MembershipRow]:
        """The users of other tenants who may enter this one, for its administrators."""
        context = info.context
        store = context.shared.store
        tenants = await store.tenants([context.tenant_id])
        members = await store.memberships(context.tenant_id)
        people = await store.people(context.tenant_id, {m.membership.user_id for m in members})
        return [
            account.membership(member, tenants.get(context.tenant_id), people) for member in members
        ]

    @strawberry.field
    async def user_view_same_tenant(self, info: Info[Context, None]) -> list[members.UserView]:
        """The people and service accounts that the tenant has a name for, guests too, oldest first."""
        context = info.context
        return members.views(context.tenant_id, await members.office_of(context))

    @strawberry.field
    async def license_users(self, info: Info[Context, None]) -> list[members.LicenseUser]:
        """The people and service accounts of the tenant, for whoever counts them."""
        return members.license_users(info.context.tenant_id, await members.office_of(info.context))

    @strawberry.field
    async def membership_invitation(self, info: Info[Context, None]) -> list[members.InvitationRow]:
        """The tenant's invitations that give no more than the caller holds: whoever has one's id may accept it."""
        context = info.context
        store = context.shared.store
        found = await store.invitations(context.tenant_id)
        tenants = await store.tenants([context.tenant_id])
        people = await store.people(context.tenant_id)
        return [
            members.invitation(each, tenants.get(each.tenant_id), context.identity, people)
            for each in found
            if context.identity.rights.may(each.rights.permissions)
        ]

    @strawberry.field
    async def membership_invitation_by_pk(
        self, info: Info[Context, None], id: UUID
    ) -> members.InvitationRow | None:
        """The invitation of a link, of any tenant; null when it was used, ended or has run out."""
        context = info.context
        store = context.shared.store
        found = await store.invitation(id)
        if found is None:
            return None
        tenants = await store.tenants([found.tenant_id])
        is_ours = found.tenant_id == context.tenant_id
        people = await store.people(
            context.tenant_id, None if is_ours else [context.identity.user_id]
        )
        return members.invitation(found, tenants.get(found.tenant_id), context.identity, people)

    @strawberry.field
    async def user(self, info: Info[Context, None]) -> list[account.User]:
        """The caller and the tenants it may enter; a list of one, as clients expect."""
        identity = info.context.identity
        shared = info.context.shared
        others = await shared.tenants.all() if identity.any_tenant else identity.may_enter
        tenants = await shared.store.tenants([identity.tenant_id, *others])
        people = await shared.store.people(identity.tenant_id, [identity.user_id])
        return [account.user(identity, tenants, people)]

    @strawberry.field
    async def secret_names(self, info: Info[Context, None]) -> list[str]:
        """The names of the tenant's secrets; runs know the names of theirs, so an agent's key does not list them."""
        return await info.context.shared.store.secret_names(info.context.tenant_id)

    @strawberry.field
    async def secret_value(self, info: Info[Context, None], name: str) -> JSON | None:
        """A secret's value, for those who may run flows."""
        return await _secret(info.context, name)

    @strawberry.field
    async def secretValue(self, info: Info[Context, None], name: str) -> JSON | None:  # noqa: N802 - the wire's name
        """The same for Core 0.8-0.9."""
        return await _secret(info.context, name)

    @strawberry.field
    async def flow_concurrency(
        self, info: Info[Context, None], labels: list[str] | None = None
    ) -> list[FlowConcurrency]:
        """How full the limits of these labels are, in the order given; null asks for every label with a limit."""
        rows = await info.context.shared.store.flow_concurrency(info.context.tenant_id, labels)
        return [
            FlowConcurrency(label=row.name, usage=row.usage, limit=row.limit, waiting=row.waiting)
            for row in rows
        ]

    @strawberry.field
    async def task_concurrency(
        self, info: Info[Context, None], names: list[str] | None = None
    ) -> list[TaskConcurrency]:
        """The same for task tags."""
        rows = await info.context.shared.store.task_concurrency(info.context.tenant_id, names)
        return [
            TaskConcurrency(name=row.name, usage=row.usage, limit=row.limit, waiting=row.waiting)
            for row in rows
        ]

    @strawberry.field
    async def log_search(
        self,
        info: Info[Context, None],
        *,
        flow_run_id: UUID,
        text: str | None = None,
        level: str | None = None,
        logger: str | None = None,
        task_run_id: UUID | None = None,
        limit: int = 100,
        after: int = 0,
    ) -> searches.LogMatches:
        """The lines of a run that hold a text (in any case), with their positions; `level` may be several by commas."""
        asked = searches.Search(
            text=text,
            level=level,
            logger=logger,
            task_run_id=task_run_id,
            limit=limit,
            after=after,
        )
        return await searches.search(info.context, flow_run_id, asked)

    @strawberry.field
    async def schedule_preview(
        self,
        info: Info[Context, None],
        clocks: list[previews.PreviewClock],
        timezone: str | None = None,
        count: int = 10,
        after: datetime | None = None,
    ) -> previews.SchedulePreview:
        """The next instants of clocks as `set_flow_group_schedule` takes them, or why it would refuse them."""
        return await previews.preview(
            info.context, clocks, timezone=timezone, count=count, after=after
        )

    @strawberry.field
    async def bulk_request(
        self,
        info: Info[Context, None],
        *,
        request_key: str,
        after: int = -1,
        limit: int = 100,
        outcome: str | None = None,
    ) -> bulk_requests.BulkRequest | None:
        """A bulk request by its key, and its items after a position; null when the tenant has none of this key."""
        page = bulk_requests.Page(after=after, limit=limit, outcome=outcome)
        return await bulk_requests.read(info.context, request_key, page)

    @strawberry.field
    def authInfo(self) -> account.AuthInfoCamel:  # noqa: N802 - the wire's name
        """The scope alone, for agents of Core 0.8-0.9."""
        return account.AuthInfoCamel(apiTokenScope=account.AGENT_SCOPE)


async def _keys(context: Context) -> tuple[list[Listed], account.People]:
    store = context.shared.store
    held = context.identity.rights
    found = await store.keys(context.tenant_id)
    people = await store.people(context.tenant_id)
    keys = [
        each
        for each in found
        if each.key.user_id == context.identity.user_id
        or held.may(needs(f"read:{KEYS_OF[_account_type(each.key.user_id, people)]}"))
    ]
    named = {key.key.user_id for key in keys} | {key.created_by for key in keys if key.created_by}
    return keys, {user_id: people[user_id] for user_id in named if user_id in people}


def _account_type(user_id: UUID, people: account.People) -> str:
    return people[user_id].account_type if user_id in people else USER


async def _secret(context: Context, name: str) -> JSON | None:
    sealed = await context.shared.store.secret(context.tenant_id, name)
    if sealed is None:
        raise compat.error_of(Refused(code=Code.SECRET_NOT_FOUND))
    try:
        value = context.shared.vault.open(sealed, context.tenant_id, name)
    except CannotOpenError:
        raise compat.error_of(Refused(code=Code.SECRET_SEALED_ELSEWHERE)) from None
    await context.record("secret_value", object_id=None, info={"name": name})
    return JSON(value)


def _nats(url: str) -> Nats | None:
    if not url:
        return None
    return Nats(url=url, tls=url.startswith(("tls://", "wss://")), protocols=[PROTOCOL])

"""Root queries that are not tables (backend.md section 1.1)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import strawberry
from strawberry.types import Info

from libs.contracts import states
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway.context import Context
from services.gateway.graphql import compat
from services.gateway.graphql.scalars import JSON
from services.gateway.keys import Guard, Key
from services.gateway.vault import CannotOpenError

CORE_VERSION = "1.4.1"  # the newest generation of clients that this API speaks


@strawberry.type(name="reference_data")
@dataclass
class ReferenceData:
    """The state vocabulary."""

    state_hierarchy: JSON
    state_info: JSON


@strawberry.type(name="api")
@dataclass
class Api:
    """What answers here; `backend` SERVER is what clients and the web UI know."""

    backend: str
    mode: str
    version: str
    core_version: str
    release_timestamp: str | None


@strawberry.type(name="auth_info")
@dataclass
class AuthInfo:
    """The caller, as Cloud's clients ask: `api_token_scope` is RUNNER, which agents up to 0.15 insist on."""

    tenant_id: UUID | None
    user_id: UUID | None
    role: str
    api_token_scope: str


@strawberry.type(name="authInfo")
@dataclass
class AuthInfoCamel:
    """The same for Core 0.8-0.9."""

    apiTokenScope: str  # noqa: N815 - the wire's name


@strawberry.type(name="auth_api_key")
@dataclass
class AuthApiKey:
    """A key without its text."""

    id: UUID
    name: str
    expires_at: datetime | None
    role: str
    user_id: UUID
    default_tenant_id: UUID


@strawberry.type(name="api_token")
@dataclass
class ApiToken:
    """A token of Core <= 0.15 without its text."""

    id: UUID
    name: str


@strawberry.type(name="membership")
@dataclass
class MembershipRow:
    """A user of another tenant who may enter this one."""

    id: UUID
    user_id: UUID
    home_tenant_id: UUID
    role: str


@strawberry.type(name="user_membership")
@dataclass
class Membership:
    """The tenant that a user works in."""

    tenant_id: UUID
    tenant: "MembershipTenant"


@strawberry.type(name="membership_tenant")
@dataclass
class MembershipTenant:
    """What flow URLs are made of."""

    id: UUID
    slug: str
    name: str


@strawberry.type(name="user")
@dataclass
class User:
    """The caller as Core <= 0.15 asks for it."""

    id: UUID | None
    default_membership: Membership | None


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


VERSION = "0.1.0"
AGENT_SCOPE = "RUNNER"


@strawberry.type
class Query:
    """Everything that is not a table."""

    @strawberry.field
    def hello(self) -> str:
        """A wave: agents ask it to see whether anybody is there."""
        return "👋"

    @strawberry.field
    def api(self) -> Api:
        """The version of this API."""
        return Api(
            backend="SERVER",
            mode="normal",
            version=VERSION,
            core_version=CORE_VERSION,
            release_timestamp=None,
        )

    @strawberry.field
    def reference_data(self) -> ReferenceData:
        """States, their families and colours."""
        return ReferenceData(
            state_hierarchy=JSON(states.hierarchy()),
            state_info=JSON({name: {"color": color} for name, color in states.COLORS.items()}),
        )

    @strawberry.field
    def auth_info(self, info: Info[Context, None]) -> AuthInfo:
        """Who the server takes the caller for."""
        identity = info.context.identity
        return AuthInfo(
            tenant_id=identity.tenant_id,
            user_id=identity.user_id,
            role=identity.role.value,
            api_token_scope=AGENT_SCOPE,
        )

    @strawberry.field
    async def auth_api_key(self, info: Info[Context, None]) -> list[AuthApiKey]:
        """The tenant's keys that are not revoked, for its administrators."""
        return [
            AuthApiKey(
                id=key.id,
                name=key.name,
                expires_at=key.expires_at,
                role=key.role.value,
                user_id=key.user_id,
                default_tenant_id=key.tenant_id,
            )
            for key in await _keys(info.context)
        ]

    @strawberry.field
    async def api_token(self, info: Info[Context, None]) -> list[ApiToken]:
        """The same for Core <= 0.15."""
        return [ApiToken(id=key.id, name=key.name) for key in await _keys(info.context)]

    @strawberry.field
    async def membership(self, info: Info[Context, None]) -> list[MembershipRow]:
        """The users of other tenants who may enter this one, for its administrators."""
        info.context.require(Guard.ADMIN)
        return [
            MembershipRow(
                id=membership_id,
                user_id=member.user_id,
                home_tenant_id=member.home_tenant_id,
                role=member.role.value,
            )
            for membership_id, member in await info.context.shared.store.memberships(
                info.context.tenant_id
            )
        ]

    @strawberry.field
    async def user(self, info: Info[Context, None]) -> list[User]:
        """The caller and the tenant it works in; a list of one, as clients expect."""
        identity = info.context.identity
        tenant = await info.context.shared.store.tenant(identity.tenant_id)
        membership = tenant and Membership(
            tenant_id=identity.tenant_id,
            tenant=MembershipTenant(id=identity.tenant_id, slug=tenant[0], name=tenant[1]),
        )
        return [User(id=identity.user_id, default_membership=membership or None)]

    @strawberry.field
    async def secret_names(self, info: Info[Context, None]) -> list[str]:
        """The names of the tenant's secrets."""
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
    def authInfo(self) -> AuthInfoCamel:  # noqa: N802 - the wire's name
        """The scope alone, for agents of Core 0.8-0.9."""
        return AuthInfoCamel(apiTokenScope=AGENT_SCOPE)


async def _keys(context: Context) -> list[Key]:
    context.require(Guard.ADMIN)
    return await context.shared.store.keys(context.tenant_id)


async def _secret(context: Context, name: str) -> JSON | None:
    context.require(Guard.RUN)
    sealed = await context.shared.store.secret(context.tenant_id, name)
    if sealed is None:
        raise compat.error_of(Refused(code=Code.SECRET_NOT_FOUND))
    try:
        return JSON(context.shared.vault.open(sealed, context.tenant_id, name))
    except CannotOpenError:
        raise compat.error_of(Refused(code=Code.SECRET_SEALED_ELSEWHERE)) from None

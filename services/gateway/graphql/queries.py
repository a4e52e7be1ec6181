"""Root queries that are not tables (backend.md section 1.1)."""

from dataclasses import dataclass
from uuid import UUID

import strawberry
from strawberry.types import Info

from libs.contracts import states
from services.gateway.context import Context
from services.gateway.graphql.scalars import JSON

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
            role=identity.role,
            api_token_scope=AGENT_SCOPE,
        )

    @strawberry.field
    def authInfo(self) -> AuthInfoCamel:  # noqa: N802 - the wire's name
        """The scope alone, for agents of Core 0.8-0.9."""
        return AuthInfoCamel(apiTokenScope=AGENT_SCOPE)

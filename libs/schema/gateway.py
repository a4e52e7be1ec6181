"""Tables that the gateway owns: tenants, keys, secrets, key-values, hooks and messages, audit."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from libs.schema.base import (
    Shown,
    ShownTable,
    Stamped,
    document,
    flag,
    key,
    maybe_document,
    maybe_timestamptz,
    timestamptz,
)

SCHEMA = "gateway"


class Tenant(ShownTable, table=True):
    """A tenant: every other row belongs to exactly one.

    `settings.work_queue_paused` is true while no run is given to agents; `work_queue_resumed` is when that last ended.
    """

    __tablename__ = "tenant"
    __table_args__ = (UniqueConstraint("slug"), {"schema": SCHEMA})

    name: Shown[str]
    slug: Shown[str]
    info: Shown[dict[str, Any] | None] = maybe_document()
    settings: Shown[dict[str, Any]] = document("{}")
    work_queue_resumed: datetime | None = maybe_timestamptz()


class DeletedTenant(SQLModel, table=True):
    """A deleted tenant: by this row the services delete their own rows, also those that arrive later."""

    __tablename__ = "deleted_tenant"
    __table_args__ = (Index(None, "deleted"), {"schema": SCHEMA})

    id: UUID = key()
    deleted: datetime = timestamptz(default_now=True)


class CustomRole(Stamped, table=True):
    """A role that a tenant made: its name, and the permissions that its holders have.

    A key, account, membership or invitation refers to it with its tenant, so that none has a role of another one, and
    a role that is used cannot be deleted.
    """

    __tablename__ = "role"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name"),
        UniqueConstraint("id", "tenant_id"),
        ForeignKeyConstraint(["tenant_id"], ["gateway.tenant.id"], ondelete="CASCADE"),
        {"schema": SCHEMA},
    )

    tenant_id: UUID
    name: str
    permissions: list[str] = document()


def _custom_role() -> ForeignKeyConstraint:
    """Of `role_id`. Beside it `role` is read_only: the most that a release without custom roles would give."""
    return ForeignKeyConstraint(
        ["role_id", "tenant_id"], ["gateway.role.id", "gateway.role.tenant_id"]
    )


class ApiKey(Stamped, table=True):
    """An API key; only its keyed hash is stored.

    `role` is one of tenant_admin, user, read_only, agent; `role_id` is a custom role. `made_with` is the key that it
    was made with: keys that a guest made end with the guest's membership.
    """

    __tablename__ = "api_key"
    __table_args__ = (
        UniqueConstraint("hash"), Index(None, "tenant_id"), Index(None, "made_with"), _custom_role(),
        {"schema": SCHEMA},
    )  # fmt: skip

    tenant_id: UUID
    user_id: UUID
    name: str
    role: str
    role_id: UUID | None = None
    hash: bytes
    created_by: UUID | None = None
    made_with: UUID | None = None
    expires_at: datetime | None = maybe_timestamptz()
    revoked_at: datetime | None = maybe_timestamptz()


class Person(SQLModel, table=True):
    """What a tenant calls somebody whose id stands in `created_by`, `actor` and `user_id`.

    `account_type` is USER or SERVICE. Names outlive keys and accounts (`deleted_at`): histories show them. A guest has
    a row of the tenant that lets them in, so that no tenant reads another one's names.

    `role` or `role_id` is the most that any of their keys may do in the tenant; without one each key has its own role.
    `email` is the address that they were invited by.
    """

    __tablename__ = "person"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        CheckConstraint("account_type IN ('USER', 'SERVICE')", name="account_type_is_known"),
        _custom_role(),
        {"schema": SCHEMA},
    )

    tenant_id: UUID
    id: UUID
    created: datetime = timestamptz(default_now=True)
    updated: datetime = timestamptz(default_now=True)
    name: str
    account_type: str = Field(default="USER", sa_column_kwargs={"server_default": text("'USER'")})
    deleted_at: datetime | None = maybe_timestamptz()
    role: str | None = None
    role_id: UUID | None = None
    email: str | None = None


class EndedSession(SQLModel, table=True):
    """A browser's session that was logged out, by its serial number, until it would have ended by itself."""

    __tablename__ = "ended_session"
    __table_args__ = (Index(None, "expires_at"), {"schema": SCHEMA})

    serial: bytes = Field(primary_key=True)
    tenant_id: UUID
    expires_at: datetime = timestamptz()


class LoginIdentity(SQLModel, table=True):
    """Somebody of an OpenID Connect provider, and the person that they are in a tenant.

    `key_id` is the key that their sessions name; nobody has its text. `email` is the one of the last log-in, to read:
    nobody is found by it.
    """

    __tablename__ = "login_identity"
    __table_args__ = (
        PrimaryKeyConstraint("issuer", "subject"), Index(None, "tenant_id", "user_id"), {"schema": SCHEMA},
    )  # fmt: skip

    issuer: str
    subject: str
    tenant_id: UUID
    user_id: UUID
    key_id: UUID
    email: str
    created: datetime = timestamptz(default_now=True)
    last_log_in: datetime = timestamptz(default_now=True)


class Membership(Stamped, table=True):
    """Another tenant that a user may enter with the keys of the home tenant; `role` is at most what they may do there.

    A user is known by an id that the home tenant's administrators give to keys, so only both ids together name a
    person.
    """

    __tablename__ = "membership"
    __table_args__ = (
        UniqueConstraint("user_id", "home_tenant_id", "tenant_id"),
        ForeignKeyConstraint(["tenant_id"], ["gateway.tenant.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["home_tenant_id"], ["gateway.tenant.id"], ondelete="CASCADE"),
        Index(None, "tenant_id"),
        Index(None, "home_tenant_id"),
        _custom_role(),
        {"schema": SCHEMA},
    )

    tenant_id: UUID
    user_id: UUID
    home_tenant_id: UUID
    role: str
    role_id: UUID | None = None


class MembershipInvitation(Stamped, table=True):
    """An invitation of somebody with an address. Its id is random, and lets in whoever shows it first: it is a secret
    of those who invite.
    """

    __tablename__ = "membership_invitation"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["gateway.tenant.id"], ondelete="CASCADE"),
        Index(
            "membership_invitation_tenant_id_email_idx", "tenant_id", text("lower(email)"), unique=True
        ),
        _custom_role(),
        {"schema": SCHEMA},
    )  # fmt: skip

    tenant_id: UUID
    email: str
    role: str
    role_id: UUID | None = None
    created_by: UUID | None = None


class KeyValue(ShownTable, table=True):
    """One pair of the key-value store of Core 0.14-1.4 (gateway/reference/people.md)."""

    __tablename__ = "key_value"
    __table_args__ = (UniqueConstraint("tenant_id", "key"), {"schema": SCHEMA})

    tenant_id: Shown[UUID]
    key: Shown[str]
    value: Shown[Any] = maybe_document()


class Secret(Stamped, table=True):
    """A secret; `value` is sealed (never in clear), so it is not a GraphQL table."""

    __tablename__ = "secret"
    __table_args__ = (UniqueConstraint("tenant_id", "name"), {"schema": SCHEMA})

    tenant_id: UUID
    name: str
    value: bytes


class CloudHook(ShownTable, table=True):
    """A hook that is called when runs change state (gateway/reference/people.md)."""

    __tablename__ = "cloud_hook"
    __table_args__ = (Index(None, "tenant_id"), {"schema": SCHEMA})

    tenant_id: Shown[UUID]
    name: Shown[str | None] = None
    states: Shown[list[str] | None] = maybe_document()
    type: Shown[str]
    config: Shown[dict[str, Any]] = document("{}")
    active: Shown[bool] = flag(default=True)
    version_group_id: Shown[str | None] = None


class FormerCloudHook(SQLModel, table=True):
    """What a deleted cloud hook had, for an hour (`services/gateway/cloud_hooks.py`)."""

    __tablename__ = "former_cloud_hook"
    __table_args__ = (Index(None, "tenant_id"), Index(None, "deleted"), {"schema": SCHEMA})

    id: UUID = key()
    tenant_id: UUID
    type: str
    config: dict[str, Any] = document()
    deleted: datetime = timestamptz(default_now=True)


class Message(ShownTable, table=True):
    """A notification for the people of a tenant."""

    __tablename__ = "message"
    __table_args__ = (Index(None, "tenant_id", "created"), {"schema": SCHEMA})

    tenant_id: Shown[UUID]
    read: Shown[bool] = flag(default=False)
    type: Shown[str | None] = None
    text: Shown[str | None] = None
    content: Shown[dict[str, Any]] = document("{}")


class AuditLog(SQLModel, table=True):
    """The audit: changes, opened secrets and refusals, each with its key; append-only, also for the gateway's role."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("audit_log_tenant_timestamp_idx", "tenant_id", text("timestamp DESC")), {"schema": SCHEMA},
    )  # fmt: skip

    id: Shown[UUID] = key()
    tenant_id: Shown[UUID]
    timestamp: Shown[datetime] = timestamptz(default_now=True)
    actor: Shown[str]
    user_id: Shown[UUID | None] = None
    message: Shown[str]
    object_id: Shown[UUID | None] = None
    object_table: Shown[str | None] = None
    info: Shown[dict[str, Any] | None] = maybe_document()


class BulkRequest(Stamped, table=True):
    """An action on many runs or flows, by the key that its client chose. `worker` is the gateway that has it."""

    __tablename__ = "bulk_request"
    __table_args__ = (
        UniqueConstraint("tenant_id", "request_key"), Index(None, "finished_at"), {"schema": SCHEMA},
    )  # fmt: skip

    tenant_id: UUID
    request_key: str
    action: str
    created_by: UUID | None = None
    arguments: dict[str, Any] = document("{}")
    total: int
    worker: UUID | None = None
    held_until: datetime = timestamptz(default_now=True)
    finished_at: datetime | None = maybe_timestamptz()


class BulkItem(SQLModel, table=True):
    """One item of it: what was seen when the request was made, and the result (None: none yet)."""

    __tablename__ = "bulk_item"
    __table_args__ = (
        PrimaryKeyConstraint("request_id", "position"),
        ForeignKeyConstraint(["request_id"], ["gateway.bulk_request.id"], ondelete="CASCADE"),
        {"schema": SCHEMA},
    )

    request_id: UUID
    position: int
    tenant_id: UUID
    object_id: UUID
    seen_version: int
    seen_state: str
    outcome: str | None = None
    reason: str | None = None
    state: str | None = None
    version: int | None = None

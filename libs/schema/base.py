"""What every table shares: the metadata, naming of constraints, and column shorthands.

Ids are UUIDv7 made by the writing service, so no table has a default for its key. `created` and `updated` are set
by the writing statement; the defaults below only serve a person at a psql prompt.
"""

from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from sqlalchemy import MetaData, Table, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlmodel import Field, SQLModel
from sqlmodel.main import default_registry

from libs.contracts.services import SERVICES

OWNERS: tuple[str, ...] = SERVICES
"""The services that own tables; each is a PostgreSQL schema and a login role of the same name."""

metadata: MetaData = SQLModel.metadata
metadata.naming_convention = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
}

TIMESTAMPTZ = TIMESTAMP(timezone=True)

T = TypeVar("T")


class _InGraphQL:
    """Marks a column that GraphQL shows."""


IN_GRAPHQL = _InGraphQL()
Shown = Annotated[T, IN_GRAPHQL]
"""The type of a column that GraphQL shows: `name: Shown[str]`. Every other column is private, also one that is new."""


def shown_columns(table: Table) -> frozenset[str]:
    """The columns of this table that GraphQL shows; most tables have none."""
    return frozenset(
        name
        for mapper in default_registry.mappers
        if mapper.local_table is table
        for name, field in mapper.class_.model_fields.items()
        if IN_GRAPHQL in field.metadata
    )


def key() -> Any:
    """The primary key: a UUIDv7 given by the writer."""
    return Field(primary_key=True, sa_type=PG_UUID(as_uuid=True))


def timestamptz(*, default_now: bool = False, index: bool = False) -> Any:
    """A NOT NULL point in time, with time zone."""
    if default_now:
        return Field(
            sa_type=TIMESTAMPTZ, nullable=False, index=index,
            sa_column_kwargs={"server_default": text("now()")},
        )  # fmt: skip
    return Field(sa_type=TIMESTAMPTZ, nullable=False, index=index)


def maybe_timestamptz() -> Any:
    """A point in time that may be unknown."""
    return Field(default=None, sa_type=TIMESTAMPTZ, nullable=True)


def document(default: str | None = None) -> Any:
    """A NOT NULL jsonb column; `default` is its JSON text."""
    kwargs = {"server_default": text(f"'{default}'::jsonb")} if default is not None else {}
    return Field(sa_type=JSONB(none_as_null=True), nullable=False, sa_column_kwargs=kwargs)


def maybe_document() -> Any:
    """A jsonb column where NULL means "not given"."""
    return Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)


def flag(*, default: bool) -> Any:
    """A NOT NULL boolean."""
    return Field(
        nullable=False, sa_column_kwargs={"server_default": text("true" if default else "false")}
    )


def number(default: int) -> Any:
    """A NOT NULL integer with a default."""
    return Field(nullable=False, sa_column_kwargs={"server_default": text(str(default))})


class Stamped(SQLModel):
    """The key, and when the row was made and last changed."""

    id: UUID = key()
    created: datetime = timestamptz(default_now=True)
    updated: datetime = timestamptz(default_now=True)


class ShownTable(SQLModel):
    """The same for a table that GraphQL shows: clients read these columns of every one."""

    id: Shown[UUID] = key()
    created: Shown[datetime] = timestamptz(default_now=True)
    updated: Shown[datetime] = timestamptz(default_now=True)

"""Bring a PostgreSQL to the present schema: database, roles, migrations, grants. `python -m deploy.migrate`.

Idempotent, and safe to run by several at once: an advisory lock lets one through at a time. Roles, migrations, grants
and the stamp commit together, so a migrator that is killed leaves the database as it was. The stamp (a comment on the
database) names what was applied; when it is the present one there is nothing to do, and nothing heavy is imported.

Needs the owner's URL (`HEADWATER_POSTGRES_URL`; a role that may create roles and, if it is not there yet, the database)
and a password for each service's role (`HEADWATER_ROLE_PASSWORDS`, a JSON object: {"runs": "...", "reader": "..."}).
"""

import asyncio
import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.engines import EngineError
from deploy.say import complain

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = "headwater.migrate"
_POLL = 0.2  # seconds between two tries to reach PostgreSQL


class MigrateSettings(BaseSettings):
    """What migrating needs."""

    model_config = SettingsConfigDict(env_prefix="HEADWATER_", frozen=True, extra="ignore")

    postgres_url: str = Field(description="postgresql://owner:password@host:port/database")
    role_passwords: dict[str, str] = Field(
        description="role (without its prefix) to password, as JSON"
    )
    migrate_wait: timedelta = Field(
        default=timedelta(seconds=60), description="how long PostgreSQL may take to come up"
    )


async def migrate(
    url: str, passwords: Mapping[str, str], *, wait: timedelta = timedelta(seconds=60)
) -> bool:
    """Apply what is missing; whether anything was. Raises `EngineError` when it cannot."""
    stamp = _stamp(passwords)
    connection = await _connect_or_create(url, wait=wait)
    try:
        if await _applied_stamp(connection) == stamp:
            return False
    finally:
        await connection.close()
    await _apply(url, passwords, stamp)
    return True


def role_url(url: str, *, role: str, password: str) -> str:
    """The URL of a service's role on the same database as the owner's `url`; `role` without its prefix."""
    from libs.schema.roles import ROLE_PREFIX  # noqa: PLC0415 - imports every table

    return with_user(url, user=ROLE_PREFIX + role, password=password)


def with_user(url: str, *, user: str, password: str) -> str:
    """The same database for another user."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}"))


def with_database(url: str, database: str) -> str:
    """The same server and user, another database."""
    return urlunsplit(urlsplit(url)._replace(path="/" + database))


def _stamp(passwords: Mapping[str, str]) -> str:
    """A digest of everything that `_apply` brings about; the passwords are part of it, so that they can be changed."""
    from libs.schema.roles import ROLES, grants  # noqa: PLC0415 - imports every table

    digest = hashlib.sha256()
    for file in sorted((MIGRATIONS / "versions").glob("*.*")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    digest.update(repr((ROLES, grants(), sorted(passwords.items()))).encode())
    return f"headwater {digest.hexdigest()[:32]}"


async def _connect_or_create(url: str, *, wait: timedelta) -> "asyncpg.Connection[asyncpg.Record]":
    """Wait for PostgreSQL, and make the database if it is missing."""
    deadline = asyncio.get_running_loop().time() + wait.total_seconds()
    while True:
        try:
            return await asyncpg.connect(url, timeout=5)
        except asyncpg.InvalidCatalogNameError:
            await _create_database(url)
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
            msg = f"PostgreSQL at {_place(url)} refuses the user or password of HEADWATER_POSTGRES_URL; correct them."
            raise EngineError(msg) from None
        except (OSError, asyncpg.CannotConnectNowError, TimeoutError) as error:
            if asyncio.get_running_loop().time() > deadline:
                msg = f"PostgreSQL at {_place(url)} does not answer ({error}); start it or set HEADWATER_POSTGRES_URL."
                raise EngineError(msg) from None
            await asyncio.sleep(_POLL)


async def _create_database(url: str) -> None:
    name = urlsplit(url).path.lstrip("/")
    connection = await asyncpg.connect(with_database(url, "postgres"), timeout=5)
    try:
        await connection.execute(f"CREATE DATABASE {_quoted(name)} TEMPLATE template0")
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        pass  # another migrator was faster
    except asyncpg.InsufficientPrivilegeError:
        msg = f"The database {name} does not exist and this role may not create it; create it, then migrate again."
        raise EngineError(msg) from None
    finally:
        await connection.close()


async def _applied_stamp(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    found: str | None = await connection.fetchval(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
    )
    return found


async def _apply(url: str, passwords: Mapping[str, str], stamp: str) -> None:
    # Imported here: half a second that a start with nothing to migrate does not pay.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy import Connection, text  # noqa: PLC0415
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    from libs.schema.roles import grants  # noqa: PLC0415

    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    # asyncpg takes a dialect's URL apart itself, so credentials with escapes reach it as they were written.
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": _LOCK}
            )
            for statement in _role_statements(passwords):
                await connection.exec_driver_sql(statement)
            await connection.run_sync(upgrade)
            for statement in grants():
                await connection.exec_driver_sql(statement)
            name = urlsplit(url).path.lstrip("/")
            await connection.exec_driver_sql(f"COMMENT ON DATABASE {_quoted(name)} IS '{stamp}'")
    finally:
        await engine.dispose()


def _role_statements(passwords: Mapping[str, str]) -> list[str]:
    """Make or renew every login role. Roles belong to the whole server, so `CREATE` must stand a second database."""
    from libs.schema.roles import ROLE_PREFIX, ROLES  # noqa: PLC0415

    statements: list[str] = []
    for role in ROLES:
        password = passwords.get(role.name.removeprefix(ROLE_PREFIX))
        if not password:
            msg = f"There is no password for the role {role.name}; add it to HEADWATER_ROLE_PASSWORDS."
            raise EngineError(msg)
        statements += [
            f"DO $$ BEGIN CREATE ROLE {role.name} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            f"ALTER ROLE {role.name} LOGIN PASSWORD '{scram_verifier(password, salt=os.urandom(16))}'",
            *(
                f"ALTER ROLE {role.name} SET {name} = '{value}'"
                for name, value in role.settings.items()
            ),
        ]
    return statements


def scram_verifier(password: str, *, salt: bytes, iterations: int = 4096) -> str:
    """What PostgreSQL stores for a password (RFC 5802), made here so that no password appears in its log."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (
        base64.b64encode(part).decode() for part in (salt, stored_key, server_key)
    )
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _place(url: str) -> str:
    """Host and port, without the password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def main() -> None:
    """Migrate what the environment names."""
    try:
        settings = MigrateSettings()
    except ValidationError as error:
        complain(error)
    try:
        changed = asyncio.run(
            migrate(settings.postgres_url, settings.role_passwords, wait=settings.migrate_wait)
        )
    except (EngineError, asyncpg.PostgresError) as error:
        complain(error)
    print("migrated" if changed else "already at the present schema")  # noqa: T201 - the answer of a command


if __name__ == "__main__":
    main()

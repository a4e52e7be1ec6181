"""Bring a PostgreSQL to the current schema: database, roles, migrations, grants. `python -m deploy.migrate`.

Idempotent, and safe to run by several at once: an advisory lock admits one at a time. Roles, migrations, grants and the
stamp commit together, so a killed migrator leaves the database unchanged. The stamp (a comment on the database, and one
on each role) identifies what was applied; when it is current there is nothing to do, and nothing heavy is imported. A
restored backup has the database's comment but not the roles: they are made then.

A migration waits for a table's lock for three seconds only, because later requests for that table wait behind it. Then
it is rolled back, the services go on, and the migrator tries again. It also tries again after a failover.

Needs the owner's URL (`HEADWATER_POSTGRES_URL`; a role that may create roles and, if it does not exist yet, the
database) and a password for each service's role (`HEADWATER_ROLE_PASSWORDS`, a JSON object: {"runs": "...", "reader":
"..."}).
"""

import asyncio
import base64
import hashlib
import hmac
import os
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.engines import EngineError
from deploy.say import complain
from libs.runtime.postgres_hosts import connect

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = "headwater.migrate"
_POLL = 0.2  # seconds between two tries to reach PostgreSQL
_LOCK_TIMEOUT = "3s"  # how long a waiting migration may delay others
_PAUSE, _LONGEST_PAUSE = 1.0, 15.0  # seconds between two tries to migrate

_AWAY = (
    OSError,
    asyncpg.TargetServerAttributeNotMatched,  # hosts answer, and none is the primary: an election
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
_PASSING = (
    *_AWAY,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.ReadOnlySQLTransactionError,
    # A connection that broke in mid-command; the next try sees the result.
    asyncpg.InternalClientError,
)


class MigrateSettings(BaseSettings):
    """The settings of the migrator."""

    model_config = SettingsConfigDict(env_prefix="HEADWATER_", frozen=True, extra="ignore")

    postgres_url: str = Field(description="postgresql://owner:password@host:port/database")
    role_passwords: dict[str, str] = Field(
        description="role (without its prefix) to password, as JSON"
    )
    migrate_wait: timedelta = Field(
        default=timedelta(seconds=60), description="how long PostgreSQL may take to come up"
    )
    migrate_lock_wait: timedelta = Field(
        default=timedelta(minutes=10),
        description="how long to try again while others hold the locks that a migration needs",
    )


async def migrate(
    url: str,
    passwords: Mapping[str, str],
    *,
    wait: timedelta = timedelta(seconds=60),
    lock_wait: timedelta = timedelta(minutes=10),
    tell: Callable[[str], None] = lambda _: None,
) -> bool:
    """Apply what is missing; returns whether anything was. Raises `EngineError` when it cannot; `tell` is called with
    the progress."""
    connection = await connect_or_create(url, wait=wait)
    try:
        if await _is_present(connection, passwords):
            return False
    finally:
        await connection.close()
    clock = asyncio.get_running_loop().time
    deadline = clock() + lock_wait.total_seconds()
    pause = _PAUSE
    while True:
        try:
            return await _apply(url, passwords, tell)
        except Exception as error:
            cause = _cause(error)
            if not _passes(cause):
                if isinstance(cause, asyncpg.PostgresError):
                    msg = f"The migration failed and nothing was changed: {cause}"
                    raise EngineError(msg) from error
                raise
            why = await _why(url, cause)
            if clock() + pause > deadline:
                msg = f"Nothing was changed: {why}. Migrate again when that is over."
                raise EngineError(msg) from None
        tell(f"{why}; nothing was changed, and it is tried again in {pause:g} s")
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def role_url(url: str, *, role: str, password: str) -> str:
    """The URL of a service's role on the same database as the owner's `url`; `role` without its prefix."""
    from libs.schema.roles import ROLE_PREFIX  # noqa: PLC0415 - imports every table

    return with_user(url, user=ROLE_PREFIX + role, password=password)


def with_user(url: str, *, user: str, password: str) -> str:
    """The same database for another user."""
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{address}"))


def with_database(url: str, database: str) -> str:
    """The same server and user, another database."""
    return urlunsplit(urlsplit(url)._replace(path="/" + database))


def _stamp(passwords: Mapping[str, str]) -> str:
    """A digest of everything that `_apply` does; the passwords are a part of it, so that they can be changed."""
    from libs.schema.roles import grants  # noqa: PLC0415 - imports every table

    digest = hashlib.sha256()
    for file in sorted((MIGRATIONS / "versions").glob("*.*")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    digest.update(repr((grants(), _role_stamp(passwords))).encode())
    return f"headwater {digest.hexdigest()[:32]}"


def _role_stamp(passwords: Mapping[str, str]) -> str:
    """A digest of the roles, which belong to the server and not to the database: they are not in a backup."""
    from libs.schema.roles import ROLES  # noqa: PLC0415 - imports every table

    digest = hashlib.sha256(repr((ROLES, sorted(passwords.items()))).encode())
    return f"headwater {digest.hexdigest()[:32]}"


async def connect_or_create(url: str, *, wait: timedelta) -> "asyncpg.Connection[asyncpg.Record]":
    """Wait for PostgreSQL, and make the database if it is missing."""
    deadline = asyncio.get_running_loop().time() + wait.total_seconds()
    while True:
        try:
            return await connect(url, timeout=5)
        except asyncpg.InvalidCatalogNameError:
            await _create_database(url)
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
            msg = f"PostgreSQL at {_address(url)} refuses the user or password of HEADWATER_POSTGRES_URL; correct them."
            raise EngineError(msg) from None
        except _AWAY as error:
            if asyncio.get_running_loop().time() > deadline:
                raise EngineError(_absence(url, error)) from None
            await asyncio.sleep(_POLL)


def _absence(url: str, error: Exception) -> str:
    """Why there is no server to migrate."""
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return f"No PostgreSQL at {_address(url)} is the primary; promote one or correct HEADWATER_POSTGRES_URL."
    return f"PostgreSQL at {_address(url)} does not answer ({error}); start it or set HEADWATER_POSTGRES_URL."


def _cause(error: BaseException) -> BaseException:
    """The driver's error inside SQLAlchemy's."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _passes(error: BaseException) -> bool:
    """Whether a retry may soon succeed."""
    # Two databases on one server, migrated at once, alter the same roles.
    return isinstance(error, _PASSING) or "tuple concurrently updated" in str(error)


async def _why(url: str, error: BaseException) -> str:
    """Why the migration has to wait; for a lock, with the longest running session."""
    if not isinstance(error, asyncpg.LockNotAvailableError):
        return f"PostgreSQL broke it off ({error or type(error).__name__})"
    try:
        connection = await connect(url, timeout=5)
    except (OSError, asyncpg.PostgresError, asyncpg.InternalClientError):
        return "A lock that the migration needs is held"
    try:
        held: str | None = await connection.fetchval(
            "SELECT format('process %s (%s) has been in a transaction for %s s', pid,"
            " coalesce(nullif(application_name, ''), usename), extract(epoch FROM now() - xact_start)::int)"
            " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND xact_start IS NOT NULL AND backend_type = 'client backend' ORDER BY xact_start LIMIT 1"
        )
    finally:
        await connection.close()
    return "A lock that the migration needs is held" + (f": {held}" if held else "")


async def _create_database(url: str) -> None:
    name = urlsplit(url).path.lstrip("/")
    connection = await connect(with_database(url, "postgres"), timeout=5)
    try:
        await connection.execute(f"CREATE DATABASE {_quoted(name)} TEMPLATE template0")
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        pass  # another migrator was faster
    except asyncpg.InsufficientPrivilegeError:
        msg = f"The database {name} does not exist and this role may not create it; create it, then migrate again."
        raise EngineError(msg) from None
    finally:
        await connection.close()


async def _is_present(
    connection: "asyncpg.Connection[asyncpg.Record]", passwords: Mapping[str, str]
) -> bool:
    """Whether the stamps of the database and of every role are current."""
    from libs.schema.roles import ROLES  # noqa: PLC0415 - imports every table

    found: bool | None = await connection.fetchval(
        _IS_PRESENT, _stamp(passwords), [role.name for role in ROLES], _role_stamp(passwords)
    )
    return bool(found)


_IS_PRESENT = """
SELECT shobj_description(oid, 'pg_database') = $1
   AND (SELECT count(*) FROM pg_roles r
         WHERE r.rolname = ANY ($2::text[]) AND r.rolcanlogin
           AND shobj_description(r.oid, 'pg_authid') = $3) = cardinality($2::text[])
  FROM pg_database WHERE datname = current_database()
"""


async def _apply(url: str, passwords: Mapping[str, str], tell: Callable[[str], None]) -> bool:
    """One try in one transaction; false if another migrator has done it meanwhile."""
    # Imported here: it takes half a second, only needed if there is something to migrate.
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
        config.attributes["tell"] = tell
        command.upgrade(config, "head")

    # asyncpg itself parses the URL, so escaped credentials reach it unchanged.
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: connect(url), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            name = {"name": _LOCK}
            turn = "SELECT {}(hashtext(:name))"
            if not await connection.scalar(text(turn.format("pg_try_advisory_xact_lock")), name):
                tell("another migrator is at work; waiting for it")
                await connection.execute(text(turn.format("pg_advisory_xact_lock")), name)
            driver = (await connection.get_raw_connection()).driver_connection
            if driver is not None and await _is_present(driver, passwords):
                return False
            await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            for statement in _role_statements(passwords):
                await connection.exec_driver_sql(statement)
            await connection.run_sync(upgrade)
            for statement in grants():
                await connection.exec_driver_sql(statement)
            database = _quoted(urlsplit(url).path.lstrip("/"))
            await connection.exec_driver_sql(
                f"COMMENT ON DATABASE {database} IS '{_stamp(passwords)}'"
            )
    finally:
        await engine.dispose()
    return True


def _role_statements(passwords: Mapping[str, str]) -> list[str]:
    """Make or renew every login role. Roles belong to the whole server, so they may exist already for a second
    database."""
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
            f"COMMENT ON ROLE {role.name} IS '{_role_stamp(passwords)}'",
        ]
    return statements


def scram_verifier(password: str, *, salt: bytes, iterations: int = 4096) -> str:
    """PostgreSQL's stored form of a password (RFC 5802), made here so that no password appears in its log."""
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


def _address(url: str) -> str:
    """Host and port, without the password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _tell(progress: str) -> None:
    sys.stderr.write(f"headwater: {progress}\n")


def main() -> None:
    """Migrate what the environment names."""
    try:
        settings = MigrateSettings()
    except ValidationError as error:
        complain(error)
    try:
        changed = asyncio.run(
            migrate(
                settings.postgres_url,
                settings.role_passwords,
                wait=settings.migrate_wait,
                lock_wait=settings.migrate_lock_wait,
                tell=_tell,
            )
        )
    except (EngineError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        complain(error)
    print("migrated" if changed else "already at the present schema")  # noqa: T201 - the answer of a command


if __name__ == "__main__":
    main()

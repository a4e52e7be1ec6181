"""Artifacts and names: the small writes that touch no state."""

from datetime import datetime
from uuid import UUID

from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.contracts.runs import RunKind, UpdateRun, WriteArtifact
from libs.runtime import reported
from libs.runtime.database import Database
from services.runs.domain.creation import NAME_LIMIT, canonical_labels
from services.runs.domain.states import to_json

ARTIFACT_LIMIT = 1_000_000
"""Bytes of compact JSON, also when an artifact is replaced. Longer text is cut."""

_TABLES = {RunKind.FLOW_RUN: "runs.flow_run", RunKind.TASK_RUN: "runs.task_run"}


async def write_artifact(
    database: Database, command: WriteArtifact, *, id_: UUID, at: datetime
) -> Applied | Refused:
    """Create, replace or delete, depending on the command's fields."""
    if command.artifact_id is not None and command.data is None:
        return await _delete(database, command)
    data = command.data if command.data is not None else {}
    if reported.needs_cleaning(to_json(data).encode()):
        data = reported.clean(data)
    fitting = reported.fit(data, limit=ARTIFACT_LIMIT)
    if fitting is None:
        return Refused(code=Code.ARTIFACT_TOO_LARGE, fields={"limit": str(ARTIFACT_LIMIT)})
    text = fitting[1].decode()
    if command.artifact_id is not None:
        return await _replace(database, command, text=text, at=at)
    return await _create(database, command, text=text, id_=id_, at=at)


async def update_run(database: Database, command: UpdateRun, *, at: datetime) -> Applied | Refused:
    """Set a run's name or labels. Labels are kept sorted, as the queue's index needs them.

    Names come from running code as well as from people: invalid characters are replaced, long names are cut.
    """
    name = command.name
    if name is not None:
        name = reported.cut_name(reported.clean_text(name), NAME_LIMIT)
        if not name:
            return Refused(code=Code.NAME_INVALID)
    if command.labels is not None and command.run_kind is RunKind.TASK_RUN:
        return Refused(code=Code.INVALID, fields={"reason": "labels: a task run has none"})
    if any("\x00" in label for label in command.labels or ()):
        return Refused(
            code=Code.INVALID, fields={"reason": "labels cannot hold the character U+0000"}
        )
    changes = {
        "name": name,
        "labels": None if command.labels is None else canonical_labels(command.labels),
    }
    given = {column: value for column, value in changes.items() if value is not None}
    assignments = "".join(f", {column} = ${number}" for number, column in enumerate(given, start=4))
    tag = await database.pool.execute(
        f"UPDATE {_TABLES[command.run_kind]} SET updated = $3{assignments} WHERE id = $1 AND tenant_id = $2",
        command.run_id,
        command.tenant_id,
        at,
        *given.values(),
    )
    return Applied(id=command.run_id, success=tag == "UPDATE 1")


async def _create(
    database: Database, command: WriteArtifact, *, text: str, id_: UUID, at: datetime
) -> Applied | Refused:
    if command.task_run_id is None:
        return Refused(code=Code.TASK_RUN_NOT_FOUND, fields={"id": "None"})
    made = await database.pool.fetchval(
        """
        INSERT INTO runs.task_run_artifact (id, created, updated, tenant_id, task_run_id, kind, data)
        SELECT $1, $2, $2, t.tenant_id, t.id, $5, $6::text::jsonb FROM runs.task_run t
        WHERE t.id = $4 AND t.tenant_id = $3
        RETURNING id
        """,
        id_,
        at,
        command.tenant_id,
        command.task_run_id,
        reported.cut_name(reported.clean_text(command.artifact_kind or ""), NAME_LIMIT),
        text,
    )
    if made is None:
        return Refused(code=Code.TASK_RUN_NOT_FOUND, fields={"id": str(command.task_run_id)})
    return Applied(id=made)


async def _replace(
    database: Database, command: WriteArtifact, *, text: str, at: datetime
) -> Applied:
    tag = await database.pool.execute(
        """
        UPDATE runs.task_run_artifact SET updated = $3, data = $4::text::jsonb
        WHERE id = $1 AND tenant_id = $2
        """,
        command.artifact_id,
        command.tenant_id,
        at,
        text,
    )
    return Applied(id=command.artifact_id, success=tag == "UPDATE 1")


async def _delete(database: Database, command: WriteArtifact) -> Applied:
    tag = await database.pool.execute(
        "DELETE FROM runs.task_run_artifact WHERE id = $1 AND tenant_id = $2",
        command.artifact_id,
        command.tenant_id,
    )
    return Applied(id=command.artifact_id, success=tag == "DELETE 1")

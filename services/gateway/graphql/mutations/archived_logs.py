"""Log lines that Cloud had moved to its archive (reference/runs.md).

Headwater has none: lines can be read until they are deleted, so there is never anything to wait for.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Success


@dataclass
class RetrieveArchivedFlowRunLogs:
    """The lines of a run, of the day (UTC) of `timestamp`. The web UI asks for two days, one after the other."""

    flow_run_id: UUID
    timestamp: datetime


@mutation("retrieve_archived_flow_run_logs", camel=None, audited=False)
async def retrieve_archived_flow_run_logs(
    context: Context, input: RetrieveArchivedFlowRunLogs
) -> Success:
    """Whether the lines of that day can be read. They are where they always were, so this changes nothing."""
    found = await context.shared.store.has_lines(
        context.tenant_id, input.flow_run_id, input.timestamp
    )
    if found is None:
        fields = {"id": str(input.flow_run_id)}
        raise compat.error_of(Refused(code=Code.FLOW_RUN_INVALID_ID, fields=fields))
    if found:
        return Success(success=True)
    error = (
        f"Flow run {input.flow_run_id} has no log lines of {input.timestamp.date()}: it wrote none, or they were"
        " deleted when the time was over for which this installation keeps them (HEADWATER_LOG_RETENTION)."
    )
    return Success(success=False, error=error)

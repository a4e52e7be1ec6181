"""Rows of the audit trail, which this service can only add to."""

from typing import Any
from uuid import UUID

from services.gateway.store.base import Rows


class AuditRows(Rows):
    """Appends to the trail."""

    async def audit(
        self,
        entry_id: UUID,
        *,
        tenant_id: UUID,
        actor: str,
        user_id: UUID | None,
        message: str,
        object_id: UUID | None,
        info: dict[str, Any],
    ) -> None:
        """Append to the audit trail."""
        await self._database.pool.execute(
            "INSERT INTO gateway.audit_log (id, tenant_id, actor, user_id, message, object_id, info) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7)",
            entry_id, tenant_id, actor, user_id, message, object_id, info,
        )  # fmt: skip

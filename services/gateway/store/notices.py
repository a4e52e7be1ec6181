"""Rows that the automations ask for: messages of the inbox, and cloud hooks that are switched off."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from services.gateway.store.base import WHILE_IT_STANDS, Rows


class NoticeRows(Rows):
    """What a delivery writes in this service."""

    async def add_message(
        self, message_id: UUID, tenant_id: UUID, kind: str, text: str, content: Mapping[str, Any]
    ) -> bool:
        """False when the tenant is gone, or the message is there already: a delivery may be repeated."""
        added = await self._database.pool.fetchval(
            "INSERT INTO gateway.message (id, tenant_id, type, text, content) "
            f"SELECT $1, t.id, $3, $4, $5 {WHILE_IT_STANDS} "
            "ON CONFLICT (id) DO NOTHING RETURNING id",
            message_id, tenant_id, kind, text, dict(content),
        )  # fmt: skip
        return added is not None

    async def switch_off_cloud_hook(self, tenant_id: UUID, cloud_hook_id: UUID) -> bool:
        """False when the tenant has no such hook."""
        done = await self._database.pool.fetchval(
            "UPDATE gateway.cloud_hook SET active = false, updated = now() "
            "WHERE tenant_id = $1 AND id = $2 RETURNING id",
            tenant_id, cloud_hook_id,
        )  # fmt: skip
        return done is not None

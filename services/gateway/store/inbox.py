"""Rows of the inbox: read or not, and gone. The automations ask for new ones."""

from uuid import UUID

from services.gateway.store.base import Rows


class InboxRows(Rows):
    """Messages of a tenant."""

    async def mark_message(self, tenant_id: UUID, message_id: UUID, *, read: bool) -> bool:
        """Mark it as read or unread; False when the tenant has no such message. One that is so already stays as it is,
        with the time of its last change."""
        found = await self._database.pool.fetchval(
            "WITH changed AS ("
            "UPDATE gateway.message SET read = $3, updated = now() "
            "WHERE tenant_id = $1 AND id = $2 AND read <> $3) "
            "SELECT true FROM gateway.message WHERE tenant_id = $1 AND id = $2",
            tenant_id, message_id, read,
        )  # fmt: skip
        return found is not None

    async def delete_message(self, tenant_id: UUID, message_id: UUID) -> bool:
        """False when the tenant has no such message."""
        deleted = await self._database.pool.fetchval(
            "DELETE FROM gateway.message WHERE tenant_id = $1 AND id = $2 RETURNING id",
            tenant_id, message_id,
        )  # fmt: skip
        return deleted is not None

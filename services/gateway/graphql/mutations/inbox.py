"""Messages of the inbox: the web UI marks and deletes them one by one, in documents of many (`INBOX`)."""

from dataclasses import dataclass
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Success, success_of
from services.gateway.keys import Guard
from services.gateway.permissions import has


@dataclass
class MessageInput:
    """A message by its id."""

    message_id: UUID


@mutation("mark_message_as_read", camel=None, guard=Guard.LOG_IN)
async def mark_message_as_read(context: Context, input: MessageInput) -> Success:
    """Mark a message as read."""
    return await _mark(context, input.message_id, read=True)


@mutation("mark_message_as_unread", camel=None, guard=Guard.LOG_IN)
async def mark_message_as_unread(context: Context, input: MessageInput) -> Success:
    """Mark a message as unread."""
    return await _mark(context, input.message_id, read=False)


@mutation("delete_message", camel=None, guard=Guard.LOG_IN)
async def delete_message(context: Context, input: MessageInput) -> Success:
    """Delete a message, for everybody of the tenant."""
    _require(context, "delete:message")
    done = await context.shared.store.delete_message(context.tenant_id, input.message_id)
    return success_of("message", input.message_id, success=done)


async def _mark(context: Context, message_id: UUID, *, read: bool) -> Success:
    _require(context, "update:message")
    done = await context.shared.store.mark_message(context.tenant_id, message_id, read=read)
    return success_of("message", message_id, success=done)


def _require(context: Context, permission: str) -> None:
    """People keep the inbox, also those who only look on; processes of runs do not."""
    if not has(context.identity.role, permission):
        raise compat.error_of(Refused(code=Code.FORBIDDEN))

"""Messages of the inbox: the web UI marks and deletes them one by one, in documents of many (`INBOX`)."""

from dataclasses import dataclass
from uuid import UUID

from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Success, success_of


@dataclass
class MessageInput:
    """A message by its id."""

    message_id: UUID


@mutation("mark_message_as_read", camel=None, audited=False)
async def mark_message_as_read(context: Context, input: MessageInput) -> Success:
    """Mark a message as read."""
    return await _mark(context, input.message_id, read=True)


@mutation("mark_message_as_unread", camel=None, audited=False)
async def mark_message_as_unread(context: Context, input: MessageInput) -> Success:
    """Mark a message as unread."""
    return await _mark(context, input.message_id, read=False)


@mutation("delete_message", camel=None, audited=False)
async def delete_message(context: Context, input: MessageInput) -> Success:
    """Delete a message, for everybody of the tenant."""
    done = await context.shared.store.delete_message(context.tenant_id, input.message_id)
    return success_of("message", input.message_id, success=done)


async def _mark(context: Context, message_id: UUID, *, read: bool) -> Success:
    done = await context.shared.store.mark_message(context.tenant_id, message_id, read=read)
    return success_of("message", message_id, success=done)

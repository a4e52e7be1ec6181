"""Tests of actions, and deliveries that are sent again (reference/automations.md)."""

from dataclasses import dataclass
from uuid import UUID

from graphql import GraphQLError

from libs.contracts import deliveries
from libs.contracts.deliveries import SentAgain
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.mutations.payloads import Success, success_of


@dataclass
class TestActionInput:
    """An action by its id."""

    __test__ = False  # for pytest, which takes it for a class of tests

    action_id: UUID


@dataclass(frozen=True, slots=True)
class TestedAction:
    """What the receiver answered, and in which time; `delivery_id` is its line in the log of deliveries."""

    success: bool
    error: str | None = None
    status: int | None = None
    latency_ms: int | None = None
    answer: str | None = None
    delivery_id: UUID | None = None


@mutation("test_action", camel=None)
async def test_action(context: Context, input: TestActionInput) -> TestedAction:
    """Run an action now with an invented event. A failure is an error: the web page reads no `success` here."""
    tested = await context.ask(
        deliveries.TEST_ACTION,
        deliveries.TestAction(
            tenant_id=context.tenant_id, action_id=input.action_id, user_id=context.actor_id
        ),
    )
    if not tested.succeeded:
        raise _failed(tested)
    return TestedAction(
        success=True,
        status=tested.status,
        latency_ms=tested.latency_ms,
        answer=tested.answer,
        delivery_id=tested.delivery_id,
    )


def _failed(tested: deliveries.Tested) -> GraphQLError:
    extensions = {
        "status": tested.status,
        "latency_ms": tested.latency_ms,
        "answer": tested.answer,
        "delivery_id": None if tested.delivery_id is None else str(tested.delivery_id),
    }
    return compat.failed_test(tested.error or "nothing is known of it", extensions)


@dataclass
class DeliveryInput:
    """A delivery by its id."""

    delivery_id: UUID


_NOT_AGAIN = {
    SentAgain.PENDING: "delivery_id: delivery {id} is still being tried; `due` is its next try, `last_error` why it"
    " was not the last one.",
    SentAgain.UNADDRESSED: "delivery_id: delivery {id} cannot be sent again: its action or cloud hook was deleted.",
}


@mutation("redeliver", camel=None)
async def redeliver(context: Context, input: DeliveryInput) -> Success:
    """Send a finished delivery again, under its old key."""
    reply = await context.ask(
        deliveries.REDELIVER,
        deliveries.Redeliver(tenant_id=context.tenant_id, delivery_id=input.delivery_id),
    )
    if reply.outcome in _NOT_AGAIN:
        return Success(success=False, error=_NOT_AGAIN[reply.outcome].format(id=input.delivery_id))
    return success_of("delivery", input.delivery_id, success=reply.outcome is SentAgain.DUE)

"""Tests by people: an action or a cloud hook, with an invented event, once, by the very path of every delivery.

A test is a delivery like any other, so it stands in the log. What differs: it is not repeated (nor by the worker that
finds it after its process died), asks no circuit breaker, and leaves no note in the inbox. The web page sends a
mutation again that was answered with an error; so one test per addressee and person in `SAME` seconds goes out, and who
asks again gets its answer.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from libs.contracts.deliveries import TEST_SECONDS, TestAction, TestCloudHook, Tested
from libs.runtime.clock import Clock
from libs.runtime.database import Database, statement
from libs.runtime.ids import NewId
from services.automations.delivery.store import Leased
from services.automations.delivery.worker import Outcome, Worker
from services.automations.domain import senders
from services.automations.domain.messages import STATE_CHANGED

SAME = timedelta(seconds=5)
NO_ACTION = "this tenant has no action of this id: it was deleted, or is another tenant's"
_LOOK_AGAIN = 0.1  # seconds between two looks at a test that another request has begun
_PATIENCE = TEST_SECONDS - 2.0  # below the time after which the gateway gives up

Event = dict[str, Any]


class Trials:
    """See the module."""

    def __init__(
        self, database: Database, worker: Worker, *, public_url: str, ids: NewId, clock: Clock
    ) -> None:
        self._database = database
        self._worker = worker
        self._public_url = public_url.rstrip("/")
        self._ids = ids
        self._clock = clock
        self.same = SAME

    async def test_action(self, request: TestAction) -> Tested:
        """What came of it; an unknown action fails with a sentence."""
        row = await self._database.pool.fetchrow(
            "SELECT a.action_type, t.slug FROM automations.action a JOIN gateway.tenant t ON t.id = a.tenant_id"
            " WHERE a.tenant_id = $1 AND a.id = $2",
            request.tenant_id, request.action_id,
        )  # fmt: skip
        if row is None:
            return Tested(succeeded=False, error=NO_ACTION)
        if not senders.sends(row["action_type"]):
            error = f"{row['action_type']} acts on a real run, so it cannot be tried with an invented one"
            return Tested(succeeded=False, error=error)
        event = self._event(request.tenant_id, row["slug"], request.user_id) | {
            "state": "Success",
            "state_message": "This is a test.",
        }
        return await self._once(
            request.tenant_id, event, request.user_id, action_id=request.action_id
        )

    async def test_cloud_hook(self, request: TestCloudHook) -> Tested:
        """The same for a cloud hook, in the words of Prefect Server."""
        slug = await self._database.pool.fetchval(
            "SELECT t.slug FROM gateway.cloud_hook c JOIN gateway.tenant t ON t.id = c.tenant_id"
            " WHERE c.tenant_id = $1 AND c.id = $2",
            request.tenant_id, request.cloud_hook_id,
        )  # fmt: skip
        if slug is None:
            return Tested(succeeded=False, error="Invalid ID")  # Server's text
        message = f"Test {request.state.lower()} state"
        event = self._event(request.tenant_id, slug, request.user_id) | {
            "flow_name": "Cloud Hook Test Flow",
            "state": request.state,
            "state_message": message,
            "state_version": 1,
            "serialized_state": {"type": request.state, "message": message},
        }
        if request.flow_run_id is not None:
            row = await self._database.pool.fetchrow(
                statement(__file__, "run"), request.tenant_id, request.flow_run_id
            )
            if row is None:
                return Tested(succeeded=False, error="Invalid ID")
            event |= {name: _plain(value) for name, value in row.items()}
            event["flow_run_link"] = f"{self._public_url}/{slug}/flow-run/{request.flow_run_id}"
        return await self._once(
            request.tenant_id, event, request.user_id, cloud_hook_id=request.cloud_hook_id
        )

    def _event(self, tenant_id: UUID, slug: str, user_id: UUID | None) -> Event:
        """An event of no run."""
        event_id, run_id, flow_id = (str(self._ids()) for _ in range(3))
        base = f"{self._public_url}/{slug}"
        return {
            "id": event_id,
            "event_name": STATE_CHANGED,
            "timestamp": self._clock().isoformat(),
            "tenant_id": str(tenant_id),
            "tenant_slug": slug,
            "flow_id": flow_id,
            "flow_name": "Test flow",
            "flow_group_id": flow_id,
            "flow_link": f"{base}/flow/{flow_id}",
            "flow_run_id": run_id,
            "flow_run_name": "test-run",
            "flow_run_link": f"{base}/flow-run/{run_id}",
            "is_test_event": True,
            "tested_by": None if user_id is None else str(user_id),
        }

    async def _once(
        self,
        tenant_id: UUID,
        event: Event,
        user_id: UUID | None,
        *,
        action_id: UUID | None = None,
        cloud_hook_id: UUID | None = None,
    ) -> Tested:
        found = await self._begun_or_found(
            tenant_id, event, user_id, action_id=action_id, cloud_hook_id=cloud_hook_id
        )
        if isinstance(found, UUID):
            return await self._answer_of(tenant_id, found)
        outcome = await self._worker.deliver(found)
        return _tested(found.id, outcome)

    async def _begun_or_found(
        self,
        tenant_id: UUID,
        event: Mapping[str, Any],
        user_id: UUID | None,
        *,
        action_id: UUID | None,
        cloud_hook_id: UUID | None,
    ) -> Leased | UUID:
        """A test to run, or the id of one that this person has just asked for."""
        addressee = action_id or cloud_hook_id
        by = None if user_id is None else str(user_id)
        async with self._database.transaction() as connection:
            # Two requests at the same time: the second waits here, and finds the first one's test.
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"test:{addressee}:{by}"
            )
            recent: UUID | None = await connection.fetchval(
                statement(__file__, "recent_trial"), tenant_id, addressee, by, self.same
            )
            if recent is not None:
                return recent
            delivery_id = self._ids()
            row = await connection.fetchrow(
                statement(__file__, "trial"),
                delivery_id, tenant_id, action_id, cloud_hook_id, UUID(event["id"]), STATE_CHANGED,
                dict(event), f"test-{delivery_id}", self._ids(), self._worker.limits.lease,
            )  # fmt: skip
        assert row is not None  # noqa: S101 - an INSERT that returns
        return Leased(**dict(row))

    async def _answer_of(self, tenant_id: UUID, delivery_id: UUID) -> Tested:
        """The answer of a test that another request has begun, once it is there."""
        running = asyncio.get_running_loop()
        deadline = running.time() + _PATIENCE
        while True:
            row = await self._database.pool.fetchrow(
                "SELECT d.status, d.last_error, a.status AS answered, a.latency_ms, a.answer"
                " FROM automations.delivery d LEFT JOIN automations.delivery_attempt a ON a.delivery_id = d.id"
                " WHERE d.tenant_id = $1 AND d.id = $2 ORDER BY a.number DESC LIMIT 1",
                tenant_id, delivery_id,
            )  # fmt: skip
            if row is not None and row["status"] != "pending":
                done = row["status"] == "delivered"
                return Tested(
                    succeeded=done,
                    error=None if done else row["last_error"],
                    status=row["answered"],
                    latency_ms=row["latency_ms"],
                    answer=row["answer"],
                    delivery_id=delivery_id,
                )
            if running.time() > deadline:
                error = "the same test is still under way"
                return Tested(succeeded=False, error=error, delivery_id=delivery_id)
            await asyncio.sleep(_LOOK_AGAIN)


def _tested(delivery_id: UUID, outcome: Outcome) -> Tested:
    answer = outcome.answer
    return Tested(
        succeeded=answer.succeeded,
        error=None if answer.succeeded else answer.error,
        status=answer.status,
        latency_ms=outcome.latency_ms,
        answer=answer.text,
        delivery_id=delivery_id,
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value

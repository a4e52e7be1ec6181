"""The verbs about deliveries: try an action or a cloud hook now, and send a delivery again."""

from enum import StrEnum
from typing import Literal
from uuid import UUID

from libs.contracts import subjects
from libs.contracts.base import Message, Rpc


class TestAction(Message):
    """Run an action now, with an invented event, once. Within 5 s the same person gets the same answer again."""

    __test__ = False  # for pytest, which takes it for a class of tests

    tenant_id: UUID
    action_id: UUID
    user_id: UUID | None = None


class TestCloudHook(Message):
    """The same for a cloud hook, with the state that it is tried with, and a run if one is named."""

    __test__ = False

    tenant_id: UUID
    cloud_hook_id: UUID
    state: str = "Success"
    flow_run_id: UUID | None = None
    user_id: UUID | None = None


class Tested(Message):
    """What came of it: `error` is a sentence when it failed.

    `status`, `latency_ms` and `answer` (at most 1,024 characters) are the receiver's, where there was a try.
    """

    kind: Literal["tested"] = "tested"
    succeeded: bool
    error: str | None = None
    status: int | None = None
    latency_ms: int | None = None
    answer: str | None = None
    delivery_id: UUID | None = None


class Redeliver(Message):
    """Send a delivery again that is finished, under its old key."""

    tenant_id: UUID
    delivery_id: UUID


class SentAgain(StrEnum):
    """What became of it."""

    DUE = "due"
    """It is due now."""
    PENDING = "pending"
    """It is still being tried, so nothing was changed."""
    UNADDRESSED = "unaddressed"
    """Its action or cloud hook was deleted."""
    UNKNOWN = "unknown"
    """The tenant has no such delivery."""


class Redelivered(Message):
    """What became of a delivery that was to be sent again."""

    kind: Literal["redelivered"] = "redelivered"
    outcome: SentAgain


TEST_SECONDS = 20.0
"""More than the automations give a test: people see what the receiver did, rather than that we gave up."""

TEST_ACTION = Rpc(subjects.TEST_ACTION, TestAction, Tested, timeout=TEST_SECONDS)
TEST_CLOUD_HOOK = Rpc(subjects.TEST_CLOUD_HOOK, TestCloudHook, Tested, timeout=TEST_SECONDS)
REDELIVER = Rpc(subjects.REDELIVER, Redeliver, Redelivered)

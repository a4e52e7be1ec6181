"""The verbs about deliveries: try an action or a cloud hook now, and send a delivery again."""

from typing import Literal
from uuid import UUID

from libs.contracts import subjects
from libs.contracts.base import Applied, Message, Rpc


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
    """What came of it: `error` is a sentence when it failed, with the receiver's status where it answered."""

    kind: Literal["tested"] = "tested"
    succeeded: bool
    error: str | None = None
    status: int | None = None
    delivery_id: UUID | None = None


class Redeliver(Message):
    """Send a delivery again that is finished, under its old key.

    `success` is false when it is still pending, or the tenant has no such delivery.
    """

    tenant_id: UUID
    delivery_id: UUID


TEST_ACTION = Rpc(subjects.TEST_ACTION, TestAction, Tested)
TEST_CLOUD_HOOK = Rpc(subjects.TEST_CLOUD_HOOK, TestCloudHook, Tested)
REDELIVER = Rpc(subjects.REDELIVER, Redeliver, Applied)

"""Named points at which a test can make the system fail; no-ops otherwise. The enum is the list.

Arm in-process with `arm(Point.X, effect)`, or for a child process with HEADWATER_FAULTS="point_name=die,other=raise".
"""

import os
import signal
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")
Effect = Callable[[], Awaitable[None]]


class Point(StrEnum):
    """Each point appears once in the code."""

    RELAY_AFTER_PUBLISH_BEFORE_MARK = "relay_after_publish_before_mark"
    RUNS_BEFORE_COMMIT = "runs_before_commit"
    RUNS_AFTER_COMMIT_BEFORE_ANSWER = "runs_after_commit_before_answer"
    REGISTRY_BEFORE_COMMIT = "registry_before_commit"
    REGISTRY_AFTER_COMMIT_BEFORE_ANSWER = "registry_after_commit_before_answer"
    SCHEDULER_BEFORE_PROPOSE = "scheduler_before_propose"
    HEARTBEAT_BEFORE_PROPOSE = "heartbeat_before_propose"
    LAZARUS_BEFORE_PROPOSE = "lazarus_before_propose"
    AUTOMATIONS_AFTER_SEND_BEFORE_RECORD = "automations_after_send_before_record"


class InjectedFaultError(Exception):
    """What an armed point raises."""


_armed: dict[Point, Effect] = {}


async def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


async def fail() -> None:
    """Raise at the point."""
    raise InjectedFaultError


def arm(point: Point, effect: Effect) -> None:
    """Run `effect` each time the point is reached, until `disarm`."""
    _armed[point] = effect


def disarm() -> None:
    """Forget all effects."""
    _armed.clear()


async def reached(point: Point) -> None:
    """The code is at `point`; nothing happens unless it is armed."""
    if _armed and (effect := _armed.get(point)) is not None:
        await effect()


def _arm_from_environment() -> None:
    effects: dict[str, Effect] = {"die": die, "raise": fail}
    for item in filter(None, os.environ.get("HEADWATER_FAULTS", "").split(",")):
        name, _, effect = item.partition("=")
        arm(Point(name), effects[effect or "raise"])


_arm_from_environment()

"""The time limit of a test ends it by an exception that nothing in between takes for a finding.

pytest-timeout's own is a `pytest.fail` from a signal handler. Hypothesis catches that as it would an assertion of the
test, and runs the same input again: one that is complete now, where the first was broken off between two draws. So a
test that was merely slow was reported as `FlakyStrategyDefinition`, and its limit was not named.
"""

import faulthandler
import signal
import sys
import threading
from types import FrameType
from typing import Protocol

import pytest


class OutOfTime(BaseException):
    """The test ran for longer than it may. No `Exception`, so that no test and no library goes on after it."""


class _Limit(Protocol):
    timeout: float
    method: str


@pytest.hookimpl
def pytest_timeout_set_timer(item: pytest.Item, settings: _Limit) -> bool | None:
    """In the place of pytest-timeout's own; None leaves its other method (a thread that ends the process) to it."""
    if settings.method != "signal" or threading.current_thread() is not threading.main_thread():
        return None

    def strike(_number: int, _frame: FrameType | None) -> None:
        if threading.active_count() > 1 and sys.__stderr__ is not None:
            faulthandler.dump_traceback(file=sys.__stderr__)
        msg = f"{item.nodeid} took longer than {settings.timeout:g} s, its fixtures included"
        raise OutOfTime(msg)

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    # where pytest-timeout looks for it
    item.cancel_timeout = cancel  # type: ignore[attr-defined]
    signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, settings.timeout)
    return True

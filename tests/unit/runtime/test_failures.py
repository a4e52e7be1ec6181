"""What passes by itself is an outage, and nobody's fault."""

import asyncpg
import pytest

from libs.contracts.errors import Code
from libs.runtime.failures import is_outage, refusal_of
from libs.runtime.ids import new_id


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DiskFullError("could not extend file: No space left on device"),
        asyncpg.OutOfMemoryError("out of memory"),
        asyncpg.PostgresIOError("could not write to file"),
        asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
        asyncpg.InternalClientError("cannot switch to state 15; another operation is in progress"),
        ConnectionResetError(),
        TimeoutError(),
    ],
)
def test_a_command_may_be_sent_again_once_the_outage_is_over(error: Exception) -> None:
    assert is_outage(error)
    assert refusal_of(error, service="runs", error_id=new_id()).code is Code.UNAVAILABLE


def test_a_full_disk_is_called_by_its_name() -> None:
    refused = refusal_of(asyncpg.DiskFullError(), service="runs", error_id=new_id())

    assert refused.fields["why"] == "cannot write, because the disk of PostgreSQL is full"


@pytest.mark.parametrize("error", [ValueError(), asyncpg.UniqueViolationError(), KeyError("x")])
def test_a_fault_of_ours_is_no_outage(error: Exception) -> None:
    assert not is_outage(error)

"""How often a distressed run comes back."""

from uuid import UUID

import pytest

from services.lazarus.domain import Distressed, GiveUp, Revive, decide


def a_run(*, times_resurrected: int) -> Distressed:
    return Distressed(
        flow_run_id=UUID(int=1),
        tenant_id=UUID(int=2),
        version=3,
        times_resurrected=times_resurrected,
    )


@pytest.mark.parametrize("times", range(10))
def test_a_run_is_revived_ten_times(times: int) -> None:
    assert decide(a_run(times_resurrected=times), limit=10) == Revive(attempt=times + 1)


@pytest.mark.parametrize("times", [10, 11, 50])
def test_then_it_is_given_up(times: int) -> None:
    assert decide(a_run(times_resurrected=times), limit=10) == GiveUp(attempts=times)


def test_a_limit_of_none_gives_up_at_once() -> None:
    assert decide(a_run(times_resurrected=0), limit=0) == GiveUp(attempts=0)

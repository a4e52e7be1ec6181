"""Many states of one request reach the ledger in parts, each with a share, so that others' go between."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import RunKind, SetStates, StateProposal, StatesSet
from libs.runtime.ids import new_id
from services.gateway.context import Context
from services.gateway.graphql.mutations.states import _proposed
from services.gateway.shares import BusyError, Shares


class Ledger:
    """Refuses each state by itself; all of a command from the `away`th command on."""

    def __init__(self, *, away: int = 1_000) -> None:
        self.commands: list[SetStates] = []
        self._away = away
        self.before_answer: Callable[[], object] = lambda: None

    async def call(self, _rpc: object, command: SetStates) -> StatesSet | Refused:
        self.commands.append(command)
        self.before_answer()
        if len(self.commands) > self._away:
            return Refused(code=Code.UNAVAILABLE)
        outcomes: Any = [
            Refused(code=Code.FORBIDDEN, fields={"id": str(p.run_id)}) for p in command.proposals
        ]
        return StatesSet(outcomes=outcomes)


def context_on(ledger: Ledger, *, patience: float = 60.0) -> Context:
    shares = Shares("test", 600, of_tenant=400, of_key=300, patience=patience, what="states")
    shared = SimpleNamespace(bus=ledger, states=shares)
    made = SimpleNamespace(
        shared=shared,
        tenant_id=new_id(),
        agent_id=None,
        actor_id=None,
        owner=("tenant", "key"),
        lease=None,
    )
    return cast("Context", made)


def proposal(run_id: UUID) -> StateProposal:
    return StateProposal(run_kind=RunKind.FLOW_RUN, run_id=run_id, state={"type": "Running"})


def runs(count: int) -> list[UUID]:
    return [new_id() for _ in range(count)]


@pytest.mark.parametrize(("count", "parts"), [(1, [1]), (50, [50]), (120, [50, 50, 20])])
async def test_each_is_answered_in_order(count: int, parts: list[int]) -> None:
    ledger = Ledger()
    given = runs(count)
    context = context_on(ledger)

    outcomes = await _proposed(context, given, proposal)

    assert [len(command.proposals) for command in ledger.commands] == parts
    found = [cast("Refused", outcome).fields["id"] for _, outcome in outcomes]
    assert found == [str(run_id) for run_id in given]
    assert [proposed.run_id for proposed, _ in outcomes] == given
    assert context.shared.states._used == 0


async def test_a_ledger_that_is_away_is_asked_for_no_more() -> None:
    ledger = Ledger(away=1)

    outcomes = await _proposed(context_on(ledger), runs(1_000), proposal)

    assert len(ledger.commands) == 2
    assert len(outcomes) == 51
    assert cast("Refused", outcomes[-1][1]).code is Code.UNAVAILABLE


async def test_what_finds_no_room_at_first_is_refused_as_a_whole() -> None:
    ledger = Ledger()
    context = context_on(ledger, patience=0.01)

    async with context.shared.states.of(("tenant", "key"), 300):
        with pytest.raises(BusyError):
            await _proposed(context, runs(450), proposal)

    assert ledger.commands == []


async def test_what_finds_no_room_for_its_second_part_says_what_became_of_the_first() -> None:
    ledger = Ledger()
    context = context_on(ledger, patience=0.01)
    # As if others took all of it meanwhile.
    ledger.before_answer = lambda: setattr(context.shared.states, "_total", 0)

    outcomes = await _proposed(context, runs(450), proposal)

    assert len(ledger.commands) == 1
    assert len(outcomes) == 51
    assert cast("Refused", outcomes[-1][1]).code is Code.BUSY

"""Races as clients run them: GraphQL over HTTP, through two gateways, onto two replicas of the ledger.

HEADWATER_RACE_ROUNDS sets their size; the default is what a test run can afford. `make test-races` runs the founding
numbers, 1,000 rounds of 200 writers and 10,000 due runs for 50 claimants, which takes some half an hour.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import pytest

from libs.runtime.ids import new_id
from tests.faults.ledger_invariants import check_ledger
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Flow, register_flow
from tests.support.service_process import gateway_process, ledger_process
from tests.support.wire_client import Wire, request, wires

ROUNDS = int(os.environ.get("HEADWATER_RACE_ROUNDS", "2"))
WRITERS = 200
CLAIMANTS = 50

pytestmark = pytest.mark.timeout(300 + ROUNDS * 10)

CREATE = "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }"
SET = """mutation($input: set_flow_run_states_input!) {
  set_flow_run_states(input: $input) { states { id status } }
}"""
QUEUE = "mutation($input: get_runs_in_queue_input!) { get_runs_in_queue(input: $input) { flow_run_ids } }"
FINAL = ("Success", "Failed", "Cancelled")


@dataclass(frozen=True, slots=True)
class Ring:
    """Where the races are run: connections to both gateways, and the first tenant."""

    stack: Stack
    lanes: list[Wire]
    tenant_id: UUID

    async def flow(self, *, locking: bool) -> Flow:
        return await register_flow(
            self.stack.admin_pool,
            tenant_id=self.tenant_id,
            settings={"version_locking_enabled": locking},
        )

    async def create(self, flow: Flow, lane: int = 0) -> str:
        made = await self.lanes[lane].ask(CREATE, input={"flow_id": str(flow.id)})
        run_id: str = made["create_flow_run"]["id"]
        return run_id

    async def start(self, flow: Flow, *states: str) -> str:
        """A run that has been taken through these states."""
        run_id = await self.create(flow)
        for state in states:
            assert won(await self.lanes[0].send(write(run_id, state)))
        return run_id

    async def all_at_once(self, writes: Sequence[bytes]) -> list[bytes]:
        """The answers to writes that are sent at one moment, each on a connection of its own."""
        return await asyncio.gather(
            *(lane.send(prepared) for lane, prepared in zip(self.lanes, writes, strict=True))
        )

    async def history(self, run_id: str) -> list[str]:
        rows = await self.stack.admin_pool.fetch(
            "SELECT state, version FROM runs.flow_run_state WHERE flow_run_id = $1 ORDER BY version",
            UUID(run_id),
        )
        assert [row["version"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["state"] for row in rows]


@pytest.fixture(scope="module")
async def ring(stack: Stack) -> AsyncIterator[Ring]:
    async with (
        ledger_process(stack),
        ledger_process(stack),
        gateway_process(stack, {}) as (_, one),
        gateway_process(stack, {}) as (_, other),
        wires([one, other], count=WRITERS) as lanes,
    ):
        tenant_id = await stack.admin_pool.fetchval("SELECT id FROM gateway.tenant")

        async def is_served() -> bool:
            return b"API_ERROR" not in await lanes[0].send(write(str(new_id()), "Running"))

        # A ledger may come up after the gateways.
        await eventually(is_served, timeout=60)
        yield Ring(stack, lanes, tenant_id)


def write(run_id: str, state: str, version: int | None = None) -> bytes:
    """A state, as stock clients propose it."""
    proposal = {"flow_run_id": run_id, "state": {"type": state}, "version": version}
    return request(SET, input={"states": [proposal]})


def won(answer: bytes) -> bool:
    """Whether the state was set."""
    return b'"errors"' not in answer


def refusals(answers: Sequence[bytes]) -> Counter[tuple[Any, ...]]:
    """How often each (code, version, state) was told, or where there is no code, each text."""
    told: Counter[tuple[Any, ...]] = Counter()
    for answer, count in Counter(answer for answer in answers if not won(answer)).items():
        [error] = orjson.loads(answer)["errors"]
        more = error.get("extensions") or {}
        if "current_version" in more:
            told[more["code"], more["current_version"], more["current_state"]] += count
        else:
            told[(error["message"],)] += count
    return told


async def test_with_locking_on_one_of_200_writers_wins_and_the_others_learn_where_the_run_is(
    ring: Ring,
) -> None:
    flow = await ring.flow(locking=True)

    for _ in range(ROUNDS):
        run_id = await ring.start(flow, "Submitted")

        answers = await ring.all_at_once([write(run_id, "Running", 2)] * WRITERS)

        assert sum(map(won, answers)) == 1
        assert refusals(answers) == {("VERSION_LOCKING_ERROR", 3, "Running"): WRITERS - 1}
        assert await ring.history(run_id) == ["Scheduled", "Submitted", "Running"]


async def test_with_locking_off_a_run_is_still_claimed_once_and_its_first_end_stays(
    ring: Ring,
) -> None:
    flow = await ring.flow(locking=False)
    already = "State update failed: this run has already been submitted."

    for _ in range(ROUNDS):
        run_id = await ring.create(flow)

        claims = await ring.all_at_once([write(run_id, "Submitted")] * WRITERS)
        running = await ring.all_at_once([write(run_id, "Running", 2)] * WRITERS)
        ends = await ring.all_at_once([write(run_id, FINAL[n % 3], 2) for n in range(WRITERS)])

        assert sum(map(won, claims)) == 1
        assert refusals(claims) == {(already,): WRITERS - 1}
        assert all(map(won, running))  # versions are not looked at: each is one more state
        history = await ring.history(run_id)
        assert history[:-1] == ["Scheduled", "Submitted", *["Running"] * WRITERS]
        end = history[-1]
        finished = (
            f"State update failed for run ID {run_id}: the run has already finished as {end}. Who means to change that"
            f" names its version, {len(history)}, or leaves `version` out; a restart is the state Scheduled."
        )
        agreeing = sum(FINAL[n % 3] == end for n in range(WRITERS))
        assert sum(map(won, ends)) == agreeing  # who says the same is told that it is so
        assert refusals(ends) == {(finished,): WRITERS - agreeing}


async def test_50_claimants_start_each_due_run_once(ring: Ring) -> None:
    flow = await ring.flow(locking=False)
    due = ROUNDS * 10
    todo = iter(range(due))

    async def make(lane: int) -> list[str]:
        return [await ring.create(flow, lane) for _ in todo]

    made = await asyncio.gather(*map(make, range(CLAIMANTS)))
    starts: Counter[str] = Counter()
    order = random.Random(due)  # noqa: S311 - which of the offered runs an agent submits first

    async def work(lane: Wire) -> None:
        while offered := await _queue(lane, ring.tenant_id):
            order.shuffle(offered)
            for run_id in offered:
                answer = await lane.send(write(run_id, "Submitted"))
                if not won(answer):
                    assert b"already been submitted" in answer, answer
                    break  # others are faster; see what is left
                starts[run_id] += 1

    await asyncio.gather(*map(work, ring.lanes[:CLAIMANTS]))

    assert set(starts) == {run_id for lane in made for run_id in lane}
    assert set(starts.values()) == {1}


async def test_what_the_races_left_keeps_every_promise(ring: Ring) -> None:
    async def published() -> bool:
        return not await ring.stack.admin_pool.fetchval("SELECT EXISTS (SELECT FROM runs.outbox)")

    await eventually(published, timeout=120)

    await check_ledger(ring.stack.admin_pool)


async def _queue(lane: Wire, tenant_id: UUID) -> list[str]:
    found = await lane.ask(QUEUE, input={"tenant_id": str(tenant_id), "labels": []})
    run_ids: list[str] = found["get_runs_in_queue"]["flow_run_ids"]
    return run_ids

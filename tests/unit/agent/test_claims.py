"""When an agent repeats a claim, and what it says about a work queue that is paused."""

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from libs.agent import wire
from libs.agent.claims import Claims
from libs.agent.metrics import Metrics

TENANT = UUID(int=1)
PAUSED = "the work queue is paused: no run is given out until it is resumed"
RESUMED = "the work queue is resumed"


def claims(said: list[str], sent: "asyncio.Queue[wire.Claim] | None" = None) -> Claims:
    async def post(verb: str, claim: wire.Claim, *, reply: str) -> None:
        if sent is not None:
            sent.put_nowait(claim)

    link: Any = SimpleNamespace(tenant_id=TENANT, post=post)

    def say(text: str, **fields: object) -> None:
        said.append(text)

    speaking: Any = say
    return Claims(
        link,
        session=UUID(int=2),
        labels=[],
        room=lambda: 1,
        take=lambda runs: None,
        metrics=Metrics(),
        say=speaking,
    )


def signal(**fields: Any) -> Any:
    return SimpleNamespace(data=wire.WorkReady(**fields).model_dump_json().encode())


async def test_an_agent_says_once_that_its_queue_is_paused_and_once_that_it_is_resumed() -> None:
    said: list[str] = []
    agent = claims(said)

    for paused in (True, True, False, False):
        await agent._on_work_ready(signal(queue_is_paused=paused))

    assert said == [PAUSED, RESUMED]


async def test_an_agent_that_comes_while_the_queue_is_paused_says_so_and_claims_all_the_same() -> (
    None
):
    said: list[str] = []
    agent = claims(said)

    agent.note_pause(is_paused=True)
    await agent._on_work_ready(signal(labels=[[]]))

    assert said == [PAUSED]
    assert agent._wake.is_set()


@pytest.mark.parametrize("is_answered", [False, True])
async def test_a_claim_that_waits_at_a_reconnection_is_repeated_under_its_own_id(
    *, is_answered: bool
) -> None:
    sent: asyncio.Queue[wire.Claim] = asyncio.Queue()
    agent = claims([], sent)
    running = asyncio.create_task(agent.run())

    try:
        async with asyncio.timeout(30):
            agent.welcomed(UUID(int=3), park=180.0)
            first = await sent.get()
            if is_answered:
                # As when there is no responder: the ledger does not have the claim.
                agent._waiting = None
            agent.welcomed(UUID(int=3), park=180.0)
            again = await sent.get()
    finally:
        running.cancel()

    assert first.is_repeated is False
    assert again.is_repeated is not is_answered
    assert (again.claim_id == first.claim_id) is not is_answered
    assert sent.empty()

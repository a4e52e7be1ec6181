"""What an agent says about a work queue that is paused."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

from libs.agent import wire
from libs.agent.claims import Claims
from libs.agent.metrics import Metrics

TENANT = UUID(int=1)
PAUSED = "the work queue is paused: no run is given out until it is resumed"
RESUMED = "the work queue is resumed"


def claims(said: list[str]) -> Claims:
    link: Any = SimpleNamespace(tenant_id=TENANT)

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

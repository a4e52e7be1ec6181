"""The subscriptions of the heartbeat service."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from faststream import Path
from nats.aio.msg import Msg

from libs.contracts import streams, subjects
from libs.contracts.alive import Condition, read_alive
from libs.contracts.runs import FlowRunStateChanged
from libs.runtime.bus import Benchmark, Router
from libs.runtime.loop import Loop
from services.heartbeat.pings import Pings
from services.heartbeat.states import STATES, States
from services.heartbeat.watch import Watch

STATES_REST = 0.1  # seconds; many runs are guarded in one transaction


def router(service: str, states: States, pings: Pings, watch: Watch, watch_loop: Loop) -> Router:
    """States and task runs' pings come to one replica each, gateways and flow runs' pings to all."""
    router = Router(service)
    router.own_connection(subjects.BEAT, Benchmark.HEARTBEAT, pings.listener.deliver)

    @router.batches(
        STATES,
        streams.EVENTS,
        Benchmark.HEARTBEAT,
        bodies=(FlowRunStateChanged,),
        rest=STATES_REST,
    )
    async def on_states(messages: Sequence[Msg]) -> None:
        await states.follow(messages)

    @router.signal(subjects.SIG_TASK_BEAT, shared=True)
    async def on_task_ping(
        tenant_id: Annotated[UUID, Path()], task_run_id: Annotated[UUID, Path()]
    ) -> None:
        pings.on_task_ping(tenant_id, task_run_id)

    @router.signal(subjects.SIG_SERVICE_ALIVE.at(service="gateway"))
    async def on_gateway_alive(said: bytes) -> None:
        if read_alive(said).condition is not Condition.STOPPED and watch.on_gateway_alive():
            watch_loop.poke()

    return router

"""Follow the states of flow runs: guard runs that begin, drop runs that have finished."""

from collections.abc import Sequence

from nats.aio.msg import Msg
from pydantic import ValidationError

from libs.contracts import streams
from libs.contracts.runs import FlowRunStateChanged
from libs.contracts.states import State, is_finished
from libs.runtime.bus import Bus
from libs.runtime.database import Database
from services.heartbeat.domain.last_heard import key_of
from services.heartbeat.pings import Pings
from services.heartbeat.store import Store

STATES = streams.durable("heartbeat__states")


class States:
    """Takes the ledger's events in batches: many runs are guarded in one transaction."""

    def __init__(self, bus: Bus, database: Database, pings: Pings) -> None:
        self._bus = bus
        self._database = database
        self._pings = pings

    async def follow(self, messages: Sequence[Msg]) -> None:
        """Guard runs that begin; drop those that have finished."""
        newest: dict[bytes, FlowRunStateChanged] = {}
        for message in messages:
            try:
                event = FlowRunStateChanged.model_validate_json(message.data)
            except ValidationError as error:
                await self._bus.dead_letter(STATES, message, str(error))
                continue
            key = key_of(event.tenant_id, event.flow_run_id)
            if key not in newest or newest[key].version < event.version:
                newest[key] = event
        running = [key for key, event in newest.items() if event.state == State.RUNNING]
        if running:
            async with self._database.transaction() as connection:
                store = Store(connection)
                await store.unguard(running)
                guarded = await store.guard(running, anew=True)
            self._pings.wait_for(guarded)
            for key in set(running) - guarded:
                self._pings.memory.forget(key)
        for key, event in newest.items():
            if is_finished(event.state):
                self._pings.memory.forget(key)

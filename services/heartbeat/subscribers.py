"""What the heartbeat service listens to. Pings come on a connection of their own (`listener`)."""

from collections.abc import Sequence

from nats.aio.msg import Msg
from pydantic import ValidationError

from libs.contracts import streams, subjects
from libs.contracts.runs import FlowRunStateChanged
from libs.contracts.states import State, is_finished
from libs.contracts.streams import Durable
from libs.runtime.bus import Bus
from libs.runtime.database import Database
from libs.runtime.loop import Loop
from services.heartbeat.domain.last_heard import key_of
from services.heartbeat.pings import Pings
from services.heartbeat.store import Store
from services.heartbeat.watch import Watch

STATES: Durable = next(d for d in streams.EVENTS.durables if d.name == "heartbeat__states")
STATES_REST = 0.1  # seconds; runs are waited for by many in one transaction


class Subscribers:
    """One method per subject. `declare` puts them on the bus before it starts."""

    def __init__(
        self, bus: Bus, database: Database, pings: Pings, watch: Watch, watch_loop: Loop
    ) -> None:
        self._bus = bus
        self._database = database
        self._pings = pings
        self._watch = watch
        self._watch_loop = watch_loop

    def declare(self) -> None:
        """Consume states; hear task runs' pings (one replica each) and gateways (all)."""
        bus = self._bus
        bus.consume_batches(STATES, streams.EVENTS, self.on_states, rest=STATES_REST)
        bus.on_signal(subjects.SIG_TASK_BEAT.wildcard, self._pings.on_task_ping, queue=bus.service)
        bus.on_signal(subjects.SIG_SERVICE_ALIVE.at(service="gateway"), self.on_gateway_alive)

    async def on_states(self, messages: Sequence[Msg]) -> None:
        """Guard runs that begin to run; wait no more for those that have finished."""
        newest: dict[bytes, FlowRunStateChanged] = {}
        for message in messages:
            try:
                event = FlowRunStateChanged.model_validate_json(message.data)
            except ValidationError as error:
                await self._bus.bury(STATES, message, str(error))
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

    async def on_gateway_alive(self, _message: Msg) -> None:
        """A gateway runs, so pings can come through."""
        if self._watch.on_gateway_alive():
            self._watch_loop.poke()

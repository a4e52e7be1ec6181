"""Lazarus, put together."""

from typing import ClassVar

from libs.runtime.clock import Clock, utc_now
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.lazarus import subscribers
from services.lazarus.loops import duties
from services.lazarus.resurrections import Resurrections
from services.lazarus.settings import LazarusSettings


class Lazarus(Service):
    """See the package's page."""

    name: ClassVar[str] = "lazarus"

    def __init__(
        self, settings: LazarusSettings, *, clock: Clock = utc_now, ids: NewId = new_id
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)
        self.resurrections = Resurrections(self.database, self.bus, settings, ids=ids, log=self.log)
        self.add_duties(duties(settings, self.resurrections))

    def declare(self) -> None:
        """Declare its subscriptions."""
        self.bus.include(subscribers.router(self.name))


def build(settings: LazarusSettings) -> Lazarus:
    """The service, ready to start."""
    return Lazarus(settings)

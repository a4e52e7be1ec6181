"""The automations, put together."""

from typing import ClassVar

from libs.runtime.service import Service
from services.automations import subscribers
from services.automations.settings import AutomationsSettings


class Automations(Service):
    """See the package's page."""

    name: ClassVar[str] = "automations"

    def declare(self) -> None:
        """Say what it listens to."""
        self.bus.include(subscribers.router(self.name))


def build(settings: AutomationsSettings) -> Automations:
    """The service, ready to start."""
    return Automations(settings)

"""The registry's loop."""

from libs.runtime.loop import Duty
from services.registry.settings import RegistrySettings
from services.registry.upkeep import Upkeep


def duties(settings: RegistrySettings, upkeep: Upkeep) -> tuple[Duty, ...]:
    """Its only loop."""
    return (Duty("upkeep", settings.upkeep_interval, upkeep.tick),)

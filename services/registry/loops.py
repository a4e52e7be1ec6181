"""What the registry does by itself: one tick per duty."""

from libs.runtime.loop import Duty
from services.registry.settings import RegistrySettings
from services.registry.upkeep import Upkeep


def duties(settings: RegistrySettings, upkeep: Upkeep) -> tuple[Duty, ...]:
    """The one that it has."""
    return (Duty("upkeep", settings.upkeep_interval, upkeep.tick),)

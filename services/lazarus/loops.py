"""The loop of Lazarus."""

from libs.runtime.loop import Duty
from services.lazarus.resurrections import Resurrections
from services.lazarus.settings import LazarusSettings


def duties(settings: LazarusSettings, resurrections: Resurrections) -> tuple[Duty, ...]:
    """Its only loop."""
    return (Duty("distressed", settings.lazarus_tick, resurrections.tick),)

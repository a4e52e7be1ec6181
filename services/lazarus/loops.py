"""What Lazarus does by itself: one tick per duty."""

from libs.runtime.loop import Duty
from services.lazarus.resurrections import Resurrections
from services.lazarus.settings import LazarusSettings


def duties(settings: LazarusSettings, resurrections: Resurrections) -> tuple[Duty, ...]:
    """The one that it has."""
    return (Duty("distressed", settings.lazarus_tick, resurrections.tick),)

"""The loops of Lazarus."""

from libs.runtime.loop import Duty
from services.lazarus.resurrections import Resurrections
from services.lazarus.settings import LazarusSettings


def duties(settings: LazarusSettings, resurrections: Resurrections) -> tuple[Duty, ...]:
    """The thorough one, and the one that finds a run soon after it becomes distressed."""
    return (
        Duty("distressed", settings.lazarus_tick, resurrections.tick),
        Duty("due", settings.lazarus_due_tick, resurrections.tick_due),
    )

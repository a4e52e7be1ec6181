"""The loops of the heartbeat service: one tick per duty."""

from datetime import timedelta

from libs.runtime.loop import Duty
from services.heartbeat.pings import Pings
from services.heartbeat.settings import HeartbeatSettings
from services.heartbeat.silences import Silences
from services.heartbeat.watch import Watch

SECOND = timedelta(seconds=1)
"""The precision of a silence; shorter when pings come much faster than every half minute."""


def duties(
    settings: HeartbeatSettings, pings: Pings, watch: Watch, silences: Silences
) -> tuple[Duty, ...]:
    """All of them."""

    async def sweep() -> None:
        await silences.sweep()
        await silences.prune()

    exact = min(SECOND, settings.heartbeat_interval / 10)
    return (
        # Separate from writing: a database that hangs must not stop us from receiving.
        Duty("pings", exact, pings.hear),
        Duty("rows", exact, pings.write),
        Duty("silences", exact, silences.judge),
        Duty("watch", settings.heartbeat_check_interval, watch.confirm),
        Duty(
            "sweep",
            settings.heartbeat_sweep,
            sweep,
            start_after=settings.heartbeat_silence,
        ),
        Duty("census", settings.heartbeat_interval, silences.census),
        Duty("task_pings", settings.heartbeat_check_interval, pings.write_tasks),
    )

"""The loops of the automations: one tick per duty."""

from libs.runtime.loop import Duty
from services.automations.deadlines import Deadlines
from services.automations.settings import AutomationsSettings
from services.automations.upkeep import Upkeep


def duties(settings: AutomationsSettings, deadlines: Deadlines, upkeep: Upkeep) -> tuple[Duty, ...]:
    """All of them."""
    return (
        Duty("deadlines", settings.sla_tick, deadlines.of_runs),
        Duty("agent_slas", settings.agent_sla_tick, deadlines.of_agents),
        Duty("automations_sweep", settings.automations_sweep, upkeep.tick),
    )

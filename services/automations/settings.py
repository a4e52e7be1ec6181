"""Settings of the automations. Those of deliveries are in `delivery/settings.py`."""

from datetime import timedelta

from pydantic import Field

from libs.runtime.settings import ServiceSettings


class AutomationsSettings(ServiceSettings):
    """How often deadlines are judged, and what links of messages begin with."""

    public_url: str = Field(
        default="http://127.0.0.1:4200",
        description="what links in messages begin with: where people reach the gateway, as HEADWATER_PUBLIC_URL there",
    )
    sla_tick: timedelta = Field(
        default=timedelta(seconds=1),
        description="how often to look for runs that have missed the deadline of an SLA",
    )
    agent_sla_tick: timedelta = Field(
        default=timedelta(seconds=5),
        description="how often to look for agents that no longer ask for work",
    )
    agent_sla_silence: timedelta = Field(
        default=timedelta(minutes=5),
        description="how long an agent may ask for no work until it counts as unhealthy; they ask every 10 s or so",
    )
    automations_sweep: timedelta = Field(
        default=timedelta(minutes=1),
        description="how often to look for state changes and runs whose events were lost, and for rules about what was"
        " deleted",
    )

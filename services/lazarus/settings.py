"""Settings of Lazarus."""

from datetime import timedelta

from pydantic import Field

from libs.runtime.settings import ServiceSettings


class LazarusSettings(ServiceSettings):
    """How often, how late, how many."""

    lazarus_tick: timedelta = Field(
        default=timedelta(minutes=10), description="how often distressed runs are looked for"
    )
    lazarus_after: timedelta = Field(
        default=timedelta(minutes=10),
        description="silence of a distressed run; twenty missed pings, or a pod that did not come up",
    )
    lazarus_limit: int = Field(
        default=10, ge=0, description="resurrections of a run before it is marked failed"
    )
    lazarus_tenant_rate: int = Field(
        default=5000, ge=1, description="proposals of one tick for one tenant; the rest wait a tick"
    )
    lazarus_spread: timedelta = Field(
        default=timedelta(minutes=8),
        description="many proposals of a tick are spread at random over this long, against a stampede:"
        " with the rate above ten a second, so 50,000 runs are back within two hours",
    )

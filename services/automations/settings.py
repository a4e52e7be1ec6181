"""Settings of the automations. Those of deliveries are in `delivery/settings.py`."""

from pydantic import Field

from libs.runtime.settings import ServiceSettings


class AutomationsSettings(ServiceSettings):
    """What every service has, and where people find what a message is about."""

    public_url: str = Field(
        default="http://127.0.0.1:4200",
        description="where people reach the gateway: links in messages begin with it",
    )

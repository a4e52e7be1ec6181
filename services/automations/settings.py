"""Settings of the automations."""

from libs.runtime.settings import ServiceSettings


class AutomationsSettings(ServiceSettings):
    """What every service has, and nothing of its own."""

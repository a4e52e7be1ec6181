"""The registry's settings."""

from pydantic import Field

from libs.runtime.settings import ServiceSettings


class RegistrySettings(ServiceSettings):
    """What every service needs, and the registry's own limit."""

    flow_json_limit: int = Field(
        default=64 << 20,
        gt=0,
        description="bytes of JSON that a compressed flow may hold; a flow of 10,000 tasks holds 7 MiB, "
        "and parsed JSON takes several times its size of memory",
    )

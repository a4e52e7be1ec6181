"""The registry's settings."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from libs.runtime.settings import AtMost, ServiceSettings


class RegistrySettings(ServiceSettings):
    """What every service needs, and the registry's own."""

    relations: ClassVar[tuple[AtMost, ...]] = (
        AtMost(
            lesser="piece_timeout",
            greater="registration_timeout",
            why="a registration would be collected while its newest piece still waits for the next",
        ),
    )

    flow_json_limit: int = Field(
        default=64 << 20,
        gt=0,
        description="bytes of JSON that a compressed flow may hold; a flow of 10,000 tasks holds 7 MiB, "
        "and parsed JSON takes several times its size of memory",
    )
    upkeep_interval: timedelta = Field(
        default=timedelta(seconds=2),
        description="how often unfinished registrations are looked for",
    )
    piece_timeout: timedelta = Field(
        default=timedelta(seconds=5),
        description="time without a new piece after which a flow's pieces are joined; clients send one a second",
    )
    registration_timeout: timedelta = Field(
        default=timedelta(hours=1),
        description="time without a new piece after which an unfinished registration is deleted; a client that "
        "is asked to slow down repeats a request for up to half an hour",
    )

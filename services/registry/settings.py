"""The registry's settings."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from libs.runtime.settings import AtMost, ServiceSettings


class RegistrySettings(ServiceSettings):
    """What every service needs, and the registry's own."""

    relations: ClassVar[tuple[AtMost, ...]] = (
        AtMost(
            lesser="pieces_left_after",
            greater="unfinished_after",
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
        description="how often pieces and registrations that a client left waiting are looked for",
    )
    pieces_left_after: timedelta = Field(
        default=timedelta(seconds=5),
        description="how long a flow's newest piece waits for the next; clients send it within moments",
    )
    unfinished_after: timedelta = Field(
        default=timedelta(hours=1),
        description="how long a registration in pieces waits for its next piece before it is collected; a client that "
        "is told to slow down repeats a request for up to half an hour",
    )

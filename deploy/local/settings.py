"""The user's settings for a local Headwater."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.contracts.services import SERVICES

_ROOT = Path(__file__).parents[2]
DATA = _ROOT / ".headwater" if (_ROOT / "Makefile").exists() else Path.home() / ".headwater"
"""Where the data is unless HEADWATER_DATA says: in a checkout, or of the person who installed the package."""


class LocalSettings(BaseSettings):
    """The environment's HEADWATER_DATA, _HOST, _PORT, _HEALTH_PORT and _AUTH."""

    model_config = SettingsConfigDict(env_prefix="HEADWATER_", frozen=True, extra="ignore")

    data: Path = Field(default=DATA, description="the data folder")
    host: str = Field(default="127.0.0.1", description="where the API listens")
    port: int = Field(default=4200, ge=0, le=65535, description="Prefect Server's port")
    health_port: int | None = Field(
        default=None,
        ge=1,
        # With --processes every service has one of the ports that follow.
        le=65536 - len(SERVICES),
        description="where /health, /ready and /metrics are on 127.0.0.1; with --processes the first of as many ports"
        " as there are services; unset: on the API's port",
    )
    auth: Literal["off", "required"] | None = Field(
        default=None, description="API keys; unset: off on a loopback address, required on others"
    )

    @property
    def keys_required(self) -> bool:
        """Whether callers must show an API key."""
        if self.auth is not None:
            return self.auth == "required"
        return self.host not in {"127.0.0.1", "::1", "localhost"}

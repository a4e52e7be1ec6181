"""The gateway's settings."""

from datetime import timedelta

from pydantic import Field

from libs.runtime.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """HTTP, limits and the read-only role, each with unit, default and reason."""

    reader_postgres_url: str = Field(
        description="postgresql:// URL of the read-only role that compiled queries run as"
    )
    reader_pool_size: int = Field(default=8, ge=1, description="root fields of queries run at once")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=4200, ge=0, le=65535, description="Prefect Server's port")
    body_limit: int = Field(
        default=16 << 20, ge=1024,
        description="bytes; clients send log batches of 4 MB and whole flows",
    )  # fmt: skip
    document_cache: int = Field(
        default=2000, ge=1, description="parsed and validated documents kept"
    )
    cors_origins: list[str] = Field(default=["*"], description="origins of web pages that may call")
    heartbeat_interval_seconds: float = Field(
        default=30.0, gt=0, description="how often Core's clients ping"
    )
    heartbeat_misses: int = Field(
        default=4, ge=1, description="missed pings in a row before a run counts as silent"
    )
    queue_limit: int = Field(default=25, ge=1, le=500, description="runs handed to an agent a poll")

    @property
    def silence(self) -> timedelta:
        """How long a run may be silent: four missed 30-second pings (the founding document)."""
        return timedelta(seconds=self.heartbeat_interval_seconds * self.heartbeat_misses)

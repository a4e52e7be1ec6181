"""The connections that read with the read-only role: one pool for compiled queries, one for small look-ups."""

from libs.runtime.database import Database
from libs.runtime.trace import Tracing
from services.gateway.reads import Reader
from services.gateway.settings import GatewaySettings

_ROWS_POOL_SIZE = 2
"""Connections for the small look-ups of resolvers, which must not wait behind long queries."""


class ReadPools:
    """Both pools; they are opened and closed together."""

    def __init__(self, settings: GatewaySettings, *, tracing: Tracing | None) -> None:
        url = settings.reader_postgres_url
        self.reader = Reader(
            url,
            pool_size=settings.reader_pool_size,
            answer_limit=settings.answer_limit,
            tracing=tracing,
        )
        self.rows = Database(url, pool_size=_ROWS_POOL_SIZE, name="gateway-rows", tracing=tracing)

    async def connect(self) -> None:
        """Open the pools. Raises when PostgreSQL cannot be reached."""
        await self.reader.connect()
        await self.rows.connect()

    async def close(self) -> None:
        """Close the pools."""
        await self.reader.close()
        await self.rows.close()

    async def failures(self) -> list[str]:
        """Why the read-only role is not usable, one sentence each."""
        try:
            await self.rows.ping()
        except Exception as error:  # any exception is the reason
            return [f"the read-only role does not answer: {type(error).__name__}"]
        return []

"""The API of a gateway as the holders of keys see it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from services.gateway.app import Gateway
from tests.support.gql import Gql

AsCaller = Callable[[str], Awaitable[Gql]]


@asynccontextmanager
async def callers_of(gateway: Gateway) -> AsyncIterator[AsCaller]:
    """Opens a client for each key, once, and closes them at the end."""
    async with AsyncExitStack() as exits:
        opened: dict[str, Gql] = {}

        async def caller(key: str) -> Gql:
            if key not in opened:
                url = f"http://127.0.0.1:{gateway.port}"
                gql = Gql(url, headers={"authorization": f"Bearer {key}"})
                opened[key] = await exits.enter_async_context(gql)
            return opened[key]

        yield caller

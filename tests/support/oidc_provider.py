"""An OpenID Connect provider of its own process (`oidc-provider-mock`): real discovery, codes, keys and signed tokens.

Its users have whatever claims a test gives them. A restart on the same port has new keys.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.eventually import eventually


class OidcProvider:
    """Starts and ends it, and logs people in there as a browser would."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.issuer = f"http://127.0.0.1:{port}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *, tokens_last: int = 3600) -> None:
        """`tokens_last` is in seconds; below 0 its tokens have expired before they are made."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "ignore", "-m", "oidc_provider_mock",
            "--port", str(self.port), "--token-max-age", str(tokens_last),
            env={**os.environ, "NO_COLOR": "1"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

        async def answers() -> bool:
            try:
                async with httpx.AsyncClient(timeout=30) as client:
                    answer = await client.get(f"{self.issuer}/.well-known/openid-configuration")
            except httpx.TransportError:
                return False
            return answer.status_code == 200

        await eventually(answers)

    async def stop(self) -> None:
        """End it; its port refuses from then on."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    async def user(self, subject: str, **claims: Any) -> None:
        """Somebody with these claims."""
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.put(f"{self.issuer}/users/{subject}", json=claims)
        answer.raise_for_status()

    async def agreed(self, address: str, subject: str) -> str:
        """Log in at the address that the gateway sent to; where the provider sends the browser then."""
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.post(address, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    async def refused(self, address: str) -> str:
        """Cancel there."""
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.post(address, data={"action": "deny"})
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


def asked(address: str) -> dict[str, str]:
    """The parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


@asynccontextmanager
async def oidc_provider(port: int) -> AsyncIterator[OidcProvider]:
    """One that runs."""
    provider = OidcProvider(port)
    await provider.start()
    try:
        yield provider
    finally:
        await provider.stop()

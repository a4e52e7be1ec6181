"""Clients of event streams that come back after every break, with the place where they were."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from httpx_sse import SSEError, aconnect_sse
from websockets.exceptions import WebSocketException

from tests.support.subscriber import say, socket_at

_BREAKS = (httpx.HTTPError, SSEError, WebSocketException, OSError, TimeoutError)
_AGAIN = 0.5  # seconds until the next attempt
_SUBSCRIPTION = (
    "subscription($after: String) {"
    " flow_run_events(after: $after) { status cursor events { id version } } }"
)


@dataclass(slots=True, eq=False)
class Resuming:
    """One client. `heard` is the newest version of each run that it was told, since the last gap if there was one."""

    url: str
    headers: Mapping[str, str]
    heard: dict[str, int] = field(default_factory=dict)
    statuses: list[str] = field(default_factory=list)
    opened: int = 0
    cursor: str | None = None

    async def run(self) -> None:
        """Listen until it is cancelled."""
        while True:
            with suppress(*_BREAKS):
                await self.listen()
            await asyncio.sleep(_AGAIN)

    async def listen(self) -> None:
        """Listen until the connection ends."""
        raise NotImplementedError

    def take(self, status: str, cursor: str | None, events: list[dict[str, Any]]) -> None:
        """A message."""
        self.opened += status == "open"
        self.statuses.append(status)
        self.cursor = cursor or self.cursor
        for event in events:
            if event.get("version") is not None:
                self.heard[event["id"]] = max(event["version"], self.heard.get(event["id"], 0))

    def knows(self, versions: Mapping[str, int]) -> bool:
        """Whether it was told these versions, or that something was missed."""
        return "gap" in self.statuses or all(
            self.heard.get(run, 0) >= version for run, version in versions.items()
        )


class EventSource(Resuming):
    """Of server-sent events."""

    async def listen(self) -> None:
        """As a browser does: the last id goes along."""
        headers = {**self.headers, **({"last-event-id": self.cursor} if self.cursor else {})}
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=30) as client,
            aconnect_sse(
                client, "GET", "/events", headers=headers, params={"kinds": "flow_run"}
            ) as source,
        ):
            async for message in source.aiter_sse():
                body = message.json() if message.data else {}
                self.take(message.event, message.id or None, body.get("hints", []))


class Subscriber(Resuming):
    """Of a GraphQL subscription."""

    async def listen(self) -> None:
        """With its last cursor as `after`."""
        async with socket_at(self.url, init={}, additional_headers=self.headers) as socket:
            payload = {"query": _SUBSCRIPTION, "variables": {"after": self.cursor}}
            await say(socket, type="subscribe", id="1", payload=payload)
            async for text in socket:
                told = orjson.loads(text)
                if told["type"] != "next":
                    return
                message = told["payload"]["data"]["flow_run_events"]
                self.take(message["status"], message["cursor"], message["events"])

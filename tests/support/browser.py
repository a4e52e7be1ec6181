"""A real Chromium: Debian's own, driven by Playwright. It says what a page did that no page may do."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    Response,
    async_playwright,
    expect,
)

from tests.support.eventually import eventually

_PROGRAM = os.environ.get("HEADWATER_TEST_CHROMIUM", "chromium")

PATIENCE = 60.0
"""Seconds that anything on a page may take in a test: others use the same cores. Only a failure waits so long."""

# One setting for the whole process: tests of one file must not change what those of another wait for.
expect.set_options(timeout=PATIENCE * 1000)

_LOOK = """async () => {
    // Two frames: what an answer sets off is drawn, and what is drawn may ask for more.
    for (let frame = 0; frame < 2; frame += 1)
        await new Promise(done => { requestAnimationFrame(() => setTimeout(done)); setTimeout(done, 250); });
    return document.querySelector('h1') !== null && document.querySelector('[aria-busy=true]') === null;
}"""
"""Whether a page has a title and says of no part that it is still loading."""

# An animation that is broken off and begun again has another promise of its end; the first one never comes.
_MOVING = """async () => {
    await Promise.race([new Promise(requestAnimationFrame), new Promise(done => setTimeout(done, 200))]);
    return document.getAnimations()
        .filter(each => each.playState === "running" && each.effect.getComputedTiming().endTime !== Infinity)
        .map(each => `${each.animationName ?? each.transitionProperty} of ${each.effect.target?.className}`);
}"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without a screen; fails where there is none, since a test that cannot look shows nothing."""
    program = shutil.which(_PROGRAM)
    if program is None:
        pytest.fail(
            "there is no Chromium: apt-get install chromium, or set HEADWATER_TEST_CHROMIUM"
        )
    async with async_playwright() as playwright:
        # Root has no user namespace to give away; nothing but our own pages is opened.
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(slots=True)
class Watched:
    """A page, and what went wrong on it: errors of scripts, refusals of the policy, requests that failed or left."""

    page: Page
    faults: list[str] = field(default_factory=list)
    _asked: set[Request] = field(default_factory=set)

    @classmethod
    def of(cls, page: Page, origin: str) -> "Watched":
        """Watch a page that may ask `origin` and nobody else."""
        watched = cls(page)
        page.set_default_timeout(PATIENCE * 1000)

        def on_console(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                watched.faults.append(f"{message.type}: {message.text}")

        def on_response(response: Response) -> None:
            if not response.url.startswith((origin, "data:", "blob:")):
                watched.faults.append(f"asked {response.url}")
            if response.status >= 400:
                watched.faults.append(f"{response.status} of {response.url}")

        def on_request(request: Request) -> None:
            if urlsplit(request.url).path.endswith("/graphql"):
                watched._asked.add(request)

        def on_end(request: Request) -> None:
            watched._asked.discard(request)

        page.on("console", on_console)
        page.on("pageerror", lambda error: watched.faults.append(f"script: {error}"))
        page.on("response", on_response)
        page.on("request", on_request)
        page.on("requestfinished", on_end)
        page.on("requestfailed", on_end)
        return watched

    async def settled(self) -> None:
        """Wait until the page has shown what it shows: nothing is asked, no part is busy, twice in a row.

        A page that has not begun is not busy either, so that alone says nothing: there must be a title.
        """
        calm = 0

        async def is_settled() -> bool:
            nonlocal calm
            is_calm = not self._asked and await self.page.evaluate(_LOOK) and not self._asked
            calm = calm + 1 if is_calm else 0
            return calm >= 2

        await eventually(is_settled, timeout=PATIENCE)

    async def drawn(self) -> None:
        """Wait until nothing fades or moves any more, except what does so for ever."""

        async def is_still() -> bool:
            moving = await self.page.evaluate(_MOVING)
            assert moving == []
            return True

        await eventually(is_still, timeout=PATIENCE)

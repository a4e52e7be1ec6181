"""A real Chromium: Debian's own, driven by Playwright. It says what a page did that no page may do."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Response, async_playwright

_PROGRAM = os.environ.get("HEADWATER_TEST_CHROMIUM", "chromium")


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

    @classmethod
    def of(cls, page: Page, origin: str) -> "Watched":
        """Watch a page that may ask `origin` and nobody else."""
        watched = cls(page)

        def on_console(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                watched.faults.append(f"{message.type}: {message.text}")

        def on_response(response: Response) -> None:
            if not response.url.startswith((origin, "data:", "blob:")):
                watched.faults.append(f"asked {response.url}")
            if response.status >= 400:
                watched.faults.append(f"{response.status} of {response.url}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: watched.faults.append(f"script: {error}"))
        page.on("response", on_response)
        return watched

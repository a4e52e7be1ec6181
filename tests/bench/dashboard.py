"""How fast and how light the dashboard is: `python -m tests.bench.dashboard [--runs 1000000] [--soak MINUTES]`.

Needs the built pages (`make dashboard`) and Chromium. All services run in this process on engines of their own; rows
come by plain SQL, about two minutes for a million runs. Each figure stands beside its budget, and one that is more than
a tenth over it fails the benchmark. Times are medians of `--times` page loads, each in a browser context without
anything cached; the longest task of the main thread is the longest of all loads.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
from playwright.async_api import Browser, CDPSession, Page, expect

from libs.runtime.ids import new_id
from services.gateway.dashboard import BUILT_PAGES
from tests.bench.dashboard_rows import LAST_LINE, LINES, NEEDLE, Rows, write_rows
from tests.support.browser import chromium
from tests.support.engines import postgres_for_tests, stack_on
from tests.support.gql import Gql
from tests.support.services import all_services

TOLERANCE = 1.1
# Long enough for pages that are far over their budget to be measured, too.
expect.set_options(timeout=60_000)

_WATCH = """
    window.hwLong = 0; window.hwUsable = 0;
    new PerformanceObserver(l => {
        for (const e of l.getEntries()) window.hwLong = Math.max(window.hwLong, e.duration);
    })
        .observe({type: 'longtask', buffered: true});
    const look = () => {
        if (document.querySelector('main h1') && !document.querySelector('[aria-busy=true]'))
            window.hwUsable = performance.now();
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
"""
"""Run in each page before its own scripts: what the browser itself says of its paints and tasks."""
_SCROLL = """async element => {
    let frames = 0; const began = performance.now(); let last = began; let worst = 0;
    while (performance.now() - began < 2000) {
        element.scrollTop += 60;
        await new Promise(requestAnimationFrame);
        const now = performance.now(); worst = Math.max(worst, now - last); last = now; frames += 1;
    }
    return frames / ((performance.now() - began) / 1000);
}"""


@dataclass(slots=True)
class Report:
    """Figures beside their budgets."""

    over: list[str] = field(default_factory=list)

    def say(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        most: float | None = None,
        least: float | None = None,
    ) -> None:
        """Print a figure, and remember one that is more than a tenth over its budget."""
        bad = (most is not None and value > most * TOLERANCE) or (
            least is not None and value < least / TOLERANCE
        )
        budget = (
            f"<= {most:g}" if most is not None else f">= {least:g}" if least is not None else ""
        )
        print(f"{name:58}{value:10.1f} {unit:7}{budget:>10}{'  OVER' if bad else ''}", flush=True)
        if bad:
            self.over.append(name)


class Bench:
    """A browser before a gateway with many rows."""

    def __init__(self, browser: Browser, url: str, slug: str, times: int) -> None:
        self._browser = browser
        self._url = url
        self._at = f"{url}/{slug}"
        self._times = times
        self.report = Report()

    @asynccontextmanager
    async def page(self, *, throttle: int = 1) -> AsyncIterator[tuple[Page, CDPSession]]:
        """A page in a context without anything cached; `throttle` makes its CPU so many times slower."""
        context = await self._browser.new_context(viewport={"width": 1280, "height": 860})
        await context.add_init_script(_WATCH)
        page = await context.new_page()
        session = await context.new_cdp_session(page)
        if throttle > 1:
            await session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
        try:
            yield page, session
        finally:
            await context.close()

    async def timed(
        self, path: str, shown: Callable[[Page], Awaitable[object]]
    ) -> tuple[float, float]:
        """Median milliseconds from an address to what is `shown`, and the longest task of the main thread."""
        times, longest = [], 0.0
        for _ in range(self._times):
            async with self.page() as (page, _):
                began = time.perf_counter()
                await page.goto(self._at + path, wait_until="commit")
                await shown(page)
                times.append((time.perf_counter() - began) * 1000)
                longest = max(longest, await page.evaluate("window.hwLong"))
        return statistics.median(times), longest

    async def sizes(self) -> None:
        """What the first page loads, as gzip makes it; and the largest part that comes later."""
        loaded: set[str] = set()
        async with self.page() as (page, _):
            page.on(
                "response", lambda response: loaded.add(response.url.removeprefix(self._url + "/"))
            )
            await page.goto(self._at)
            await expect(page.locator("h1")).to_be_visible()
        size = {
            path.name.removesuffix(".gz"): path.stat().st_size / 1000
            for path in BUILT_PAGES.glob("assets/*.gz")
        }
        first = {url.rpartition("/")[2] for url in loaded}
        self.report.say(
            "JS of the first page, gzip",
            sum(size[n] for n in first & size.keys() if n.endswith(".js")),
            "KB",
            most=250,
        )
        self.report.say(
            "CSS of the first page, gzip",
            sum(size[n] for n in first & size.keys() if n.endswith(".css")),
            "KB",
            most=60,
        )
        later = {
            n: s for n, s in size.items() if n not in first and not n.startswith(_OF_THE_EDITOR)
        }
        name, largest = max(later.items(), key=lambda item: item[1])
        self.report.say(
            f"largest part that comes later ({name.partition('-')[0]}), gzip",
            largest,
            "KB",
            most=60,
        )

    async def cold(self) -> None:
        """First content and a usable page, nothing cached, a CPU four times slower."""
        paints, usable = [], []
        for _ in range(self._times):
            async with self.page(throttle=4) as (page, _):
                await page.goto(self._at)
                await page.wait_for_timeout(500)
                await expect(page.locator("main h1")).to_be_visible()
                await expect(page.locator("[aria-busy=true]")).to_have_count(0)
                paints.append(
                    await page.evaluate(
                        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
                    )
                )
                usable.append(await page.evaluate("window.hwUsable || performance.now()"))
        self.report.say(
            "first content, cold, 4x slower CPU", statistics.median(paints), "ms", most=1200
        )
        self.report.say("usable, cold, 4x slower CPU", statistics.median(usable), "ms", most=2000)

    async def lists(self, runs: int) -> None:
        """First rows of the lists behind many runs."""
        shown, _ = await self.timed(
            "/runs",
            lambda page: expect(page.get_by_text("run-1", exact=True).first).to_be_visible(),
        )
        self.report.say(f"first rows of runs, {runs:,} runs", shown, "ms", most=1000)
        shown, _ = await self.timed("", _no_longer_busy)
        self.report.say(f"overview, {runs:,} runs", shown, "ms", most=1000)
        shown, _ = await self.timed("/flows", _no_longer_busy)
        self.report.say("flows, 201 flows", shown, "ms", most=1000)
        shown, _ = await self.timed(
            "/agents", lambda page: expect(page.get_by_text("dead-").first).to_be_visible()
        )
        self.report.say("agents, 500 dead", shown, "ms", most=1000)

    async def mapped(self, run: UUID) -> None:
        """A run of three mapped tasks with 10,000 children each."""
        shown, longest = await self.timed(f"/flow-run/{run}", _no_longer_busy)
        self.report.say("page of a run of 3 x 10,000 children", shown, "ms", most=1000)
        self.report.say("... its longest task of the main thread", longest, "ms", most=200)
        async with self.page() as (page, session):
            await page.goto(f"{self._at}/flow-run/{run}")
            await page.get_by_role("button", name="Children").first.click()
            rows = page.get_by_label("Mapped children").first
            await expect(rows.get_by_role("link").nth(10)).to_be_attached()
            await page.wait_for_timeout(500)
            self.report.say(
                "... scrolling its children", await rows.evaluate(_SCROLL), "frames/s", least=50
            )
            began = time.perf_counter()
            await rows.evaluate("element => { element.scrollTop = element.scrollHeight }")
            await expect(rows.get_by_text("[9999]")).to_be_visible()
            self.report.say(
                "... the last of its children",
                (time.perf_counter() - began) * 1000,
                "ms",
                most=1000,
            )
            self.report.say("... heap", await _heap(session), "MB", most=200)

    async def logs(self, run: UUID, lines: int) -> None:
        """A log of 100,000 lines: opened at its end, a word on line 50,000 found."""
        path = f"/flow-run/{run}?tab=logs"
        shown, _ = await self.timed(
            path,
            lambda page: expect(page.get_by_role("log").get_by_text(LAST_LINE)).to_be_visible(),
        )
        self.report.say(f"log of {lines:,} lines opened at its end", shown, "ms", most=1500)
        found = []
        async with self.page() as (page, session):
            await page.goto(self._at + path)
            await expect(page.get_by_role("log").get_by_text(LAST_LINE)).to_be_visible()
            began = time.perf_counter()
            await page.get_by_label("Text in the log").first.fill(NEEDLE)
            await expect(page.get_by_role("log").get_by_text(NEEDLE).first).to_be_visible()
            found.append((time.perf_counter() - began) * 1000)
            self.report.say(
                "... a word on line 50,000 found", statistics.median(found), "ms", most=1000
            )
            self.report.say("... heap", await _heap(session), "MB", most=150)

    async def graph(self, group: UUID) -> None:
        """The graph of 3,000 tasks."""
        shown, longest = await self.timed(
            f"/flow/{group}?tab=graph",
            lambda page: expect(page.locator(".react-flow__node").first).to_be_visible(),
        )
        self.report.say("graph of 3,000 tasks", shown, "ms", most=2000)
        self.report.say("... its longest task of the main thread", longest, "ms", most=200)

    async def idle(self, seconds: int) -> None:
        """How often a tab that nobody touches asks."""
        asked: list[str] = []
        async with self.page() as (page, _):
            await page.goto(self._at)
            await _no_longer_busy(page)
            page.on("request", lambda request: asked.append(request.url))
            await page.wait_for_timeout(seconds * 1000)
        self.report.say(
            "requests of an idle visible tab", len(asked) * 60 / seconds, "/min", most=6
        )

    async def soak(self, run: UUID, minutes: float, write: Callable[[], Awaitable[object]]) -> None:
        """Heap while lines come in at 20 a second, after a tenth of the time and at the end."""
        async with self.page() as (page, session):
            await page.goto(f"{self._at}/flow-run/{run}?tab=logs")
            await expect(page.get_by_role("log")).to_be_visible()
            began, before = time.monotonic(), 0.0
            while (past := time.monotonic() - began) < minutes * 60:
                if before == 0.0 and past > minutes * 6:
                    before = await _heap(session)
                await write()
                await page.wait_for_timeout(1000)
            self.report.say(
                f"heap growth in {minutes:g} min of 20 lines a second",
                await _heap(session) - before,
                "MB",
                most=20,
            )


_OF_THE_EDITOR = (
    "editor",
    "codemirror",
    "generated",
    "sublime",
    "show-hint",
    "javascript",
    "search",
    "lint",
    "esm",
)
"""Parts of GraphiQL, a page of its own for developers."""


async def _no_longer_busy(page: Page) -> None:
    await expect(page.locator("main h1").first).to_be_visible()
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)


async def _heap(session: CDPSession) -> float:
    """Megabytes of JavaScript's heap after a collection."""
    await session.send("HeapProfiler.collectGarbage")
    found = await session.send("Runtime.getHeapUsage")
    return float(found["usedSize"]) / 1e6


async def measure(
    bench: Bench,
    rows: Rows,
    options: argparse.Namespace,
    pool: "asyncpg.Pool[asyncpg.Record]",
    tenant: UUID,
) -> None:
    """All figures, or those of `--only`."""

    async def write_lines() -> None:
        now = await pool.fetchval("SELECT now()")
        await pool.executemany(
            "INSERT INTO runs.log (id, created, tenant_id, flow_run_id, timestamp, level, name, message, sequence)"
            " VALUES ($1, $2, $3, $4, $2, 'INFO', 'soak', 'one more line of a busy run', 0)",
            [(new_id(), now, tenant, rows.logged_run) for _ in range(20)],
        )

    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "sizes": bench.sizes,
        "cold": bench.cold,
        "lists": lambda: bench.lists(options.runs),
        "mapped": lambda: bench.mapped(rows.mapped_run),
        "logs": lambda: bench.logs(rows.logged_run, options.lines),
        "graph": lambda: bench.graph(rows.wide_flow_group),
        "idle": lambda: bench.idle(options.idle),
    }
    if options.soak:
        parts["soak"] = lambda: bench.soak(rows.logged_run, options.soak, write_lines)
    for name in options.only or parts:
        try:
            await parts[name]()
        except (AssertionError, TimeoutError) as error:
            print(f"{name}: {str(error).splitlines()[0]}", flush=True)
            bench.report.over.append(name)


async def main(options: argparse.Namespace) -> int:
    """Start everything, write the rows, measure; 1 if a budget is exceeded."""
    async with (
        postgres_for_tests() as postgres,
        stack_on(postgres) as stack,
        all_services(stack) as gateway,
        Gql(f"http://127.0.0.1:{gateway.port}") as api,
    ):
        tenant: dict[str, Any] = (await api("{ tenant { id slug } }"))["tenant"][0]
        began = time.perf_counter()
        rows = await write_rows(
            stack.admin_pool, UUID(tenant["id"]), runs=options.runs, lines=options.lines
        )
        print(
            f"rows written in {time.perf_counter() - began:.0f} s; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        async with chromium() as browser:
            bench = Bench(browser, api.url, tenant["slug"], options.times)
            await measure(bench, rows, options, stack.admin_pool, UUID(tenant["id"]))
    if bench.report.over:
        print(f"over budget: {', '.join(bench.report.over)}")
    return 1 if bench.report.over else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--idle", type=int, default=60, help="seconds")
    parser.add_argument(
        "--soak", type=float, default=0, help="minutes on a busy run; the budget is for 60"
    )
    parser.add_argument("--only", nargs="*", help="sizes cold lists mapped logs graph idle soak")
    sys.exit(asyncio.run(main(parser.parse_args())))

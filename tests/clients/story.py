"""One cell's story: a user's machine with that client, its agent, and what came of it all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from libs.contracts.states import is_finished
from libs.runtime.ids import new_id
from services.gateway.keys import Role, fingerprint
from tests.clients.matrix import SCENARIOS, Cell, Mode
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.headwater import LOOK, Headwater
from tests.support.prefect_client import PrefectClient

INSIDE = Path(__file__).parent / "inside"

AT_ONCE = 4  # stories; each waits a good part of its time for the others' processors
SCRIPT_WITHIN = 180.0  # seconds, on two cores that other stories use, too
RUNS_WITHIN = 180.0

# Clients that confirm a cancellation do so within seconds; for the others the ledger does after this long.
CANCEL_DEADLINE = "PT25S"

RUN = """
query($id: uuid!) {
  flow_run_by_pk(id: $id) {
    id name state state_message parameters auto_scheduled version start_time end_time labels
    times_resurrected
    states(order_by: {version: asc}) { state version }
    task_runs(order_by: [{task: {slug: asc}}, {map_index: asc}]) {
      id map_index state task { name } states(order_by: {timestamp: asc}) { state }
    }
    logs(order_by: {timestamp: asc}) { level message name }
  }
}"""


@dataclass(slots=True, kw_only=True)
class Story:
    """What the user was told, and where to look for more."""

    cell: Cell
    tenant_id: str | None
    api: Gql
    """The API as an administrator of the cell's tenant sees it."""
    told: dict[str, dict[str, Any]]
    process_ended: bool = False
    """Whether the cancelled run's process was seen to end."""

    def of(self, chapter: str) -> Any:
        """What the chapter returned; a failed one fails the test with its own traceback."""
        outcome = self.told[chapter]
        assert "ok" in outcome, f"{self.cell.name}, {chapter}:\n{outcome['error']}"
        return outcome["ok"]

    @property
    def flows(self) -> dict[str, str]:
        """Flow ids by name."""
        found: dict[str, str] = self.of("flows")
        return found

    @property
    def runs(self) -> dict[str, str]:
        """Ids of the runs that were created by hand, by name."""
        found: dict[str, str] = self.of("runs")
        return found

    async def run(self, run_id: str) -> dict[str, Any]:
        """The flow run with all that belongs to it."""
        found: dict[str, Any] | None = (await self.api(RUN, id=run_id))["flow_run_by_pk"]
        assert found is not None, run_id
        return found

    async def finished(self, run_id: str) -> dict[str, Any]:
        """The same, at its end."""

        async def at_its_end() -> dict[str, Any]:
            run = await self.run(run_id)
            assert is_finished(run["state"]), f"{run['name']} is {run['state']}: {run['logs']}"
            return run

        return await eventually(at_its_end, timeout=RUNS_WITHIN, pause=LOOK)

    async def scheduled_runs(self) -> list[dict[str, Any]]:
        """The runs of the flow with a schedule, first one first."""
        query = """
        query($id: uuid!) {
          flow_run(where: {flow_id: {_eq: $id}}, order_by: {scheduled_start_time: asc}) {
            id state auto_scheduled
          }
        }"""
        found: list[dict[str, Any]] = (await self.api(query, id=self.of("schedule")["id"]))[
            "flow_run"
        ]
        return found


@dataclass(slots=True, kw_only=True)
class Stage:
    """A Headwater in one mode, and its database as the owner sees it."""

    mode: Mode
    headwater: Headwater
    database: asyncpg.Pool

    @classmethod
    @asynccontextmanager
    async def open(cls, mode: Mode, folder: Path) -> AsyncIterator[Stage]:
        """Start it. Lazarus looks every second, but his patience is the usual one: runs are made to look old."""
        async with (
            Headwater(
                folder,
                auth="off" if mode is Mode.SERVER else "required",
                lazarus_tick="PT1S",
                lazarus_spread="PT0S",
                cancel_deadline=CANCEL_DEADLINE,
                cancel_tick="PT1S",
            ) as headwater,
            asyncpg.create_pool(
                host="127.0.0.1",
                port=json.loads((headwater.data / "ports.json").read_text())["postgres"],
                user="headwater",
                password=headwater.secret("postgres"),
                database="headwater",
                min_size=0,
                max_size=2,
            ) as database,
        ):
            yield cls(mode=mode, headwater=headwater, database=database)

    async def tenant(self, cell: Cell) -> tuple[str, dict[Role, str]]:
        """A tenant of its own for a cell, with a key of each role.

        Written by the database's owner: where keys are required, no key reaches beyond its own tenant.
        """
        tenant_id, slug = new_id(), slug_of(cell)
        await self.database.execute(
            "INSERT INTO gateway.tenant (id, name, slug) VALUES ($1, $2, $3)",
            tenant_id,
            cell.name,
            slug,
        )
        pepper = (self.headwater.secret("gateway.key_pepper") or "").encode()
        found = {}
        for role in Role:
            found[role] = f"hw_{slug}-{role}"
            await self.database.execute(
                "INSERT INTO gateway.api_key (id, tenant_id, user_id, name, role, hash)"
                " VALUES ($1, $2, $3, $4, $5, $6)",
                new_id(),
                tenant_id,
                new_id(),
                role.value,
                role.value,
                fingerprint(found[role], pepper),
            )
        return str(tenant_id), found

    async def grow_old(self, run_ids: Sequence[str]) -> None:
        """Let an hour pass for these runs alone."""
        await self.database.execute(
            "UPDATE runs.flow_run SET state_timestamp = now() - interval '1 hour',"
            " heartbeat = now() - interval '1 hour' WHERE id = ANY($1::uuid[])",
            list(run_ids),
        )


@dataclass(slots=True)
class Fleet:
    """All stories of the session: begun together, told one by one."""

    folder: Path
    whole: bool
    stages: Mapping[Mode, Stage]
    exits: AsyncExitStack
    _stories: dict[Cell, asyncio.Task[Story]] = field(default_factory=dict)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def begin(self, cells: Sequence[Cell]) -> None:
        """Start the stories in this order."""
        for cell in cells:
            self._stories[cell] = asyncio.create_task(self._play(cell), name=cell.name)

    async def story(self, cell: Cell) -> Story:
        """The story of a cell, at its end."""
        return await asyncio.shield(self._stories[cell])

    async def stop(self) -> None:
        """End what is still going on."""
        for task in self._stories.values():
            task.cancel()
        await asyncio.gather(*self._stories.values(), return_exceptions=True)

    async def _play(self, cell: Cell) -> Story:
        async with self._turn:
            stage = self.stages[cell.mode]
            home = self.folder / cell.name
            keys: dict[Role, str] = {}
            tenant_id = None
            if cell.mode is Mode.CLOUD:
                tenant_id, keys = await stage.tenant(cell)
            headers = {"authorization": f"Bearer {keys[Role.TENANT_ADMIN]}"} if keys else {}
            api = await self.exits.enter_async_context(Gql(stage.headwater.url, headers=headers))
            client = await PrefectClient.installed(
                cell.version,
                url=stage.headwater.url,
                home=home,
                **settings_of(cell, stage.headwater.url, tenant_id, keys),
            )
            given = {
                "mode": cell.mode,
                "label": cell.name,
                "project": f"matrix {cell.name}",
                "home": str(home),
                "secret": f"pin of {cell.name}",
                "whole": self.whole,
                **{
                    scenario.name: scenario.absence(cell) is None
                    for scenario in SCENARIOS
                    if scenario.name in {"secrets", "artifacts", "script_storage", "module_storage"}
                },
            }
            told = await client.answer_of(
                INSIDE / "before.py", json.dumps(given), within=SCRIPT_WITHIN
            )
            story = Story(cell=cell, tenant_id=tenant_id, api=api, told=told)
            await self._run_everything(story, stage, client, given, keys)
            return story

    async def _run_everything(
        self,
        story: Story,
        stage: Stage,
        client: PrefectClient,
        given: dict[str, Any],
        keys: dict[Role, str],
    ) -> None:
        """Let the client's own agent take the runs, cancel one, and look at it all with the client."""
        if self.whole:
            await stage.grow_old([story.runs["lost"], story.runs["given up"]])
        arguments = ["--label", story.cell.name, "--import-path", given["home"]]
        if keys and story.cell.number >= (0, 15):
            arguments += ["--key", keys[Role.AGENT]]
        async with client.agent(*arguments) as agent:
            names = [name for name in story.runs if name not in {"endless", "given up"}]
            waited_for = [story.runs[name] for name in names]
            # The scheduler hears of a new schedule by an event, a moment after the client was answered.
            ahead = await eventually(story.scheduled_runs, timeout=RUNS_WITHIN, pause=LOOK)
            waited_for.append(ahead[0]["id"])
            if self.whole and (parent := story.told["parent"].get("ok")):
                waited_for.append(parent)
            to_do = [self._cancel(story, given)]
            if self.whole:
                to_do.append(self._widen(story))
            try:
                await asyncio.gather(*to_do, *(story.finished(run_id) for run_id in waited_for))
            except AssertionError as error:
                error.add_note(f"The agent of {story.cell.name} said:\n{agent.output()[-4000:]}")
                raise
            await self._all_said(story, given, scheduled=ahead[0]["id"])
            story.told |= await client.answer_of(
                INSIDE / "after.py",
                json.dumps(given | {"runs": story.runs}),
                within=SCRIPT_WITHIN,
            )
        if self.whole and keys:
            story.told |= await self._log_in(story, stage, given, keys[Role.TENANT_ADMIN])

    async def _all_said(self, story: Story, given: dict[str, Any], *, scheduled: str) -> None:
        """Wait for the last words of the runs: clients send lines every few seconds, and after the run has ended."""
        words = {
            story.runs["work"]: ["the sum is 42", "with an umlaut", "heartbeats: "],
            scheduled: ["heartbeats: "],
        }
        if given["secrets"]:
            words[story.runs["work"]].append("no such secret: ")
        if given["script_storage"]:
            words[story.runs["broken"]] = ["boom"]

        async def are_said() -> bool:
            for run_id, wanted in words.items():
                said = str((await story.run(run_id))["logs"])
                assert [text for text in wanted if text not in said] == []
            return True

        await eventually(are_said, timeout=RUNS_WITHIN, pause=LOOK)

    async def _log_in(
        self, story: Story, stage: Stage, given: dict[str, Any], key: str
    ) -> dict[str, dict[str, Any]]:
        """On another machine, where nothing is configured but the address."""
        person = await PrefectClient.installed(
            story.cell.version,
            url=stage.headwater.url,
            home=self.folder / f"{story.cell.name}-logs-in",
            PREFECT__BACKEND="cloud",
            PREFECT__CLOUD__API=stage.headwater.url,
            PREFECT__CLOUD__AUTH_TOKEN="",
        )
        slug = slug_of(story.cell)
        told: dict[str, dict[str, Any]] = await person.answer_of(
            INSIDE / "login.py",
            json.dumps(given | {"key": key, "slug": slug}),
            within=SCRIPT_WITHIN,
        )
        return told

    async def _widen(self, story: Story) -> None:
        """Allow one task of the limited tag at a time, once the run waits for it."""

        async def queued() -> bool:
            run = await story.run(story.runs["narrow"])
            return "Queued" in [task["state"] for task in run["task_runs"]]

        await eventually(queued, timeout=RUNS_WITHIN, pause=LOOK)
        widen = (
            "mutation($tag: String!) { update_task_tag_limit(input: {tag: $tag, limit: 1}) { id } }"
        )
        await story.api(widen, tag=f"narrow-{story.cell.name}")

    async def _cancel(self, story: Story, given: dict[str, Any]) -> None:
        """Cancel the endless run, once it is at it."""
        run_id = story.runs["endless"]
        pid = Path(given["home"]) / "endless.pid"
        await eventually(pid.exists, timeout=RUNS_WITHIN, pause=LOOK)
        cancel = "mutation($id: UUID!) { cancel_flow_run(input: {flow_run_id: $id}) { state } }"
        await story.api(cancel, id=run_id)
        await story.finished(run_id)
        if hears_cancellations(story.cell):
            process = int(pid.read_text())
            await eventually(
                lambda: (
                    not psutil.pid_exists(process)
                    or psutil.Process(process).status() == psutil.STATUS_ZOMBIE
                ),
                timeout=30,
                pause=LOOK,
            )
            story.process_ended = True


def slug_of(cell: Cell) -> str:
    """The slug of the cell's tenant."""
    return cell.name.replace(".", "-")


def hears_cancellations(cell: Cell) -> bool:
    """Whether its runs find out that they were cancelled: 0.8 with a heartbeat, 0.13 and later by asking.

    0.9 to 0.12 never ask. The ledger ends their runs when nobody confirms, and refuses what they write afterwards.
    """
    return cell.number >= (0, 13) or cell.number < (0, 9)


def settings_of(
    cell: Cell, url: str, tenant_id: str | None, keys: dict[Role, str]
) -> dict[str, str]:
    """The PREFECT__ variables of that client's user."""
    settings = {
        # Seconds. Clients look every 15 whether they were cancelled, and 0.8 with each heartbeat, every 30.
        "PREFECT__CLOUD__CHECK_CANCELLATION_INTERVAL": "1",
        # And every 30 whether there is room for a task that a limit keeps waiting.
        "PREFECT__CLOUD__QUEUE_INTERVAL": "1",
    }
    if cell.number < (0, 9):
        settings["PREFECT__CLOUD__HEARTBEAT_INTERVAL"] = "2"
    if cell.number < (0, 10):
        # A run of Local storage would wait for the schedule that was pickled with the flow.
        settings["PREFECT__FLOWS__RUN_ON_SCHEDULE"] = "false"
    if cell.mode is Mode.SERVER:
        return settings
    settings |= {"PREFECT__BACKEND": "cloud", "PREFECT__CLOUD__API": url}
    if cell.number >= (0, 15):
        assert tenant_id is not None
        return settings | {
            "PREFECT__CLOUD__API_KEY": keys[Role.TENANT_ADMIN],
            "PREFECT__CLOUD__TENANT_ID": tenant_id,
        }
    return settings | {
        "PREFECT__CLOUD__AUTH_TOKEN": keys[Role.TENANT_ADMIN],
        "PREFECT__CLOUD__AGENT__AUTH_TOKEN": keys[Role.AGENT],
    }

"""The demo itself, step by step."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from deploy.clients import install
from deploy.clients.surroundings import variables
from deploy.demo import evidence, tables
from deploy.demo.api import Api, Refused
from deploy.demo.children import Child, run_to_end
from deploy.demo.evidence import Evidence, Expected, FlowVersion
from deploy.demo.failure import DemoFailedError
from deploy.demo.narrator import Narrator, Tell
from libs.contracts.states import is_finished

CLIENT = "1.4.1"
HOST = "127.0.0.1"  # on other addresses Headwater requires API keys
PROJECT = "Headwater demo"
FLOWS = Path(__file__).parent / "flows"

ORDERS, FRESHNESS = "order-report", "freshness-check"
PARAMETERS = {"day": "2026-11-21", "shops": ["lisbon", "oslo", "zurich"]}

# Registering takes about two seconds and starting the agent as long; the instant comes after that.
FIRST_RUN_IN = 12

START_WITHIN = 120.0  # a first start creates the database; a loaded laptop takes its time
AGENT_WITHIN = 60.0
# The schedule may just have been missed, and then its next instant is a minute away.
FINISH_WITHIN = 150.0
LOGS_WITHIN = 30.0  # the client uploads them every five seconds and when it exits
ARCHIVE_WITHIN = 30.0  # the scheduler gets the change as an event
PLAN_WITHIN = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Addresses and folders."""

    port: int
    folder: Path
    data: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @classmethod
    def from_environment(cls) -> Settings:
        folder = Path(".demo").absolute()
        port = os.environ.get("HEADWATER_PORT", "4200")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise DemoFailedError(f"HEADWATER_PORT is {port!r}; it must be from 1 to 65535")
        return cls(
            port=int(port),
            folder=folder,
            data=Path(os.environ.get("HEADWATER_DATA") or folder / "data").absolute(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The unmodified Prefect client, pointed at our API."""

    environment: install.Environment
    variables: dict[str, str]

    def script(self, what: str, *arguments: str) -> str:
        command = [str(self.environment.python), *arguments]
        return run_to_end(what, command, env=self.variables)

    def cli(self, *arguments: str) -> str:
        command = [str(self.environment.prefect), *arguments]
        return run_to_end(f"`prefect {' '.join(arguments[:2])}`", command, env=self.variables)


@contextmanager
def whole_story(narrator: Narrator, settings: Settings) -> Iterator[str]:
    """Tell the story; the body runs at its end, with everything still up, and gets the address of the run's page."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as running:
        running.callback(lambda: narrator.note("everything that the demo started is stopped"))
        client = _client(narrator, settings)
        api = _headwater(narrator, settings, running)
        _register_both(narrator, api, client)
        agent = _agent(narrator, api, client, settings, running)
        expected, seen = _runs_and_versions(narrator, api, client, agent)
        narrator.console.print(tables.everything(seen))
        if found := evidence.problems(seen, expected):
            raise DemoFailedError("not everything is as it should be:\n  " + "\n  ".join(found))
        yield _page_of(api, expected.ad_hoc)


def _client(narrator: Narrator, settings: Settings) -> Client:
    with narrator.step(f"A Prefect {CLIENT} client in an environment of its own") as tell:
        try:
            environment = install.ensure(CLIENT, report=tell)
        except install.ClientInstallError as error:
            raise DemoFailedError(str(error)) from error
    home = settings.folder / "home"
    home.mkdir(exist_ok=True)
    return Client(
        environment=environment, variables=variables(environment, url=settings.url, home=home)
    )


def _headwater(narrator: Narrator, settings: Settings, running: ExitStack) -> Api:
    api = Api(settings.url)
    try:
        if api.answers():
            narrator.note(f"using the Headwater that already runs at {settings.url}")
            return api
    except Refused as refusal:
        raise DemoFailedError(
            f"what runs at {settings.url} refuses the demo ({refusal}); stop it, or set "
            "HEADWATER_PORT to a free port"
        ) from refusal
    with narrator.step("Headwater: PostgreSQL, NATS and its services") as tell:
        server = running.enter_context(
            Child.running(
                "Headwater",
                [sys.executable, "-m", "deploy.local", "run"],
                env=os.environ
                | {
                    "HEADWATER_DATA": str(settings.data),
                    "HEADWATER_HOST": HOST,
                    "HEADWATER_PORT": str(settings.port),
                },
                log=settings.folder / "headwater.log",
            )
        )
        _wait(
            "Headwater to answer",
            lambda: api.answers() or None,
            within=START_WITHIN,
            tell=lambda _: tell(_progress(server)),
            alive=server,
        )
    return api


def _progress(server: Child) -> str:
    """Headwater's last sentence for a person; the rest of its log is JSON."""
    said = [line for line in server.last_words(50).splitlines() if line.lstrip().startswith("·")]
    return said[-1].strip(" ·") if said else "starting"


def _register_both(narrator: Narrator, api: Api, client: Client) -> None:
    with narrator.step("Two flows registered with flow.register()") as tell:
        tell("creating the project")
        client.cli("create", "project", PROJECT)
        tell(ORDERS)
        client.script("registering orders.py", str(FLOWS / "orders.py"), PROJECT)
        tell(FRESHNESS)
        _register_freshness(client)
        # The scheduler gets the new flow as an event.
        freshness = _wait(
            "the scheduler to plan its runs", lambda: _planned(api), within=PLAN_WITHIN, tell=tell
        )
    for flow in (_current(api, ORDERS), freshness):
        made = f", its schedule has {flow.waiting} runs ahead" if flow.schedule_active else ""
        narrator.note(f"{flow.name} version {flow.version}{made}")


def _agent(
    narrator: Narrator, api: Api, client: Client, settings: Settings, running: ExitStack
) -> Child:
    with narrator.step("`prefect agent local start`") as tell:
        before = _agents(api)
        agent = running.enter_context(
            Child.running(
                "The agent",
                [str(client.environment.prefect), "agent", "local", "start"],
                env=client.variables,
                log=settings.folder / "agent.log",
            )
        )
        _wait(
            "the agent to ask for work",
            lambda: any(_agents(api)[key] != before.get(key) for key in _agents(api)) or None,
            within=AGENT_WITHIN,
            tell=tell,
            alive=agent,
        )
    return agent


def _runs_and_versions(
    narrator: Narrator, api: Api, client: Client, agent: Child
) -> tuple[Expected, Evidence]:
    first = _current(api, FRESHNESS)
    with narrator.step("An ad-hoc run and a scheduled one, to the end") as tell:
        ad_hoc = _run_orders(client)
        scheduled = _first_of_schedule(api, first)
        _wait(
            "both runs to finish",
            lambda: _all_finished(api, ad_hoc, scheduled),
            within=FINISH_WITHIN,
            tell=lambda _: tell(_where(api, ad_hoc, scheduled)),
            alive=agent,
        )
    with narrator.step(f"{FRESHNESS} registered again, as the version that replaces the first"):
        _register_freshness(client, "--alert")
        second = _current(api, FRESHNESS)
    narrator.note(f"version {second.version} archived version {first.version}")
    narrator.note(f"a run of version {first.version} is now refused: {_refusal(api, first)}")
    expected = Expected(
        ad_hoc=ad_hoc,
        parameters=PARAMETERS,
        scheduled=scheduled,
        mapped_task="fetch_orders",
        mapped_children=len(PARAMETERS["shops"]),
        retried_task="exchange_rates",
        ad_hoc_log="3 shops sold for 4910.40 EUR on 2026-11-21",
        scheduled_log="the newest order is 12 minutes old",
        superseded=first.id,
        successor=second.id,
    )
    with narrator.step("Everything read back over GraphQL") as tell:
        return expected, _settled(api, expected, tell)


def _page_of(api: Api, flow_run_id: str) -> str:
    """Where a browser shows the run."""
    [tenant] = api.ask("{ tenant(limit: 1) { slug } }")["tenant"]
    return f"{api.url}/{tenant['slug']}/flow-run/{flow_run_id}"


def _settled(api: Api, expected: Expected, tell: Tell) -> Evidence:
    """The evidence, as soon as data that comes by events or in batches has arrived; after a time-out as it is."""
    last: list[Evidence] = []

    def all_there() -> Evidence | None:
        seen = evidence.collect(
            api, project=PROJECT, ad_hoc=expected.ad_hoc, scheduled=expected.scheduled
        )
        last[:] = [seen]
        return None if evidence.problems(seen, expected) else seen

    try:
        return _wait("the last logs", all_there, within=max(LOGS_WITHIN, ARCHIVE_WITHIN), tell=tell)
    except DemoFailedError:
        if last:
            return last[0]  # checked by the caller, which can say what exactly is missing
        raise


def _register_freshness(client: Client, *options: str) -> None:
    client.script(
        "registering freshness.py",
        str(FLOWS / "freshness.py"),
        PROJECT,
        str(FIRST_RUN_IN),
        *options,
    )


def _run_orders(client: Client) -> str:
    """Start it as a user would, and return the id that the client printed."""
    given = [f"--param={name}={json.dumps(value)}" for name, value in PARAMETERS.items()]
    said = client.cli("run", "--project", PROJECT, "--name", ORDERS, "--quiet", *given)
    return said.strip().splitlines()[-1].strip()


def _current(api: Api, name: str) -> FlowVersion:
    for flow in evidence.flows(api, project=PROJECT):
        if flow.name == name and not flow.archived:
            return flow
    raise DemoFailedError(f"{name} is registered, but the API shows no current version of it")


def _planned(api: Api) -> FlowVersion | None:
    """The flow with a schedule, once its runs are there."""
    flow = _current(api, FRESHNESS)
    return flow if flow.waiting else None


def _agents(api: Api) -> dict[str, str | None]:
    """When each agent last asked for work."""
    return {
        row["id"]: row["last_queried"] for row in api.ask("{ agent { id last_queried } }")["agent"]
    }


def _first_of_schedule(api: Api, flow: FlowVersion) -> str:
    query = """
    query($flow_id: uuid!) {
      flow_run(
        where: {flow_id: {_eq: $flow_id}, auto_scheduled: {_eq: true}}
        order_by: {scheduled_start_time: asc}, limit: 1
      ) { id }
    }"""
    rows = api.ask(query, flow_id=flow.id)["flow_run"]
    if not rows:
        raise DemoFailedError(f"the schedule of {flow.name} has made no runs")
    run_id: str = rows[0]["id"]
    return run_id


def _run(api: Api, run_id: str) -> dict[str, Any]:
    query = "query($id: uuid!) { flow_run_by_pk(id: $id) { state name flow { name } } }"
    run: dict[str, Any] | None = api.ask(query, id=run_id)["flow_run_by_pk"]
    if run is None:
        raise DemoFailedError(f"flow run {run_id} was created, but the API does not know it")
    return run


def _all_finished(api: Api, *run_ids: str) -> bool | None:
    return all(is_finished(_run(api, run_id)["state"]) for run_id in run_ids) or None


def _where(api: Api, *run_ids: str) -> str:
    runs = [_run(api, run_id) for run_id in run_ids]
    return ", ".join(f"{run['flow']['name']}: {run['state']}" for run in runs)


def _refusal(api: Api, flow: FlowVersion) -> str:
    mutation = """
    mutation($flow_id: UUID!) { create_flow_run(input: {flow_id: $flow_id}) { id } }"""
    try:
        api.ask(mutation, flow_id=flow.id)
    except Refused as refusal:
        return str(refusal)
    raise DemoFailedError(f"an archived flow ({flow.name} version {flow.version}) could be run")


def _wait(
    what: str,
    probe: Callable[[], T | None],
    *,
    within: float,
    tell: Tell,
    alive: Child | None = None,
) -> T:
    """Return the probe's first answer that is not None."""
    began = time.monotonic()
    while time.monotonic() - began < within:
        if alive:
            alive.check()
        if (answer := probe()) is not None:
            return answer
        tell(f"waiting for {what}")
        time.sleep(0.5)
    words = f"\n{alive.name} said last ({alive.log}):\n{alive.last_words()}" if alive else ""
    raise DemoFailedError(f"waited {within:.0f} s for {what}, in vain{words}")

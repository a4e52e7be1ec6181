"""Secrets that a story uses are found afterwards in no log, error, event, process list or dump of the database."""

import asyncio
import base64
import traceback
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import nats
import psutil
import pytest
from structlog.testing import capture_logs

from deploy.engines.programs import postgres_binaries
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.services import all_services

PEPPER = "pepper-5b0c8c1e7d-of-the-story"
FIRST = "hw_first-6d1f0e9a3c-of-the-story"
GUESS = "hw_guess-93ab77c2de-of-the-story"
VALUE = "value-7c55e2a1b8-of-a-secret"
SEED = "5eed" * 16
OPEN = "project-0f3d9b6a21-which-is-no-secret"
"""Must be found in the database, else the search itself finds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What the story left, by the place where it was left."""

    secrets: dict[str, str]
    places: dict[str, str]

    def found(self) -> set[tuple[str, str]]:
        """Which secret is where, in clear or merely written in another way."""
        return {
            (name, place)
            for place, text in self.places.items()
            for name, secret in self.secrets.items()
            if any(form in text for form in _forms(secret))
        }


def _forms(secret: str) -> tuple[str, ...]:
    raw = secret.encode()
    return secret, raw.hex(), base64.b64encode(raw).decode().rstrip("=")[:-1]


@pytest.fixture(scope="module")
async def traces(stack: Stack) -> Traces:
    with capture_logs() as logged:
        async with AsyncExitStack() as exits:
            gateway = await exits.enter_async_context(
                all_services(
                    stack, auth="required", key_pepper=PEPPER, bootstrap_key=FIRST, nats_issuer_seed=SEED,
                )
            )  # fmt: skip
            url = f"http://127.0.0.1:{gateway.port}"
            api = await exits.enter_async_context(
                Gql(url, headers={"authorization": f"Bearer {FIRST}"})
            )
            guesser = await exits.enter_async_context(
                Gql(url, headers={"authorization": f"Bearer {GUESS}"})
            )
            drawn, answered = await _story(stack, api, guesser)
            commands = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
            events = await eventually(lambda: _published(stack.nats_url), timeout=60)
            dump = await _dump(stack.owner_url)
    return Traces(
        secrets={"pepper": PEPPER, "first key": FIRST, "guess": GUESS, "value": VALUE, "seed": SEED} | drawn,
        places={
            "log": "\n".join(_text_of(entry) for entry in logged),
            "engines' logs": _engine_logs(stack),
            "errors": answered,
            "events": events,
            "process list": str(commands),
            "database": dump,
        },
    )  # fmt: skip


async def _story(stack: Stack, api: Gql, guesser: Gql) -> tuple[dict[str, str], str]:
    """Use every kind of secret, well and badly. The secrets drawn on the way, and all error answers."""
    errors: list[Any] = []
    project = await api(f'mutation {{ create_project(input: {{name: "{OPEN}"}}) {{ id }} }}')
    await api(
        "mutation ($i: create_flow_input!) { create_flow(input: $i) { id } }",
        i={"serialized_flow": a_flow(OPEN), "project_id": project["create_project"]["id"]},
    )
    key = await api('mutation { create_api_key(input: {name: "k", role: "agent"}) { id key } }')
    token = await api('mutation { create_api_token(input: {name: "t", scope: "USER"}) { token } }')
    agent_id, agent_key = key["create_api_key"]["id"], key["create_api_key"]["key"]
    put = "mutation ($i: set_secret_input!) { set_secret(input: $i) { success } }"
    await api(put, i={"name": "s", "value": {"password": VALUE}})
    assert (await api('{ secret_value(name: "s") }'))["secret_value"] == {"password": VALUE}
    # refusals and failures, each with a secret at hand
    errors += await api.errors(put, i={"name": "nul\0", "value": VALUE})
    errors += await api.errors(put.replace("set_secret(", "set_secret_(", 1), i={"value": VALUE})
    await stack.admin_pool.execute("ALTER TABLE gateway.secret RENAME TO mislaid")
    errors += await api.errors(put, i={"name": "s", "value": VALUE})
    await stack.admin_pool.execute("ALTER TABLE gateway.mislaid RENAME TO secret")
    errors += await guesser.errors(put, i={"name": "s", "value": VALUE})
    errors += await guesser.errors("{ hello }")
    for header in (f"Basic {GUESS}", GUESS, f"Bearer {GUESS} {GUESS}"):
        async with Gql(api.url, headers={"authorization": header}) as odd:
            errors += await odd.errors("{ hello }")
    async with Gql(api.url, headers={"authorization": f"Bearer {agent_key}"}) as agent:
        assert await agent("{ hello }")
        errors += await agent.errors(put, i={"name": "s", "value": VALUE})
        await api(f'mutation {{ delete_api_key(input: {{key_id: "{agent_id}"}}) {{ success }} }}')

        async def refused() -> bool:
            return bool(await agent.errors("{ hello }"))

        await eventually(refused)
        errors += await agent.errors("{ hello }")
    return {"key": agent_key, "token": token["create_api_token"]["token"]}, str(errors)


def _text_of(entry: Any) -> str:
    """A log entry with all that could be printed of it."""
    error = entry.get("exc_info")
    trace = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
    return f"{dict(entry)} {trace}"


def _engine_logs(stack: Stack) -> str:
    supervisors = [engine for engine in (stack.postgres, stack.nats) if engine is not None]
    return "\n".join(engine._log.read_text(errors="replace") for engine in supervisors)


async def _published(url: str) -> str:
    """Everything, once the outbox has published what the story told first."""
    found = await _messages(url)
    return found if "hw.evt.project.created." in found else ""


async def _messages(url: str) -> str:
    """Everything that is in any stream, headers included."""
    client = await nats.connect(url)
    manager = client.jsm()
    found: list[str] = []
    for stream in await manager.streams_info():
        name = str(stream.config.name)
        for number in range(max(1, stream.state.first_seq), stream.state.last_seq + 1):
            try:
                message = await manager.get_msg(name, seq=number)
            except nats.js.errors.NotFoundError:
                continue
            body = (message.data or b"").decode(errors="replace")
            found.append(f"{message.subject} {message.headers} {body}")
    await client.close()
    return "\n".join(found)


async def _dump(url: str) -> str:
    program = postgres_binaries(None) / "pg_dump"
    process = await asyncio.create_subprocess_exec(
        str(program), "--dbname", url, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


def test_what_is_no_secret_is_found(traces: Traces) -> None:
    assert OPEN in traces.places["database"]
    assert "hw.evt.project.created." in traces.places["events"]
    assert "resolver_failed" in traces.places["log"]


def test_no_secret_is_found_anywhere(traces: Traces) -> None:
    assert traces.found() == set()

"""Every NATS user logs in to a real server, does its work, and tries what it must not do."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import nats
import pytest

from deploy.engines import EngineError
from deploy.provision import provision
from libs.contracts import streams, subjects
from libs.contracts.services import SERVICES
from libs.contracts.subjects import agent_inbox
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.guarded_nats import GuardedNats, embedded_nats, guarded_nats
from tests.support.serialized_flows import a_flow, a_schedule
from tests.support.services import all_services

OURS = UUID("00000000-0000-7000-8000-00000000000a")
THEIRS = UUID("00000000-0000-7000-8000-00000000000b")
X = "00000000-0000-7000-8000-0000000000ff"

EVERY_SUBJECT = [s.at(**dict.fromkeys(s.tokens, X)) for s in subjects.ALL]

MAY_SAY = {
    "gateway": (
        "hw.rpc.registry.",
        "hw.rpc.runs.",
        "hw.rpc.scheduler.",
        "hw.rpc.automations.",
        "hw.lines.",
        "hw.beat.",
        "hw.sig.heartbeat.task.",
        "hw.sig.gateway.key_changed.",
        "hw.sig.runs.due.",
    ),
    "registry": ("hw.evt.flow.", "hw.evt.flow_group.", "hw.evt.project."),
    "runs": (
        "hw.evt.flow_run.state_changed.",
        "hw.lines.",
        "hw.sig.agent.",
        "hw.sig.runs.due.",
        "hw.sig.runs.changed.",
    ),
    "scheduler": (
        "hw.work.runs.create_scheduled.",
        "hw.work.runs.clear_scheduled.",
        "hw.work.runs.forget_deleted.",
    ),
    "heartbeat": ("hw.evt.flow_run.zombie_detected.",),
    "lazarus": ("hw.work.runs.reschedule.",),
    "automations": (
        "hw.rpc.gateway.",
        "hw.rpc.runs.set_states",
        "hw.rpc.runs.create_flow_run",
        "hw.rpc.registry.set_schedule_active",
    ),
    "provision": (),
}

MAY_HEAR = {
    "gateway": (
        "hw.rpc.gateway.",
        "hw.sig.gateway.key_changed.",
        "hw.sig.runs.changed.",
        "hw.sig.service.alive.",
    ),
    "registry": ("hw.rpc.registry.",),
    "runs": ("hw.rpc.runs.", "hw.rpc.agents.", "hw.log.", "hw.sig.runs.due."),
    "scheduler": ("hw.rpc.scheduler.",),
    "heartbeat": ("hw.beat.", "hw.sig.heartbeat.task.", "hw.sig.service.alive."),
    "lazarus": (),
    "automations": ("hw.rpc.automations.",),
    "provision": (),
}

FORBIDDEN_TO_SERVICES = [
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.STREAM.UPDATE.EVENTS",
    "$JS.API.STREAM.MSG.GET.EVENTS",
    "$JS.API.STREAM.MSG.DELETE.EVENTS",
    "$JS.API.DIRECT.GET.LOGS",
    "$JS.API.CONSUMER.CREATE.EVENTS",
    "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.mine",
    "$JS.API.CONSUMER.DELETE.EVENTS.runs__zombies",
]
EPHEMERAL = "$JS.API.CONSUMER.CREATE.EVENTS"
"""What a gateway tells people comes from a consumer of its own that no other can name, and that ends with it."""
FORBIDDEN_TO_ALL = [
    "$JS.API.STREAM.DELETE.EVENTS",
    "$JS.API.STREAM.PURGE.EVENTS",
    "$JS.API.STREAM.SNAPSHOT.EVENTS",
    "$SYS.REQ.SERVER.PING",
    "anything.else",
]


@pytest.fixture(scope="module", params=[guarded_nats, embedded_nats])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[GuardedNats]:
    async with request.param([OURS, THEIRS], with_operator=True) as found:
        await provision(found.url("provision"))
        yield found


def test_everybody_is_tried() -> None:
    assert MAY_SAY.keys() == MAY_HEAR.keys()


async def test_the_right_password_is_accepted(server: GuardedNats) -> None:
    answer = await server.answer_to_login(**{"user": "runs", "pass": server.password("runs")})

    assert answer in {"+OK", "PONG"}


async def test_a_wrong_password_is_refused(server: GuardedNats) -> None:
    answer = await server.answer_to_login(**{"user": "runs", "pass": server.password("gateway")})

    assert answer == "-ERR 'Authorization Violation'"


async def test_nobody_enters_without_a_user(server: GuardedNats) -> None:
    assert await server.answer_to_login() == "-ERR 'Authorization Violation'"


async def test_only_the_provisioner_provisions(server: GuardedNats) -> None:
    with pytest.raises(EngineError, match="NATS refuses"):
        await provision(server.url("runs"))


@pytest.mark.parametrize("user", MAY_SAY)
async def test_a_user_says_what_is_its_own_and_nothing_else(server: GuardedNats, user: str) -> None:
    of_itself = f"hw.sig.service.alive.{user}"

    allowed = await server.may_publish(user, [*EVERY_SUBJECT, of_itself])

    expected = {s for s in EVERY_SUBJECT if s.startswith(MAY_SAY[user])} if MAY_SAY[user] else set()
    assert allowed == expected | ({of_itself} if user != "provision" else set())


@pytest.mark.parametrize("user", MAY_HEAR)
async def test_a_user_hears_what_is_its_own_and_nothing_else(
    server: GuardedNats, user: str
) -> None:
    everything = [">", "hw.>", "_INBOX.>", "$JS.>", "$SYS.>"]
    others = [f"_INBOX.{name}.>" for name in MAY_HEAR if name != user]

    allowed = await server.may_subscribe(user, [*EVERY_SUBJECT, *everything, *others])

    expected = (
        {s for s in EVERY_SUBJECT if s.startswith(MAY_HEAR[user])} if MAY_HEAR[user] else set()
    )
    assert allowed == expected


@pytest.mark.parametrize("user", [u for u in MAY_SAY if u != "provision"])
async def test_a_service_cannot_touch_streams_and_consumers(server: GuardedNats, user: str) -> None:
    allowed = await server.may_publish(user, [*FORBIDDEN_TO_SERVICES, *FORBIDDEN_TO_ALL])

    assert allowed == ({EPHEMERAL} if user == "gateway" else set())


async def test_not_even_the_provisioner_reads_or_deletes_a_stream_in_use(
    server: GuardedNats,
) -> None:
    in_use = [f"$JS.API.STREAM.DELETE.{stream.name}" for stream in streams.ALL]

    assert await server.may_publish("provision", [*FORBIDDEN_TO_ALL, *in_use]) == set()


async def test_the_provisioner_removes_the_streams_of_releases_before(server: GuardedNats) -> None:
    client = await nats.connect(server.url("operator"))
    js = client.jetstream()
    for name in streams.RETIRED:
        await js.add_stream(name=name, subjects=["hw.beat.>", "hw.silent.>"])

    await provision(server.url("provision"))

    kept = {info.config.name for info in await js.streams_info()}
    await client.close()
    assert kept == {stream.name for stream in streams.ALL}


@pytest.mark.parametrize("user", [name for name in SERVICES if name != "runs"])
async def test_nobody_fetches_or_acknowledges_from_the_durables_of_the_ledger(
    server: GuardedNats, user: str
) -> None:
    names = [(s.name, d.name) for s in streams.ALL for d in s.durables if d.service == "runs"]
    tried = [f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}" for stream, name in names]
    tried += [f"$JS.ACK.{stream}.{name}.1.1.1.1.1" for stream, name in names]

    assert await server.may_publish(user, tried) == set()


async def test_an_agent_says_and_hears_what_its_tenant_may(server: GuardedNats) -> None:
    user = f"agent-{OURS}"
    said = [f"hw.rpc.agents.{OURS}.{v}" for v in ("hello", "claim", "renew", "report", "drain")]
    said += [f"hw.log.{OURS}.{X}", f"hw.beat.{OURS}.{X}"]
    heard = [f"hw.sig.agent.{OURS}.work_ready", f"hw.sig.agent.{OURS}.cancel.{X}"]
    heard += [f"{agent_inbox(OURS)}.>"]

    assert await server.may_publish(user, said) == set(said)
    assert await server.may_subscribe(user, heard) == set(heard)


async def test_an_agent_reaches_nothing_of_another_tenant(server: GuardedNats) -> None:
    user = f"agent-{OURS}"
    of_theirs = [s.at(**dict.fromkeys(s.tokens, X) | {"tenant_id": THEIRS}) for s in subjects.ALL]
    wider = ["hw.log.*.*", "hw.sig.agent.>", f"{agent_inbox(THEIRS)}.>", "_INBOX.runs.>", ">"]

    assert await server.may_publish(user, of_theirs) == set()
    assert await server.may_subscribe(user, [*of_theirs, *wider]) == set()
    allowed = await server.may_publish(user, [*FORBIDDEN_TO_SERVICES, *FORBIDDEN_TO_ALL])

    assert allowed == ({EPHEMERAL} if user == "gateway" else set())


async def test_the_operator_finds_poison_and_publishes_it_again(server: GuardedNats) -> None:
    client = await nats.connect(server.url("operator"))
    js = client.jetstream()
    put_aside = subjects.DLQ.at(service="runs", noun="work")
    work = subjects.WORK_RESCHEDULE.at(flow_run_id=X)
    await js.publish(put_aside, b"{}", headers={"Hw-Subject": work})

    found = await js.get_last_msg("DLQ", put_aside)
    assert found.headers is not None
    again = await js.publish(found.headers["Hw-Subject"], b"{}")

    await client.close()
    assert again.stream == "WORK"


async def test_all_services_do_their_work_without_a_refusal(stack: Stack) -> None:
    async with AsyncExitStack() as exits:
        server = await exits.enter_async_context(guarded_nats())
        await provision(server.url("provision"))
        gateway = await exits.enter_async_context(all_services(stack, nats_url=server.url))
        api = await exits.enter_async_context(Gql(f"http://127.0.0.1:{gateway.port}"))
        created = await api(
            'mutation { create_project(input: {name: "guarded"}) { id } }',
        )
        flow = await api(
            "mutation ($input: create_flow_input!) { create_flow(input: $input) { id } }",
            input={
                "project_id": created["create_project"]["id"],
                "serialized_flow": a_flow(schedule=a_schedule()),
            },
        )
        flow_id = flow["create_flow"]["id"]
        # The registry tells the scheduler, which asks the ledger: events, durables and work.
        run = await eventually(lambda: _scheduled_run(api, flow_id), timeout=60)
        assert run is not None
        await api(
            "mutation ($id: UUID!) { update_flow_run_heartbeat(input: {flow_run_id: $id}) { success } }",
            id=run,
        )
        await api(
            "mutation ($logs: [write_run_log_input!]!) { write_run_logs(input: {logs: $logs}) { success } }",
            logs=[{"flow_run_id": run, "message": "words", "name": "test", "level": "INFO"}],
        )
        await eventually(lambda: _has_log(api, run), timeout=60)
        await api(
            "mutation ($id: UUID!) { archive_flow(input: {flow_id: $id}) { success } }", id=flow_id
        )
        await eventually(lambda: _is_empty(api, flow_id), timeout=60)

        assert server.violations() == []


async def _scheduled_run(api: Gql, flow_id: str) -> str | None:
    found = await api(
        "query ($id: uuid!) { flow_run(where: {flow_id: {_eq: $id}}, limit: 1) { id } }", id=flow_id
    )
    return found["flow_run"][0]["id"] if found["flow_run"] else None


async def _has_log(api: Gql, run: str) -> bool:
    found = await api(
        "query ($id: uuid!) { log(where: {flow_run_id: {_eq: $id}}) { message } }", id=run
    )
    return bool(found["log"])


async def _is_empty(api: Gql, flow_id: str) -> bool:
    """Archiving removes the runs that the schedule made."""
    found = await api(
        "query ($id: uuid!) { flow_run(where: {flow_id: {_eq: $id}}) { id } }", id=flow_id
    )
    return not found["flow_run"]

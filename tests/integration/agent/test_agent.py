"""headwater-agent as a process, against the real ledger: runs, output, cancelling, and every way to die."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest

from libs.contracts.runs import StateApplied
from libs.runtime.bus import Bus
from services.runs.app import Runs
from tests.support.agent_process import AgentProcess, agent_process, does, waits_for
from tests.support.cut import cut_before
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, bus_on, impatient_ledger_on, tenant_with_flow
from tests.support.pauses import paused
from tests.support.ports import free_port
from tests.support.raw_agent import raw_agent


@pytest.fixture(scope="module")
async def ledger(stack: Stack) -> AsyncIterator[Runs]:
    async with impatient_ledger_on(stack) as ledger:
        yield ledger


@pytest.fixture(scope="module")
async def bus(stack: Stack, ledger: Runs) -> AsyncIterator[Bus]:
    async with bus_on(stack) as bus:
        yield bus


@pytest.fixture
async def flow(stack: Stack, ledger: Runs) -> Flow:
    return await tenant_with_flow(stack.admin_pool)


@pytest.fixture
async def client(bus: Bus, flow: Flow) -> Client:
    return Client(bus, flow.tenant_id)


@pytest.fixture
async def agent(stack: Stack, flow: Flow, tmp_path: Path) -> AsyncIterator[AgentProcess]:
    async with agent_process(tmp_path / "one", stack.nats_url, flow.tenant_id) as agent:
        yield agent


async def state_of(stack: Stack, run_id: UUID) -> str:
    found: str = await stack.admin_pool.fetchval(
        "SELECT state FROM runs.flow_run WHERE id = $1", run_id
    )
    return found


async def becomes(stack: Stack, run_id: UUID, state: str, *, within: float = 50.0) -> None:
    """Well before the ledger itself ends a cancellation that nobody obeys."""

    async def probe() -> bool:
        found = await state_of(stack, run_id)
        assert found == state, found
        return True

    await eventually(probe, timeout=within)


async def begins(client: Client, run_id: UUID) -> None:
    """The process says that it runs, which the shell in its place cannot."""
    assert isinstance(await client.set(run_id, "Running"), StateApplied)


async def lines_of(stack: Stack, run_id: UUID) -> list[str]:
    rows = await stack.admin_pool.fetch(
        "SELECT message FROM runs.log WHERE flow_run_id = $1 AND name = 'stdout' ORDER BY timestamp, sequence",
        run_id,
    )
    return [row["message"] for row in rows]


async def test_a_due_run_is_started_and_its_output_kept(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess
) -> None:
    run_id = await client.create(
        flow, run_config=does("echo one; echo two >&2; printf 'no end of line'")
    )

    await agent.has_started(run_id)

    async def kept() -> bool:
        assert await lines_of(stack, run_id) == ["one", "two", "no end of line"]
        return True

    await eventually(kept, timeout=20)


async def test_prefects_own_records_are_not_kept_twice(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess
) -> None:
    script = r"""
        printf '[2026-11-22 10:00:00+0000] INFO - prefect.x | sent by Prefect\nover two lines\037\n'
        echo printed
    """
    run_id = await client.create(flow, run_config=does(script))

    async def kept() -> bool:
        return await lines_of(stack, run_id) == ["printed"]

    await eventually(kept, timeout=20)


async def test_a_run_that_ended_well_frees_its_place(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess, tmp_path: Path
) -> None:
    run_id = await client.create(flow, run_config=does(waits_for(tmp_path / "go")))
    await agent.has_started(run_id)
    await begins(client, run_id)
    await client.set(run_id, "Success")
    (tmp_path / "go").touch()

    await agent.has_said("is Success")

    runs = agent.folder / "state" / "runs"
    await eventually(lambda: not list(runs.iterdir()), timeout=20)
    lease = await stack.admin_pool.fetchval(
        "SELECT lease_token FROM runs.flow_run WHERE id = $1", run_id
    )
    assert lease is None


async def test_a_process_that_dies_before_its_run_began_is_started_again(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess
) -> None:
    run_id = await client.create(flow, run_config=does("exit 3"))

    await agent.has_started(run_id, times=2)

    message = await stack.admin_pool.fetchval(
        "SELECT message FROM runs.flow_run_state WHERE flow_run_id = $1 AND version = 3", run_id
    )
    assert message == "The flow run's process ended with exit code 3. It is queued again."


async def test_a_killed_process_is_reported_with_its_signal(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess
) -> None:
    run_id = await client.create(flow, run_config=does("sleep 60"))
    await agent.has_started(run_id)
    os.kill(agent.pids()[0], signal.SIGKILL)

    await agent.has_said("was ended by signal 9")
    await agent.has_said("is Scheduled")


async def test_a_folder_that_is_not_there_fails_the_run_as_the_stock_agent_does(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess
) -> None:
    run_id = await client.create(
        flow, run_config={"type": "LocalRun", "working_dir": "/nowhere/at/all"}
    )

    await becomes(stack, run_id, "Failed")

    message = await stack.admin_pool.fetchval(
        "SELECT state_message FROM runs.flow_run WHERE id = $1", run_id
    )
    assert message.endswith("has a nonexistent `working_dir` configured: /nowhere/at/all.")


async def test_a_cancelled_run_is_interrupted_and_cancelled(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess, tmp_path: Path
) -> None:
    trapped = tmp_path / "trapped"
    run_id = await client.create(
        flow,
        run_config=does(f"trap 'echo interrupted; exit 1' INT; touch '{trapped}'; sleep 60"),
    )
    await agent.has_started(run_id)
    await eventually(trapped.exists, timeout=20)
    await begins(client, run_id)

    await client.cancel(run_id)

    await becomes(stack, run_id, "Cancelled")

    async def kept() -> bool:
        return "interrupted" in await lines_of(stack, run_id)

    await eventually(kept, timeout=20)


async def test_a_process_that_will_not_stop_is_killed(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess
) -> None:
    run_id = await client.create(
        flow, run_config=does("trap '' INT TERM; while :; do sleep 0.1; done")
    )
    await agent.has_started(run_id)
    await begins(client, run_id)

    await client.cancel(run_id)

    await becomes(stack, run_id, "Cancelled")
    # Its end is reported when it is dead, which is a moment before its parent has reaped it.
    await eventually(lambda: not psutil.pid_exists(agent.pids()[0]), timeout=20)


async def test_a_process_whose_run_went_to_another_attempt_is_killed(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess
) -> None:
    run_id = await client.create(flow, run_config=does("sleep 60"))
    await agent.has_started(run_id)
    await begins(client, run_id)

    await stack.admin_pool.execute(
        "UPDATE runs.flow_run SET lease_token = gen_random_uuid() WHERE id = $1", run_id
    )

    await agent.has_said("its run went to another attempt")
    await eventually(lambda: not psutil.pid_exists(agent.pids()[0]), timeout=20)
    assert await state_of(stack, run_id) == "Running"


async def test_capacity_is_a_limit(
    stack: Stack, client: Client, flow: Flow, tmp_path: Path
) -> None:
    async with agent_process(
        tmp_path / "small", stack.nats_url, flow.tenant_id, "--capacity", "2"
    ) as agent:
        for _ in range(3):
            await client.create(flow, run_config=does("sleep 1; exit 0"))

        async def two_submitted() -> bool:
            states = await stack.admin_pool.fetch(
                "SELECT state FROM runs.flow_run WHERE tenant_id = $1", flow.tenant_id
            )
            return sorted(row["state"] for row in states) == ["Scheduled", "Submitted", "Submitted"]

        await eventually(two_submitted, timeout=20)
        await eventually(lambda: len(set(agent.started())) == 3, timeout=20)


async def test_a_killed_agent_leaves_its_runs_alive_and_the_next_one_takes_them_over(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess
) -> None:
    run_id = await client.create(
        flow, run_config=does("trap 'echo after; exit 0' TERM; echo before; sleep 60 & wait")
    )
    await agent.has_started(run_id)
    await begins(client, run_id)
    [pid] = agent.pids()

    await agent.kill()
    assert psutil.pid_exists(pid)
    await agent.start()
    await agent.has_said("found its process")
    await client.set(run_id, "Success")
    os.kill(pid, signal.SIGTERM)

    await agent.has_said("is Success")
    assert agent.started() == [str(run_id)]

    async def kept() -> bool:
        # A line may be kept twice: the agent may die between forwarding it and writing that down.
        assert sorted(set(await lines_of(stack, run_id))) == ["after", "before"]
        return True

    await eventually(kept, timeout=20)


async def test_what_ended_while_no_agent_was_there_is_reported_by_the_next(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess
) -> None:
    run_id = await client.create(flow, run_config=does("sleep 60"))
    await agent.has_started(run_id)
    await begins(client, run_id)
    await client.cancel(run_id)  # so that what the report does is to be seen
    await agent.kill()
    os.kill(agent.pids()[0], signal.SIGKILL)

    await agent.start()

    await becomes(stack, run_id, "Cancelled")


async def test_a_second_agent_on_the_same_state_folder_is_refused_with_a_sentence(
    agent: AgentProcess,
) -> None:
    second = AgentProcess(folder=agent.folder, command=agent.command)
    with pytest.raises(AssertionError, match="Another agent uses the state folder"):
        await second.start()


async def test_an_agent_that_slept_through_its_lease_starts_nothing(
    stack: Stack, ledger: Runs, client: Client, flow: Flow, agent: AgentProcess
) -> None:
    def claims() -> bool:
        """It says that it is ready before it does."""
        waiting = ledger.dispatch.dispatcher.waiting_agents()
        return flow.tenant_id in {tenant_id for tenant_id, _ in waiting}

    await eventually(claims)
    async with raw_agent(stack.nats_url, flow.tenant_id) as other:
        with paused(agent.running.pid):
            run_id = await client.create(flow, run_config=does("sleep 1"))
            await becomes(stack, run_id, "Submitted")
            [run] = await other.take(wait=20)
            await other.renew(run)
        later = await client.create(flow, run_config=does("sleep 0.1"))
        await agent.has_started(later)

    assert run.flow_run_id == run_id
    assert str(run_id) not in agent.started()


async def test_sigterm_waits_for_runs_and_takes_no_more(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess, tmp_path: Path
) -> None:
    running = await client.create(flow, run_config=does(waits_for(tmp_path / "go")))
    await agent.has_started(running)
    await begins(client, running)

    agent.signal(signal.SIGTERM)
    await agent.has_said("draining")
    waiting = await client.create(flow, run_config=does("true"))
    (tmp_path / "go").touch()
    code = await agent.gone()

    assert code == 0
    assert agent.started() == [str(running)]
    assert await state_of(stack, waiting) == "Scheduled"
    assert "lost the connection" not in agent.said(), "it left by itself"


async def test_a_second_sigterm_leaves_the_runs_to_the_next_agent(
    client: Client, flow: Flow, agent: AgentProcess
) -> None:
    run_id = await client.create(flow, run_config=does("sleep 60"))
    await agent.has_started(run_id)

    agent.signal(signal.SIGTERM)
    await agent.has_said("draining")
    agent.signal(signal.SIGTERM)

    assert await agent.gone() == 0
    assert psutil.pid_exists(agent.pids()[0])


async def test_live_processes_are_vouched_for(
    stack: Stack, bus: Bus, client: Client, flow: Flow, agent: AgentProcess
) -> None:
    pings = await bus.client.subscribe(f"hw.beat.{flow.tenant_id}.*")
    await bus.client.flush()
    run_id = await client.create(flow, run_config=does("sleep 60"))
    await agent.has_started(run_id)

    ping = await pings.next_msg(timeout=20)

    assert ping.subject == f"hw.beat.{flow.tenant_id}.{run_id}"
    assert (ping.reply, ping.headers, ping.data) == ("", None, b"")


async def test_a_restarted_broker_is_found_again(
    stack: Stack, client: Client, flow: Flow, agent: AgentProcess
) -> None:
    assert stack.nats is not None
    assert stack.nats.pid is not None
    patient = await client.create(flow, run_config=does("sleep 60"))
    await agent.has_started(patient)
    await begins(client, patient)

    os.kill(stack.nats.pid, signal.SIGKILL)  # its supervisor starts it again

    async def create() -> UUID:
        return await client.create(flow, run_config=does("true"))

    later = await eventually(create, timeout=60)
    await agent.has_started(later)
    assert agent.started().count(str(patient)) == 1


async def test_output_waits_on_disk_while_the_way_to_the_broker_is_cut_and_health_says_so(
    stack: Stack, client: Client, flow: Flow, tmp_path: Path
) -> None:
    port, go, done = free_port(), tmp_path / "go", tmp_path / "done"
    lines = [str(n) for n in range(3000)]

    def asked(path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5)

    async with (
        cut_before(stack.nats_url) as way,
        agent_process(
            tmp_path / "cut", way.url, flow.tenant_id, "--metrics-port", str(port)
        ) as agent,
    ):
        run_id = await client.create(
            flow,
            run_config=does(f"{waits_for(go)}; seq 0 2999; touch '{done}'; sleep 60"),
        )
        await agent.has_started(run_id)
        await begins(client, run_id)
        assert asked("/health").status_code == 200
        way.cut()
        go.touch()

        await eventually(done.exists, timeout=20)  # nobody reads what it prints, and it goes on
        await eventually(lambda: asked("/health").status_code == 503, timeout=20)
        way.mend()

        async def kept() -> bool:
            assert await lines_of(stack, run_id) == lines
            return True

        await eventually(kept, timeout=40)
        metrics = asked("/metrics").text
        assert "headwater_agent_started_total 1" in metrics
        assert "headwater_agent_running 1" in metrics
        assert asked("/elsewhere").status_code == 404
        assert agent.started() == [str(run_id)]

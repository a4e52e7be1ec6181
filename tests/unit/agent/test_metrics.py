"""What a Prometheus reads of the agent: names are a contract with people's alerts."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from libs.agent.metrics import Metrics, serve

COUNTERS = {
    "claims", "claimed_runs", "started", "adopted", "returned", "lost", "cancelled", "exited",
    "log_lines", "pings", "reconnects",
}  # fmt: skip


def samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    return {
        (
            sample.name.removeprefix("headwater_agent_"),
            ",".join(sample.labels.values()),
        ): sample.value
        for family in text_string_to_metric_families(metrics.text())
        for sample in family.samples
    }


async def test_every_counter_is_there_before_anything_has_happened() -> None:
    async with (
        await serve(Metrics(), lambda: True, port=0) as server,
        httpx.AsyncClient() as client,
    ):
        port = server.sockets[0].getsockname()[1]
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        health = await client.get(f"http://127.0.0.1:{port}/health")

    families = {f.name for f in text_string_to_metric_families(text)}
    assert families == {f"headwater_agent_{name}" for name in COUNTERS | {"due_to_start_seconds"}}
    assert health.status_code == 200


def test_what_is_counted_is_shown() -> None:
    metrics = Metrics()
    metrics.count("log_lines", 40)
    metrics.exited("failed")
    metrics.exited("failed")
    running = [3]
    metrics.gauge("running", "Processes that run", lambda: float(running[0]))
    running[0] = 4

    shown = samples(metrics)

    assert shown["log_lines_total", ""] == 40
    assert shown["exited_total", "failed"] == 2
    assert shown["running", ""] == 4


def test_a_start_counts_into_every_bucket_above_its_lateness() -> None:
    metrics = Metrics()
    metrics.started(0.03)
    metrics.started(60)

    shown = samples(metrics)

    assert shown["started_total", ""] == 2
    assert shown["due_to_start_seconds_bucket", "0.025"] == 0
    assert shown["due_to_start_seconds_bucket", "0.05"] == 1
    assert shown["due_to_start_seconds_bucket", "10.0"] == 1
    assert shown["due_to_start_seconds_bucket", "+Inf"] == 2
    assert shown["due_to_start_seconds_sum", ""] == 60.03


def test_two_agents_of_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.count("pings")

    assert samples(other)["pings_total", ""] == 0

"""The benchmarks that lean lanes answer to."""

from enum import StrEnum


class Benchmark(StrEnum):
    """Which benchmark shows that a lean lane is worth it (`make bench only=...`)."""

    RUNS = "runs"
    HEARTBEAT = "heartbeat"
    AGENT_DISPATCH = "agent_dispatch"
    STREAMS = "streams"
    AUTOMATIONS = "automations"

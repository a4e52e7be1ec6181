"""Every metric of Headwater, declared in one place, so that dashboards and alerts can be checked against what exists.

Labels are bounded: names of services, verbs, durables, loops, outcomes. Never an id, never a tenant.
In one process all services share this registry; one process each, every service serves its own.
"""

from bisect import bisect_left
from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.values import MutexValue

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)

# What every service has

READY = Gauge(
    "headwater_ready",
    "1 when the service is ready: it can do at least a part of its work",
    ["service"],
)
DEGRADED = Gauge(
    "headwater_degraded",
    "1 when the service is ready, but a part of its work fails (GET /ready names it)",
    ["service"],
)
DEPENDENCY_UP = Gauge(
    "headwater_dependency_up", "1 when PostgreSQL or NATS answers", ["service", "dependency"]
)
BUS_EVENTS = Counter(
    "headwater_bus_events",
    "Events of the connection to NATS, such as disconnected or slow_consumer",
    ["service", "event"],
)
STREAM_FILLED = Gauge(
    "headwater_stream_filled_ratio",
    "Bytes of a stream of JetStream beside the most that it may have; looked at once a minute",
    ["stream"],
)
DISK_LOW = Gauge(
    "headwater_disk_low",
    "1 when a disk is nearly full: the data folder's, or PostgreSQL's, which refused to write",
    ["disk"],
)
REQUEST_SECONDS = Histogram(
    "headwater_request_seconds",
    "Time to answer a request on NATS",
    ["service", "verb", "outcome"],
    buckets=_FAST,
)
CONSUMED = Counter(
    "headwater_consumed",
    "Messages that a durable consumer of JetStream handled, by outcome",
    ["durable", "outcome"],
)
DEAD_LETTERED = Counter(
    "headwater_dead_lettered",
    "Messages that could not be handled and were put into the stream DLQ",
    ["durable"],
)
TICK_SECONDS = Histogram(
    "headwater_tick_seconds",
    "Time of one pass (tick) of a background loop",
    ["service", "loop"],
    buckets=_FAST,
)
TICK_FAILURES = Counter(
    "headwater_tick_failures",
    "Passes (ticks) of a background loop that failed",
    ["service", "loop"],
)
TICK_AGE = Gauge(
    "headwater_tick_age_seconds",
    "Time since the last pass (tick) of the loop that succeeded",
    ["service", "loop"],
)
LOOP_STALE = Gauge(
    "headwater_loop_stale",
    "1 when no pass of the loop has succeeded for three intervals",
    ["service", "loop"],
)
OUTBOX_PUBLISHED = Counter("headwater_outbox_published", "Events published to NATS", ["service"])
OUTBOX_LAG = Gauge(
    "headwater_outbox_lag_seconds",
    "Age of the oldest event that is not published to NATS yet",
    ["service"],
)

# Gateway

HTTP_SECONDS = Histogram(
    "headwater_http_seconds", "Time to answer a GraphQL request", ["kind", "status"], buckets=_FAST
)
OPERATIONS = Counter(
    "headwater_operations",
    "GraphQL operations by outcome: done, refused (the caller's fault), or the code of an error such as API_ERROR",
    ["outcome"],
)
HTTP_DROPPED = Counter(
    "headwater_http_dropped",
    "Connections that the server closed because a time-out or a limit was reached",
    ["reason"],
)
SHARES_REFUSED = Counter(
    "headwater_requests_throttled",
    "Requests refused because their tenant or key had used its share of a resource",
    ["resource"],
)
EVENT_STREAMS = Gauge(
    "headwater_event_streams", "Open event streams (GET /events and GraphQL subscriptions)"
)
EVENT_STREAMS_ENDED = Counter(
    "headwater_event_streams_ended", "Event streams that ended, by reason", ["reason"]
)
EVENTS_STALE = Gauge(
    "headwater_events_stale",
    "1 while this gateway receives no events from NATS, so open pages are not up to date",
)
LOG_LINES_ACCEPTED = Counter("headwater_log_lines_accepted", "Log lines that JetStream has stored")
LOG_MESSAGES_RESTORED = Counter(
    "headwater_log_messages_restored",
    "Log messages that JetStream had lost and the gateway published again",
)
LOG_COPIES_DROPPED = Counter(
    "headwater_log_copies_dropped",
    "Copies of log messages dropped because the buffer was full; JetStream still has the messages",
)
PINGS_ACCEPTED = Counter("headwater_pings_accepted", "Heartbeats (pings) that the gateway accepted")

# Runs

COMMIT_SIZE = Histogram(
    "headwater_commit_size",
    "Commands in one transaction of the ledger (group commit)",
    ["lane"],
    buckets=_SIZES,
)
COMMIT_SECONDS = Histogram(
    "headwater_commit_seconds",
    "Time of one transaction of the ledger (group commit)",
    ["lane"],
    buckets=_FAST,
)
STATES_APPLIED = Counter("headwater_states_applied", "States accepted", ["kind", "state"])
STATES_REFUSED = Counter("headwater_states_refused", "States refused", ["kind", "code"])
CLAIM_SECONDS = Histogram(
    "headwater_claim_seconds",
    "Time from the scheduled start of a run until an agent was given it",
    buckets=(*_FAST, 30.0, 60.0, 300.0),
)
DUE_LAG = Gauge("headwater_due_lag_seconds", "How long the oldest due run has waited for an agent")
DUE_RUNS = Gauge(
    "headwater_due_runs", "Runs that are due and wait for an agent, counted up to 10,000"
)
CLAIMS_WAITING = Gauge(
    "headwater_claims_waiting",
    "Requests for work (claims) of native agents that wait for a due run",
)
LEASES_ENDED = Counter(
    "headwater_leases_ended",
    "Leases of native agents that ended, by what was done with the run",
    ["decision"],
)
SCHEDULED_RUNS_REFUSED = Counter(
    "headwater_scheduled_runs_refused",
    "Scheduled start times for which no run was created, by reason",
    ["reason"],
)
LOG_LINES_STORED = Counter(
    "headwater_log_lines_stored",
    "Log lines read from JetStream, including those dropped by HEADWATER_LOG_CAP",
)
REPLIES_REFUSED = Counter(
    "headwater_agent_replies_refused",
    "Requests of native agents not answered because their reply subject is not of their tenant",
)
LOG_LINES_DROPPED = Counter(
    "headwater_log_lines_dropped",
    "Log lines dropped because their run has more than HEADWATER_LOG_CAP",
)
LIMITS_FULL = Counter(
    "headwater_limits_full", "Starts delayed because a concurrency limit was full", ["kind"]
)
SLOTS_REPAIRED = Counter(
    "headwater_slots_repaired",
    "Concurrency slots corrected because they did not match the runs, by what was done",
    ["repair"],
)

# Scheduler

RUNS_SCHEDULED = Counter(
    "headwater_runs_scheduled", "Scheduled start times sent to the ledger to create runs"
)
SCHEDULES_ACTIVE = Gauge("headwater_schedules_active", "Flows with an active schedule")
SCHEDULES_BROKEN = Gauge(
    "headwater_schedules_broken", "Schedules that cannot be read, so no runs are created"
)
SCHEDULES_BLOCKED = Gauge(
    "headwater_schedules_blocked",
    "Active schedules that create fewer runs because a required parameter has no value",
)
SCHEDULES_RESUBMITTED = Counter(
    "headwater_schedules_resubmitted",
    "Schedules whose planned runs were missing in the ledger and were sent again",
)

# Heartbeat

PINGS_RECEIVED = Counter(
    "headwater_pings_received", "Heartbeats (pings) received; each replica receives all of them"
)
TENANTS_THROTTLED = Gauge(
    "headwater_tenants_throttled",
    "Tenants whose pings are ignored for some seconds because they send too many",
)
RUNS_MONITORED = Gauge("headwater_monitored_runs", "Live runs whose heartbeats are monitored")
SILENCES = Counter(
    "headwater_silences", "Runs that stopped sending heartbeats, by what was decided", ["outcome"]
)
ZOMBIES = Counter(
    "headwater_zombies", "Runs declared zombies: recorded as live, but without heartbeats"
)
MASS_SILENCE = Gauge(
    "headwater_mass_silence",
    "1 while so many runs stopped sending heartbeats at once that none is declared a zombie yet",
)

# Lazarus

RESURRECTIONS = Counter(
    "headwater_resurrections",
    "Runs that Lazarus proposed to reschedule or fail, by outcome",
    ["outcome"],
)
DISTRESSED = Gauge(
    "headwater_distressed_runs", "Runs that the last pass of Lazarus found without progress"
)

# Automations

DELIVERIES_OWED = Counter(
    "headwater_deliveries_owed", "Deliveries that events have caused, by type of event", ["event"]
)
SLAS_BROKEN = Counter(
    "headwater_slas_broken",
    "SLAs that a flow run, or the agents of a config, have broken",
    ["kind"],
)
DELIVERY_TRIES = Counter(
    "headwater_delivery_tries",
    "Tries to deliver something to a receiver, by what the delivery is after it (pending: it is tried again)",
    ["status"],
)
DELIVERY_SECONDS = Histogram(
    "headwater_delivery_seconds",
    "Time from an event until its receiver has it, of deliveries that arrived at the first try",
    buckets=(*_FAST, 30.0, 60.0),
)
DELIVERY_LAG = Gauge(
    "headwater_delivery_lag_seconds", "How long the oldest due delivery has waited for a worker"
)


def observer(histogram: Histogram) -> Callable[[float], None]:
    """`observe` of a histogram whose labels are chosen, for hot paths of an event loop; not for threads.

    The library's own looks at each bucket in turn and takes two locks: two of them were 3% of a transition.
    """
    total = histogram._sum
    if not isinstance(total, MutexValue):
        # Values are shared among processes.
        return histogram.observe
    bounds, buckets = histogram._upper_bounds, histogram._buckets

    def observe(amount: float) -> None:
        total._value += amount
        buckets[bisect_left(bounds, amount)]._value += 1

    return observe


def exposition() -> tuple[bytes, str]:
    """The metrics as text and their content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST

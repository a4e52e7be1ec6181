"""Every metric of Headwater, declared in one place, so that dashboards and alerts can be checked against what exists.

Labels are bounded: names of services, verbs, durables, loops, outcomes. Never an id, never a tenant.
In one process all services share this registry; one process each, every service serves its own.
"""

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)

# What every service has

READY = Gauge("headwater_ready", "1 when the service can answer something useful", ["service"])
DEGRADED = Gauge(
    "headwater_degraded",
    "1 when the service is ready, and cannot do all that it should",
    ["service"],
)
DEPENDENCY_UP = Gauge(
    "headwater_dependency_up", "1 when PostgreSQL or NATS answers", ["service", "dependency"]
)
BUS_EVENTS = Counter(
    "headwater_bus_events",
    "What happened to the connection to NATS (libs/runtime/bus/watch.py lists the events)",
    ["service", "event"],
)
REQUEST_SECONDS = Histogram(
    "headwater_request_seconds",
    "Time to answer a request on NATS",
    ["service", "verb", "outcome"],
    buckets=_FAST,
)
CONSUMED = Counter(
    "headwater_consumed", "Messages that a durable consumer handled", ["durable", "outcome"]
)
DEAD_LETTERED = Counter("headwater_buried", "Poison messages put into the DLQ", ["durable"])
TICK_SECONDS = Histogram(
    "headwater_tick_seconds", "Time of one tick of a loop", ["service", "loop"], buckets=_FAST
)
TICK_FAILURES = Counter("headwater_tick_failures", "Ticks that raised", ["service", "loop"])
TICK_AGE = Gauge(
    "headwater_tick_age_seconds", "Time since the loop's last success", ["service", "loop"]
)
LOOP_STALE = Gauge(
    "headwater_loop_stale",
    "1 when the loop has not succeeded for three of its intervals",
    ["service", "loop"],
)
OUTBOX_PUBLISHED = Counter("headwater_outbox_published", "Events published", ["service"])
OUTBOX_LAG = Gauge(
    "headwater_outbox_lag_seconds", "Age of the oldest event not yet published", ["service"]
)

# Gateway

HTTP_SECONDS = Histogram(
    "headwater_http_seconds", "Time to answer a GraphQL request", ["kind", "status"], buckets=_FAST
)
HTTP_DROPPED = Counter(
    "headwater_http_dropped",
    "Connections closed because their client had its time or place",
    ["reason"],
)
SHARES_REFUSED = Counter(
    "headwater_shares_refused", "Requests refused because their tenant had its share", ["of"]
)
EVENT_STREAMS = Gauge("headwater_event_streams", "Open streams of GET /events")
EVENT_STREAMS_ENDED = Counter(
    "headwater_event_streams_ended", "Streams of GET /events that ended", ["reason"]
)
EVENTS_STALE = Gauge(
    "headwater_events_stale", "1 while this gateway hears no events, and its streams say so"
)
LOG_LINES_ACCEPTED = Counter("headwater_log_lines_accepted", "Log lines that JetStream has")
LOG_MESSAGES_RESTORED = Counter(
    "headwater_log_messages_restored", "Log messages that the stream had lost, published again"
)
LOG_COPIES_DROPPED = Counter(
    "headwater_log_copies_dropped",
    "Copies of log messages given up for want of room; the stream still has the messages",
)
PINGS_ACCEPTED = Counter("headwater_pings_accepted", "Heartbeats passed on by the gateway")

# Runs

COMMIT_SIZE = Histogram(
    "headwater_commit_size", "Commands in one group commit", ["lane"], buckets=_SIZES
)
COMMIT_SECONDS = Histogram(
    "headwater_commit_seconds", "Time of one group commit", ["lane"], buckets=_FAST
)
STATES_APPLIED = Counter("headwater_states_applied", "States accepted", ["kind", "state"])
STATES_REFUSED = Counter("headwater_states_refused", "States refused", ["kind", "code"])
CLAIM_SECONDS = Histogram(
    "headwater_claim_seconds", "From due to Submitted", buckets=(*_FAST, 30.0, 60.0, 300.0)
)
DUE_LAG = Gauge("headwater_due_lag_seconds", "How long the oldest due run has waited")
DUE_RUNS = Gauge("headwater_due_runs", "Runs that are due and not submitted, up to 10,000")
CLAIMS_PARKED = Gauge("headwater_claims_parked", "Claims of native agents that wait for work")
LEASES_ENDED = Counter(
    "headwater_leases_ended",
    "Leases of native agents that ended, by what was decided",
    ["decision"],
)
INSTANTS_REFUSED = Counter(
    "headwater_instants_refused", "Instants of schedules of which no run was made", ["reason"]
)
LOG_LINES_STORED = Counter(
    "headwater_log_lines_stored", "Log lines taken from the stream, those beyond a cap among them"
)
REPLIES_REFUSED = Counter(
    "headwater_agent_replies_refused",
    "Requests of native agents left unanswered, because the answer would have gone to no inbox of their tenant",
)
LOG_LINES_DROPPED = Counter(
    "headwater_log_lines_dropped", "Log lines beyond the cap of their run (HEADWATER_LOG_CAP)"
)
LIMITS_FULL = Counter(
    "headwater_limits_full", "Starts put off because a concurrency limit was full", ["kind"]
)
SLOTS_REPAIRED = Counter(
    "headwater_slots_repaired",
    "Slots of concurrency limits that did not agree with the runs, by what was done",
    ["repair"],
)

# Scheduler

RUNS_SCHEDULED = Counter("headwater_runs_scheduled", "Instants handed to the ledger")
SCHEDULES_ACTIVE = Gauge("headwater_schedules_active", "Flows with an active schedule")
SCHEDULES_BROKEN = Gauge("headwater_schedules_broken", "Schedules that cannot be read")
SCHEDULES_BLOCKED = Gauge(
    "headwater_schedules_blocked", "Active schedules of which a required parameter has no value"
)
SCHEDULES_SAID_AGAIN = Counter(
    "headwater_schedules_said_again",
    "Schedules whose runs in the ledger were not those ahead, so that they were handed over again",
)

# Heartbeat

PINGS_SEEN = Counter("headwater_pings_seen", "Pings heard; by every replica each")
TENANTS_UNHEARD = Gauge(
    "headwater_tenants_unheard", "Tenants whose pings are not heard, as they send too many"
)
RUNS_GUARDED = Gauge("headwater_guarded_runs", "Live runs whose pings are waited for")
SILENCES = Counter("headwater_silences", "Silent runs judged", ["outcome"])
ZOMBIES = Counter("headwater_zombies", "Zombie events emitted")
SILENCES_HELD = Gauge("headwater_silences_held", "1 while mass silence is held back")

# Lazarus

RESURRECTIONS = Counter("headwater_resurrections", "Proposals to the ledger", ["outcome"])
DISTRESSED = Gauge("headwater_distressed_runs", "Distressed runs that the last pass found")


def exposition() -> tuple[bytes, str]:
    """The metrics as text and their content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST

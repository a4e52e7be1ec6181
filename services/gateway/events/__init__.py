"""Push: what has changed in a tenant, sent as small hints on `GET /events` (server-sent events).

    EVENTS (JetStream) -> feed.py -> hub.py (window, channels) -> endpoint.py -> a client
    hw.sig.runs.changed ----^            domain.py, frames.py: the rules, pure

A hint says that something is worth looking at again, never what it is now: `{kind, id, version, ...}`. Clients read
the rest with GraphQL, under their own permissions.

Guarantees
* A hint of a fact (`hw.evt.*`) has a position in the EVENTS stream. An SSE id is the stream's birth and that position,
  so it means the same on every gateway, and `Last-Event-ID` resumes on any of them.
* What was missed and is no longer known is said (`event: gap`), never left out in silence.
* Hints of task runs, agents and log lines come from signals: they may be lost, and `gap` or `fresh` is the time to look
  anew. An agent is hinted when it registers, is deleted, falls silent or is heard of again.
* A stream gets at most four messages a second, however much happens; of one object the newest hint is kept.
* Nothing is kept without bound: not the window, not what waits for a slow reader. Who does not read is let go.
* A stream ends when its key would be refused a request, half a second later at most.

NATS gone: streams stay open and say `stale`, then `fresh`. PostgreSQL gone: open streams go on, new ones with keys
are refused as every request is. A gateway that stops says `end`; the client comes back elsewhere with its id.
Paused and resumed: it asks the stream for what it missed, and says so where that is gone.
"""

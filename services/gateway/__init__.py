"""The gateway: the only address for clients.

Purpose. GraphQL over HTTP for every Prefect client from 0.8 to 1.4 and the web UI. A mutation becomes one command
on NATS and its answer the payload; a query is compiled to SQL and read with a role that can only read (`reads`).

**Owns** `gateway.*`: tenants, memberships, API keys, key-values, secrets, hooks and messages, bulk requests, the trail.

    head -> browsers.py (pages) -> identity.py (the caller) -> bodies.py, requests.py (the request)
         -> operations.py (which way) -> preparation.py, documents.py (what is new)
                                      -> reads (queries)
                                      -> mutation_plans -> graphql/mutations -> context.py -> NATS
         -> answers.py (the answer)

Guarantees
* Who asks is known before a body is read, and what one tenant does decides little about how long others wait: memory
  for large bodies, the thread for what is new or large (`off_loop`) and the rest are divided by `shares`, and the event
  loop's own time by `turns`.
* Only the gateway's own tables are written here; a mutation is done when its service has committed.
* Logs are accepted when JetStream has them, and copies are kept until PostgreSQL does (`log_copies`): a lost
  JetStream store loses none. Heartbeats are hints and are never waited for.
* Text that cannot be stored is cleaned in reports of running code, and refused in configuration by people (`odd_text`).
* A tenant is deleted with its keys in one transaction; by the row of the deletion every service deletes its own rows
  (`libs/runtime/departed.py`). Keys end with the key or membership under which they were made. Changes, reads of
  secrets and refusals are in an audit trail that this service can only append to. `deploy/keys.py` does on the machine
  what the API cannot do.
* An answer never repeats a secret (`discreet`). Every mutation, query, table and kind of event names the permission
  that it needs (`permissions`); without a name the schema is not built. Nobody gives a role, a key, a membership or an
  invitation that may do more than they may.
* What changes is pushed as hints, as server-sent events (`events`) and as GraphQL subscriptions (`subscriptions`), from
  one hub: a gap is reported, a slow reader is disconnected, a stream ends with its key.
* An unexpected error never shows its text: the client gets an id, the log has the rest. Texts that old clients match on
  are in `compat.py` and nowhere else.

When NATS is gone, mutations answer API_ERROR within the time-out and queries go on; the gateway stays ready, so that
its proxy keeps it, and is *degraded*, which `/ready`, a metric and an alert report. The same for a gateway that is
started meanwhile. When PostgreSQL is gone, queries answer API_ERROR and the pools reconnect by themselves. When a
service is gone, its mutations wait a few seconds for it to come back, then answer API_ERROR; nothing is half done, as
each command is one transaction of its service. Any number of gateways may run: they hold caches, and copies of the
lines of the last second.

It will not: decide about runs or flows, hold a lock, or speak any other dialect than the clients'.

| to change | go to |
|---|---|
| what a mutation takes, asks of a service and answers | `graphql/mutations/` |
| what a query may read, and how it becomes SQL | `reads/` |
| a text that old clients match on | `compat.py` |
| who may do what | `permissions.py`, `roles.py`; who somebody is: `identity.py`, `keys.py` |
| how a request is read, and which way it goes | `bodies.py`, `requests.py`, `operations.py` |
| what is pushed to browsers | `events/` |
| its SQL | `store/` |
| what it is made of | `app.py`; behind the port: `api.py` |
"""

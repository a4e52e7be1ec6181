"""The gateway: the one address that clients know.

Purpose. GraphQL over HTTP for every Prefect client from 0.8 to 1.4 and the web UI. A mutation becomes one command
on NATS and its answer the payload; a query is compiled to SQL and read with a role that can only read (`reads`).

**Owns** `gateway.*`: tenants, memberships, API keys, key-values, secrets, hooks and messages, bulk requests, the trail.

    head -> browsers.py (pages) -> identity.py (who asks) -> bodies.py, requests.py (what is asked)
         -> operations.py (which way) -> preparation.py, documents.py (what is new)
                                      -> reads (queries)
                                      -> mutation_plans -> graphql/mutations -> context.py -> NATS
         -> answers.py (what is told)

Guarantees
* Who asks is known before a body is read, and what one tenant does decides little about how long others wait: memory
  for large bodies, the thread for what is new or large (`off_loop`) and the rest are divided by `shares`, and the event
  loop's own time by `turns`.
* Nothing is written here but the gateway's own tables; a mutation is done when its service has committed.
* Logs are accepted when JetStream has them, and copies are kept until PostgreSQL does (`log_copies`): a lost
  JetStream store loses none. Heartbeats are hints and are never waited for.
* What running code reports is cleaned where it cannot be stored, what people configure is refused there (`odd_text`).
* A tenant is deleted with its keys in one transaction; the row that says so is what every service deletes its own rows
  by (`libs/runtime/departed.py`). Keys end with what let their maker in. Who did, read or was refused what is in a
  trail that this service can only add to. What the network has no way to, `deploy/keys.py` does on the machine.
* An answer never repeats a secret (`discreet`), and roles read what `permissions` says.
* What changes is pushed as hints, as server-sent events (`events`) and as GraphQL subscriptions (`subscriptions`), from
  one hub: a gap is said, a slow reader is let go, a stream ends with its key.
* A surprise never shows its text: the client gets an id, the log has the rest. Texts that old clients match on are in
  `compat.py` and nowhere else.

When NATS is gone, mutations answer API_ERROR within the time-out and queries go on; the gateway stays ready, so that
its proxy keeps it, and is *degraded*, which `/ready`, a metric and an alert say. So is one that is started meanwhile.
When PostgreSQL is gone, queries answer API_ERROR and the pools reconnect by themselves. When a service is gone, its
mutations wait a few seconds for it to come back, then answer API_ERROR; nothing is half done, as each command is one
transaction of its service.
Any number of gateways may run: they hold caches, and copies of the lines of the last second.

It will not: decide about runs or flows, hold a lock, or speak any other dialect than the clients'.

| to change | go to |
|---|---|
| what a mutation takes, asks of a service and answers | `graphql/mutations/` |
| what a query may read, and how it becomes SQL | `reads/` |
| a text that old clients match on | `compat.py` |
| who may do what | `permissions.py`; who somebody is: `identity.py`, `keys.py` |
| how a request is read, and which way it goes | `bodies.py`, `requests.py`, `operations.py` |
| what is pushed to browsers | `events/` |
| its SQL | `store/` |
"""

"""Deliveries: what is owed for an event is sent, at least once, and each try is in a log that people can read.

A row of `automations.delivery` is written with the event that it is for. A worker leases it, builds what is sent,
sends it, and records what came of it. `dedup`, a digest of action and event, goes out with every try as `webhook-id`,
`Idempotency-Key`, `Message-ID` or PagerDuty's `dedup_key`, so a receiver recognises a repetition.

* *Who is called:* addresses of users are resolved, every address is checked, the connection goes to a checked one, and
  all of it again at each try. Redirects are not followed. Tests take the same path (`domain.addresses`, `resolver`).
* *Secrets* are opened by the gateway when something is sent. What a receiver answers is kept without them.
* *Killed in between:* the lease ends after a minute, and another worker sends the same thing under the same key.
* *A receiver is down:* again after 5 s, 30 s, 5 min, 30 min, 2 h, 6 h, 24 h; after five failures in a row its breaker
  opens, and what waits for it uses up no tries (`domain.retries`, `domain.breaker`).
* *A receiver hangs:* it holds a few tries of its own. No look-up, connection or thread of it is waited for by others.
* *It will not arrive:* `failed`, a note in the inbox once a day for each action, and `redeliver` for people.
* *A test by a person* is tried once, within 16 s, also by the worker that finds it after its process died (`trials`).
* *Gateway or NATS gone:* nothing can be opened, so nothing is tried, and no try is used up.

| to change | go to |
|---|---|
| what a receiver gets | `domain/senders.py`, `domain/cloud_hooks.py` |
| which addresses may be called | `domain/addresses.py` |
| when it is tried again, when not | `domain/retries.py`, `domain/breaker.py` |
| which deliveries a worker takes | `queries/lease.sql` |
| what is recorded of a try | `worker.py`, `queries/settle.sql` |
"""

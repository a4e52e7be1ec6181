"""NATS as services use it: request/reply, durable consumers, batches, signals.

Each service says in its `subscribers.py` what it listens to, on a `Router`: FastStream's router, on which every kind of
subject has one method. `python -m deploy.subscribers` prints them all.

* *Verbs, signals and durables that are handled one by one* run through FastStream.
* *Lean lanes* take messages straight from the socket. They carry thousands of messages a second, where FastStream
  costs more than the work itself. Each names the benchmark that shows it.

Both go the same way through `answering` (verbs) or `consumers` (durables): parse, deadline, trace, metric, refusal,
dead letter. So handlers need no code for these:

* a request is always answered: a body that does not parse is `Refused(INVALID)`, an unexpected error is logged once and
  answered with `Refused(INTERNAL)` and its error id, a lost database is `Refused(UNAVAILABLE)`;
* nobody listening is not an exception: `call` waits for a responder within its time-out, then answers `Refused`;
* a consumer never loses a message: it is acknowledged after its handler, delayed (with a growing delay) when the
  handler fails, and kept in the DLQ when it cannot be parsed or has failed `max_deliver` times;
* a bus that stops first answers the requests that it has. FastStream's own stop throws away requests that wait
  (ARCHITECTURE.md, decisions);
* the connection reconnects for ever, and its events are logged and counted (`watch`). If it is ever *closed*, readiness
  fails.

| to change | go to |
|---|---|
| how the connection is made, kept and left | `connection.py` |
| how another service is asked | `rpc.py` |
| what every answer has in common | `answering.py` |
| when a message is delayed or dead-lettered | `consumers.py` |
| how batches are fetched | `batches.py` |
| how a subject is declared | `router.py`, of requests `verbs.py`; how it reaches FastStream: `declarations.py` |
| what is listed of a subject | `subscriptions.py` |
"""

from libs.runtime.bus.benchmarks import Benchmark
from libs.runtime.bus.connection import Bus
from libs.runtime.bus.router import Router
from libs.runtime.bus.verbs import LARGE

__all__ = ["LARGE", "Benchmark", "Bus", "Router"]

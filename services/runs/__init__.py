"""The run ledger: the only writer of run state. Applies or refuses every proposed state, and gives due runs to agents.

**Owns** flow runs, task runs, their histories, logs, artifacts, agents, concurrency limits and their slots. **Reads**
the registry's flows and groups and the heartbeat service's last signs of life. **Answers** the verbs of
`libs/contracts/runs.py`; **consumes** the work of the scheduler and Lazarus, zombies, archived and deleted flows, and
the LOGS stream; **emits** `state_changed` for every state of every flow run.

    a client's request --\
    work and events ------+--> GroupCommit --> Ledger: share flows, lock runs, decide each, write all, COMMIT
    its own sweeps ------/                        |                               |
                                            domain/: the rules          outbox --> relay --> EVENTS

| to change | go to |
|---|---|
| whether a run may take a state | `domain/transitions.py` |
| what a zombie, Lazarus or a deadline may do | `domain/safeguards.py` |
| what the reported end of a process means | `domain/deaths.py`, `dispatch/domain.py` |
| what is in a new run, and when one is made | `domain/creation.py`, `ledger/creations.py` |
| how planned runs of schedules are updated and cleared | `planned.py`, `services/scheduler/domain/proposals.py` |
| which runs wait at a concurrency limit | `domain/concurrency_limits.py`, `ledger/queries/lock_limits.sql` |
| which runs an agent sees | `domain/queue.py`, `queries/runs_in_queue.sql` |
| what is locked, decided and written in one transaction | `ledger/`; all writing: `ledger/journal.py` |
| how native agents claim and lose runs | `dispatch/` |
| how long rows are kept | `settings.py`, `upkeep.py` |

Guarantees
* A state, its history row and its event are one transaction; so are a run, its first state and its task runs. Versions
  of a run are contiguous, and its history never goes back in time.
* A due run is submitted once: Submitted is decided under the row's lock, for all clients and replicas.
* When a flow has version locking on, one of many writes with the same version is applied; the others get the current
  version and state. It covers task runs.
* A finished run does not change. Only a person can continue it: by a restart, by naming the version at which it had
  finished, or by leaving the version out, which no process does. A late report that agrees with the end is answered as
  done; any other is refused.
* A concurrency limit is never exceeded by runs that start under it, on all replicas: the limit's row is locked until
  the start has committed, and the slot is a row that comes and goes in the same transaction as the state.
* A service's proposal never changes a finished run, nor a version that it did not see.
* After the commit of an archiving no run is created for the flow, and no run that has not begun is offered, claimed or
  submitted. An idempotency key, and an instant of a flow version's schedule, make one run, ever.
* A version that replaces another gets its planned runs, except for instants that the other has begun. A person who
  deletes a planned run has deleted its instant.
* No task run stays Running for ever in a flow run that does not run: it is failed once the flow run has been silent for
  twice the allowed silence (`queries/left_task_runs.sql`), except when heartbeats are switched off.
* Reports of running code are never refused for their characters or the length of their text: they are cleaned and cut
  (`libs/runtime/reported.py`). Only a state or artifact whose data is too large is refused.
* A log line is stored once, though it may be delivered twice, and can be read within a second.
* Those who watch get hints of what no event reports, at most twenty times a second for each tenant: task runs that
  moved, new log lines, agents that came, went, fell silent or are back (`hints.py`). They may be lost, and nothing
  waits for them.

What happens when
* *NATS is gone:* no requests come. Committed events wait in the outbox. Clients' requests end with "unavailable".
* *The JetStream store is lost:* log lines that had not been drained are lost, no state is. The sweep does what lost
  events of archived and deleted flows would have done; the scheduler, the heartbeat service and Lazarus propose again.
* *PostgreSQL is gone:* requests are refused as unavailable; the pool reconnects. Messages are delivered again later;
  none goes to the DLQ. The same when its disk is full or it accepts no writes. A connection that hangs is closed within
  seconds.
* *Killed before a commit:* nothing happened. *Between commit and answer:* it happened without an answer. Creating with
  a key, claiming (with a lease token, or as an agent that is one process) and reporting an end can be repeated and are
  recognised.
* *Paused for ten minutes and resumed:* a transaction that PostgreSQL has ended fails; nothing is decided on old facts,
  because facts are read under the lock.
* *Run twice:* replicas share the requests and lock in one order (`ledger/queries/lock_flow_runs.sql`), so they wait for
  each other but never deadlock. If PostgreSQL still cancels one, its commands are tried one by one.
* *Overload:* requests that would wait too long are answered "busy" at once.

What it will not do: judge who is dead (heartbeat), decide who is revived (Lazarus), compute schedules (scheduler), or
retry a stale proposal.
"""

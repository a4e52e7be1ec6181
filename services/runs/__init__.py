"""The run ledger: the only writer of run state. Applies or refuses every proposed state, and hands out due runs.

**Owns** flow runs, task runs, their histories, logs, artifacts, agents, concurrency limits and their slots. **Reads**
the registry's flows and groups and the heartbeat service's last signs of life. **Answers** the verbs of
`libs/contracts/runs.py`; **consumes** what the scheduler and Lazarus want done, zombies, archived and deleted flows,
and the LOGS stream; **emits** `state_changed` for every state of every flow run.

    a client's request --\
    work and events ------+--> GroupCommit --> Ledger: share flows, lock runs, decide each, write all, COMMIT
    its own sweeps ------/                        |                               |
                                            domain/: the rules          outbox --> relay --> EVENTS

| to change | go to |
|---|---|
| whether a run may take a state | `domain/transitions.py` |
| what a zombie, Lazarus or a deadline may do | `domain/safeguards.py` |
| what is in a new run, and when one is made | `domain/creation.py`, `ledger/creations.py` |
| what becomes of planned runs of schedules | `planned.py`, `services/scheduler/domain/proposals.py` |
| who waits at a concurrency limit | `domain/limits.py`, `ledger/queries/lock_limits.sql` |
| which runs an agent sees | `domain/queue.py`, `queries/runs_in_queue.sql` |
| what is locked, decided and written in one transaction | `ledger/`; all writing: `ledger/journal.py` |
| how native agents claim and lose runs | `dispatch/` |
| what is kept for how long | `settings.py`, `upkeep.py` |

Guarantees
* A state, its history row and its event are one transaction; so are a run, its first state and its task runs. Versions
  of a run are contiguous, and its history never goes back in time.
* A due run is submitted once: Submitted is decided under the row's lock, whoever asks, on whichever replica.
* Where a flow has version locking on, of many writes with one version one is applied, and the others are told the
  version and state that are current. It covers task runs.
* A finished run stays as it ended. Only a person takes it further: by a restart, or by naming the version at which it
  had finished, or by leaving the version out, which no process does. A late report that agrees with the end is answered
  as done; any other is refused.
* A concurrency limit is never exceeded by who starts under it, whichever replica decides: the limit's row is locked
  until the start has committed, and the slot is a row that comes and goes in the same transaction as the state.
* A service's proposal never touches a finished run, nor a version that it did not see.
* No run is created for an archived flow from the moment the archiving has committed, and none that has not begun is
  offered, claimed or submitted. An idempotency key, and an instant of a flow version's schedule, make one run for ever.
* A version that replaces another takes over what is ahead, but for the instants that the other has begun. A person who
  deletes a planned run has deleted its instant.
* No task run stays Running for ever in a flow run that does not run: it fails once the flow run has been silent for
  twice what a live one may be (`queries/left_task_runs.sql`), except where heartbeats are switched off.
* What running code reports is never refused for its characters or the length of its text: it is cleaned and cut
  (`libs/runtime/reported.py`). Only a state or artifact whose data is too large is refused.
* A log line is stored once, though it may be delivered twice, and can be read within a second.
* Who watches is told of what no event tells, at most twenty times a second for each tenant: task runs that moved, new
  log lines, agents that came, went, fell silent or are back (`hints.py`). They may be lost, and nothing waits for them.

What happens when
* *NATS is gone:* nobody can ask. Committed events wait in the outbox. Clients' requests end with "unavailable".
* *The JetStream store is lost:* log lines that had not been drained are lost, no state is. The sweep does what lost
  events of archived and deleted flows would have done; the scheduler, the heartbeat service and Lazarus propose again.
* *PostgreSQL is gone:* requests are refused as unavailable; the pool reconnects. Messages are put off, none is buried.
  So it is when its disk is full or it takes no writes. A connection that hangs is given up within seconds.
* *Killed before a commit:* nothing happened. *Between commit and answer:* it happened and nobody was told; creating
  with a key, claiming (with a lease token, or as an agent that is one process) and reporting an end can be repeated and
  are recognised.
* *Paused for ten minutes and resumed:* a transaction that PostgreSQL has ended fails; nothing is decided on old facts,
  because facts are read under the lock.
* *Run twice:* replicas share the requests and lock in one order (`ledger/queries/lock_flow_runs.sql`), so they wait for
  each other but never in a circle. Should PostgreSQL still end one, its commands are tried one by one.
* *More is asked than it can do:* what would wait too long is answered "busy" at once.

What it will not do: judge who is dead (heartbeat), decide who is revived (Lazarus), compute schedules (scheduler), or
retry a stale proposal.
"""

"""The registry: projects, flow groups, flows (versions), tasks and edges.

Purpose
    Registers flows as clients serialize them, numbers and archives their versions, keeps the overrides of flow groups,
    and publishes events about all of it.

**Owns**
    `registry.project`, `.flow_group`, `.flow`, `.task`, `.edge`, `.flow_piece`, `.flow_draft`, `.flow_draft_piece`, and
    its outbox. Reads `gateway.tenant`, to refuse a project of an unknown tenant. Flow runs belong to `runs`; the
    instants of schedules to `scheduler`.

Guarantees
    * A call is one transaction: all of it is done, with its events, or nothing. A refusal changes nothing.
    * Versions of a group are numbered 1, 2, 3, ..., also with concurrent registrations; a number is never used twice,
      not even after its version was deleted. A registration archives all other versions of the group.
    * Flows of the same name in the same project are versions of one another, unless their clients name a group.
    * A repeated idempotency key makes nothing, however many clients send it at once. For registrations in pieces,
      clients that send the same document under the same key within a minute share a draft.
    * A flow that comes in pieces (`domain/drafts.py`) is a draft until its last piece: it is in no list, queue,
      schedule or run, and the version that it will replace stays active. The last piece makes the version and archives
      the others in one transaction. A client that gives up, or is refused, has changed nothing; drafts are deleted
      after an hour. A piece that is sent twice counts once.
    * Tasks and edges that are added to a whole flow are rows at once; in the document of a large flow they appear with
      the last piece, or seconds after a client gave up (`upkeep`).
    * Everything stored has passed every check of `domain`: slugs, triggers, clocks, edges, no cycle, nothing that
      PostgreSQL cannot keep. Error texts name the field.
    * An active schedule can always plan runs: a schedule that leaves a required parameter without a value is not
      started, and a change of the group that would cause this is refused (`handlers/groups.py`).
    * After the answer to an archiving no run can be made of the flow: `runs` holds a share lock on the flow while it
      makes one (queries/archive_others.sql).
    * `flow.settings` shows the safeguards of the group's settings, because clients read them there.
    * No statement reaches into another tenant.

What happens when
    NATS is gone         nobody can ask. What was committed is published when it is back: events wait in the outbox.
    PostgreSQL is gone   the caller gets this answer at once; nothing is half done.
    it dies halfway      the transaction is undone. If it died between commit and answer, the client does not know:
                         sending a piece, an archiving or a setting again is harmless; a flow with a key is not made
                         twice.
    it runs twice        rows, not processes, are locked; replicas share the work through their queue group.
    it is paused         its transaction times out in PostgreSQL (idle_in_transaction_session_timeout), locks are freed.

Will not do
    Delete runs (`runs` does, on the event `flow.deleted`), create runs, evaluate schedules, or undo a deletion. Delete
    a project or group of any size in one transaction: flows go in bounded batches, each complete, and the project or
    group last, so an interrupted deletion is finished by repeating it. Groups outlive their flows and projects, as
    clients expect, and keep their settings and numbers.

| to change | go to |
|---|---|
| what a client may register, and what is complained about | `domain/` |
| what one verb does, in one transaction | `handlers/` |
| how events and rows are written together | `unit_of_work.py` |
| its SQL | a store for each noun: `store.py` (flows), `project_store.py`, `group_store.py`, ...; `queries/` |
| what it listens to, what it does by itself | `subscribers.py`, `loops.py`, `upkeep.py` |
"""

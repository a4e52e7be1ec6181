"""Moving in: a Prefect Server's whole history becomes this Headwater's, with its ids. `headwater import`.

`check` reports, `copy` takes the registry and the finished runs, `follow` what has changed since, `finish` the live
runs and the schedules, and `verify` compares both sides. The peer is only read, in read-only transactions.

**Where.** `revisions.py` recognises the peer, `tables.py` says how each table is read and put, `peer.py` and
`target.py` are the two databases, `moving.py` the order of the work. Bookkeeping is in a schema
of its own, `moving_in`: the runs with their progress, merged groups and agents, and each row that was left
out, with the reason.

**Killed at any point.** Runs move in batches, each with its progress in one transaction, so the same command goes on
where the killed one ended. **Peer or PostgreSQL gone:** the command ends with a sentence, and can be repeated.
**Run twice:** an advisory lock admits one. **After `finish`** Headwater's clients write, so nothing is moved again.

**History** before the first weekly partition goes into one partition for each table (`<table>_imported`), which
retention leaves alone: hundreds of weekly ones make each read of a run's history slow.
"""

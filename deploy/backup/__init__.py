"""Backup and restore of the embedded default: `headwater backup create | verify`, `headwater restore`.

A backup is a folder
    backup.json     format, versions, time, the fingerprints of the secrets
    base/           PostgreSQL's own base backup, with the WAL that it needs and digests of its files (backup_manifest)

The secrets are a file of their own, because who has both has everything: API keys and secrets are useless without the
pepper, and the database's roles without their passwords. They are kept apart, and a restore asks for both.

Guarantees
    * Taken while Headwater serves, and also when it is stopped. Complete under its name, or not there at all.
    * `verify` checks every file's digest, then really starts a PostgreSQL on a copy, logs in as each role with the
      secrets, and reads every table.
    * A restore checks the backup before it touches anything. What was there before is set aside, never deleted. If it
      is interrupted, Headwater refuses to start until it has been done again.
    * After a restore JetStream is empty: it would know more than the database. Provisioning makes its streams again,
      and reconcilers and sweeps do the work of lost events (see `deploy/README.md`).

Will not do
    Restore to a point between two backups: that needs an archive of the WAL, see the runbook of production in
    `deploy/README.md`.
"""

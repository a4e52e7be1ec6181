"""A tenant from one Headwater to another: `headwater export`, `headwater import tenant`.

An export is a folder: `manifest.json`, and for each table a file in PostgreSQL's COPY format, ordered by its key, so
that equal rows make equal files. All of it is of one snapshot, taken while Headwater serves.

Guarantees
    * Nothing of another tenant: every statement names the tenant, and an import refuses a row that is not its own.
    * Ids stay. So a tenant that is there already, also by an id or its slug, is refused.
    * An import is one transaction: all of it or nothing. Before it, every file's digest is checked.
    * Another schema than that of this database is refused, in place of a guess.
    * Secrets are sealed anew when the other Headwater has another pepper. API keys cannot be: they are left out then.

Will not do
    Carry what belongs to the place and not to the tenant; `tables.py` names those tables, with the reasons.
"""

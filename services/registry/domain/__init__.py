"""The registry's rules: what a valid flow is, what a registration does. Pure; no I/O and no clock.

`documents`      JSON as it arrives: bounded decompression, what PostgreSQL can keep
`flows`          the parts of a serialized flow and their checks; every complaint names its field
`drafts`         flows that come in pieces: when one is whole, and who shares one
`schedules`      the parts of a serialized schedule; a group's schedule made of clocks; when a schedule may be started
`firing`         whether a clock fires at all, and when a schedule ends
`graph`          cycles, and what tasks are to one another
`registration`   versions, idempotency keys, and the settings of a group and its flows
"""

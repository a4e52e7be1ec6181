"""The scheduler's rules: which instants a schedule yields, and what to propose to the ledger. Pure.

`wall_clock` defines wall-clock times on the days when the clocks change; `cron` and `clocks` yield events; `filters`
and `adjustments` change them; `schedules` combines them; `proposals` decides what to send to `runs`.
"""

"""The scheduler's rules: which instants a schedule yields, and what to propose to the ledger. Pure.

`wall_clock` says what a wall-clock time means on the days the clocks change, `cron` and `clocks` yield events,
`filters` and `adjustments` shape them, `schedules` puts them together, `proposals` decides what `runs` is asked.
"""

"""How a process lives: clock, ids, settings, database, bus, outbox, loops, readiness, drain."""

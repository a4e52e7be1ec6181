"""The services, listed once: each is a folder below `services`, a PostgreSQL schema and role, and a NATS user.

What cannot import this list (Compose, the Helm chart, the Makefile, import contracts, scripts that run alone) is held
to it by `tests/contracts/test_services.py`.
"""

SERVICES: tuple[str, ...] = ("gateway", "registry", "runs", "scheduler", "heartbeat", "lazarus")

START_ORDER: tuple[str, ...] = (*(name for name in SERVICES if name != "gateway"), "gateway")
"""The gateway last, so that what it answers has somebody behind it."""

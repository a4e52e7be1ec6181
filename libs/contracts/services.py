"""The services, listed once: each is a folder below `services`, a PostgreSQL schema and role, and a NATS user.

Files that cannot import this list (Compose, the Helm chart, the Makefile, import contracts, scripts that run alone) are
checked against it by `tests/contracts/test_services.py`.
"""

SERVICES: tuple[str, ...] = (
    "gateway",
    "registry",
    "runs",
    "scheduler",
    "heartbeat",
    "lazarus",
    "automations",
)

START_ORDER: tuple[str, ...] = (*(name for name in SERVICES if name != "gateway"), "gateway")
"""The gateway last, so that the services behind it run already."""

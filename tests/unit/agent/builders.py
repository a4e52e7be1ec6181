"""A run as an agent is given it, of which a test states what matters."""

from typing import Any
from uuid import UUID

from libs.agent.wire import ClaimedRun

RUN = UUID("5c1cba35-8c53-4e5b-8d0d-5d1a2b3c4d5e")
TOKEN = UUID("7b1cba35-8c53-4e5b-8d0d-5d1a2b3c4d5e")


def a_run(**fields: Any) -> ClaimedRun:
    """A claimed run."""
    return ClaimedRun(
        **{
            "flow_run_id": RUN,
            "lease_token": TOKEN,
            "attempt": 1,
            "lease": 5.0,
            "name": "quick-fox",
            "flow_id": RUN,
            "flow_name": "etl",
            "core_version": "1.4.1",
        }
        | fields
    )

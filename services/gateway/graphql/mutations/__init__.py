"""The mutations by noun. Importing this package declares them all (see `dialect.mutation`)."""

from services.gateway.graphql.mutations import (
    agents,
    bulk,
    concurrency_limits,
    flow_groups,
    flow_runs,
    flows,
    key_values,
    keys,
    logs,
    memberships,
    people,
    projects,
    states,
    task_runs,
    tenants,
    tokens,
)

__all__ = [
    "agents",
    "bulk",
    "concurrency_limits",
    "flow_groups",
    "flow_runs",
    "flows",
    "key_values",
    "keys",
    "logs",
    "memberships",
    "people",
    "projects",
    "states",
    "task_runs",
    "tenants",
    "tokens",
]

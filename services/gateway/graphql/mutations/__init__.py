"""The mutations by noun. Importing this package declares them all (see `dialect.mutation`)."""

from services.gateway.graphql.mutations import (
    agents,
    bulk,
    flow_groups,
    flow_runs,
    flows,
    key_values,
    keys,
    limits,
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
    "flow_groups",
    "flow_runs",
    "flows",
    "key_values",
    "keys",
    "limits",
    "logs",
    "memberships",
    "people",
    "projects",
    "states",
    "task_runs",
    "tenants",
    "tokens",
]

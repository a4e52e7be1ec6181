"""The SQL in FROM for the root fields that are not tables; every one is restricted to the tenant like a table."""

from graphql import GraphQLError

from services.gateway.reads.inputs import Given, Tree
from services.gateway.reads.statement import TENANT, Statement
from services.gateway.reads.values import uuid_list_value, uuid_value

_DEEPEST_TRAVERSAL = 50


def traversal(statement: Statement, args: Tree, *, upstream: bool) -> str:
    """The tasks reached from some along the edges of their flows, each with the length of its longest path.

    UNION drops what was reached twice at the same depth, so a graph of diamonds stays small.
    """
    given = args if isinstance(args, dict) else {}
    starts, depth = given.get("start_task_ids"), given.get("depth_limit")
    if not isinstance(starts, Given):
        msg = "start_task_ids is required."
        raise GraphQLError(msg)
    here, there = ("downstream_task_id", "upstream_task_id")
    if not upstream:
        here, there = there, here
    deepest = str(_DEEPEST_TRAVERSAL)
    if isinstance(depth, Given):
        deepest = f"LEAST({deepest}, {statement.bind(depth, 'Int')})"
    return f"""(
        WITH RECURSIVE walk (task_id, depth) AS (
            SELECT k.id, 0 FROM registry.task k
            WHERE k.tenant_id = {TENANT} AND k.id = ANY ({statement.bind_as(starts, uuid_list_value, "uuid[]")})
            UNION
            SELECT e.{there}, w.depth + 1 FROM walk w
            JOIN registry.edge e ON e.{here} = w.task_id AND e.tenant_id = {TENANT}
            WHERE w.depth < {deepest}
        )
        SELECT {TENANT}::uuid AS tenant_id, w.task_id, max(w.depth) AS depth FROM walk w
        GROUP BY w.task_id ORDER BY max(w.depth), w.task_id)"""


def mapped_children(statement: Statement, task_run_id: Given) -> str:
    """Over the mapped children of a task run; nulls and `{}` when it has none or is a child itself."""
    reference = statement.bind_as(task_run_id, uuid_value, "uuid")
    return f"""
        SELECT min(s.first) AS min_start_time, max(s.last) AS max_end_time,
               coalesce(jsonb_object_agg(s.state, s.runs) FILTER (WHERE s.state IS NOT NULL), '{{}}') AS state_counts
        FROM (SELECT c.state, min(c.start_time) AS first, max(c.end_time) AS last, count(*) AS runs
              FROM runs.task_run p
              JOIN runs.task_run c ON c.flow_run_id = p.flow_run_id AND c.task_id = p.task_id
                  AND c.map_index >= 0 AND c.tenant_id = {TENANT}
              WHERE p.id = {reference} AND p.map_index < 0 AND p.tenant_id = {TENANT}
              GROUP BY c.state) s"""


def task_run_info(statement: Statement, task_run_id: Given) -> str:
    """The version and state of a task run."""
    reference = statement.bind_as(task_run_id, uuid_value, "uuid")
    return (
        "SELECT r.id, r.version, r.serialized_state, r.state FROM runs.task_run r"
        f" WHERE r.id = {reference} AND r.tenant_id = {TENANT}"
    )

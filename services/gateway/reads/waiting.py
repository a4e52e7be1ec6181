"""Why a task run has not started, as an expression over its row (`{t}` is the table's alias).

Null for task runs that run or have ended. Else the first of these that is true:

    needs_approval                          Paused until somebody resumes it
    limit_full: tag gpu, limit 2            Queued, and this limit of one of its tags has no slot free
    queued                                  Queued: its process asks again soon
    retry_later, start_time_ahead           it may start at `state_start_time`, which is still to come
    flow_run_not_running: Scheduled         nothing of its flow run runs
    upstream_unfinished: extract, load      tasks before it that have a task run which has not ended, three at most
    not_started                             nothing is in its way: its process has not come to it yet
"""

from libs.contracts.states import PARENT, State


def _family(head: str) -> set[str]:
    found = {head}
    for name, parent in PARENT.items():  # parents stand before their children
        if parent in found:
            found.add(name)
    return found


def _listed(names: set[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


_FINAL = _family(State.FINISHED)
_BEGUN = _listed(_FINAL | _family(State.RUNNING) | {State.SUBMITTED, State.CLIENT_FAILED})
_ENDED = _listed(_FINAL)

# The slot of a limit is counted as the ledger counts it (services/runs/queries/repair_slots.sql): tags of the task as
# registered, and those its process names in the state.
_FULL_LIMIT = """(
    SELECT min(format('limit_full: tag %s, limit %s', l.tag, l."limit"))
    FROM runs.task_tag_limit l
    WHERE l.tenant_id = $1
        AND ({t}.serialized_state -> 'context' -> 'tags' ? l.tag OR EXISTS (
            SELECT FROM registry.task k WHERE k.id = {t}.task_id AND k.tenant_id = $1 AND k.tags ? l.tag))
        AND l."limit" <= (SELECT count(*) FROM runs.concurrency_slot c
            WHERE c.limit_id = l.id AND c.tenant_id = $1)
)"""

_FLOW_RUN = """(
    SELECT 'flow_run_not_running: ' || r.state FROM runs.flow_run r
    WHERE r.id = {t}.flow_run_id AND r.tenant_id = $1 AND r.state NOT IN ('Running', 'Cancelling')
)"""

_UPSTREAM = f"""(
    SELECT 'upstream_unfinished: ' || string_agg(u.name, ', ' ORDER BY u.name) FROM (
        SELECT DISTINCT coalesce(k.name, k.slug) AS name FROM registry.edge e
        JOIN registry.task k ON k.id = e.upstream_task_id AND k.tenant_id = $1
        JOIN runs.task_run before ON before.flow_run_id = {{t}}.flow_run_id AND before.task_id = e.upstream_task_id
            AND before.tenant_id = $1
        WHERE e.downstream_task_id = {{t}}.task_id AND e.tenant_id = $1 AND before.state NOT IN ({_ENDED})
        ORDER BY name FETCH FIRST 3 ROWS ONLY
    ) u
)"""

WHY_A_TASK_RUN_WAITS = f"""(CASE
    WHEN {{t}}.state IN ({_BEGUN}) THEN NULL
    WHEN {{t}}.state = 'Paused' AND {{t}}.state_start_time IS NULL THEN 'needs_approval'
    WHEN {{t}}.state = 'Queued' THEN COALESCE({_FULL_LIMIT}, 'queued')
    WHEN {{t}}.state_start_time > now() THEN
        CASE {{t}}.state WHEN 'Retrying' THEN 'retry_later' ELSE 'start_time_ahead' END
    ELSE COALESCE({_FLOW_RUN}, {_UPSTREAM}, 'not_started')
END)"""

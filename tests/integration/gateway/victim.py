"""A tenant with a row in every table that can be read, and what a request about its objects has to say."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.gateway.reads.catalog import build_catalog
from tests.integration.gateway.every_field import Objects
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow, a_task, compressed

MARK = "of the victim"
"""In every text of the tenant's that can be chosen: where it shows, something of the tenant shows."""

_LATER = "2100-01-01T00:00:00+00:00"
_WITHOUT_A_MUTATION = (
    "INSERT INTO gateway.message (id, tenant_id, text) VALUES ($1, $2, $3)",
    # To the inbox: sent again, it needs no receiver outside.
    "INSERT INTO automations.delivery"
    " (id, tenant_id, event_id, event_type, event, dedup, status, last_error, action_id)"
    " SELECT $1, $2, $1, 'FlowRunStateChangedEvent', '{}', $1::uuid::text, 'failed', $3, a.id"
    " FROM automations.action a WHERE a.tenant_id = $2 AND a.action_type = 'InboxAction'",
    "INSERT INTO automations.delivery_attempt (id, delivery_id, tenant_id, number, started, latency_ms, error)"
    " SELECT $1, d.id, $2, 1, now(), 1, $3 FROM automations.delivery d WHERE d.tenant_id = $2",
)


async def furnished(
    stack: Stack, admin: Gql, tenant_id: UUID, *, another_id: UUID, guest_id: UUID
) -> Objects:
    """Make the rows, through the API wherever there is a way, and say what every argument means.

    `another_id` is a tenant whose people may be let in, and `guest_id` one of them.

    What a request destroys has an object of its own, so that all requests can be made one after another.
    """

    async def make(mutation: str, **given: Any) -> str:
        text = f"mutation($i: {mutation}_input!) {{ {mutation}(input: $i) {{ id }} }}"
        made: str = (await admin(text, i=given))[mutation]["id"]
        return made

    async def do(mutation: str, **given: Any) -> None:
        text = f"mutation($i: {mutation}_input!) {{ {mutation}(input: $i) {{ success }} }}"
        await admin(text, i=given)

    async def flow(name: str) -> dict[str, str]:
        flow_id = await make(
            "create_flow",
            serialized_flow=a_flow(f"{name} {MARK}"),
            project_id=project,
            set_schedule_active=False,
        )
        shown = f'{{ flow_by_pk(id: "{flow_id}") {{ id flow_group_id version_group_id }} }}'
        found: dict[str, str] = (await admin(shown))["flow_by_pk"]
        return found

    async def run() -> str:
        return await make("create_flow_run", flow_id=kept["id"], scheduled_start_time=_LATER)

    async def has_its_log() -> bool:
        return bool((await admin("{ log { message } }"))["log"])

    project = await make("create_project", name=f"project {MARK}")
    empty_project = await make("create_project", name=f"empty {MARK}")
    kept, doomed, archived = await flow("kept"), await flow("doomed"), await flow("archived")
    flow_run, doomed_run, cancelled_run = await run(), await run(), await run()
    bulk_run, bulk_flow = await run(), await flow("in bulk")
    shown = {"request_key": MARK, "ids": [await run()], "action": "CANCEL"}
    await make("bulk_flow_runs", **shown)
    tasks = (await admin(f'{{ task(where: {{flow_id: {{_eq: "{kept["id"]}"}}}}) {{ id }} }}'))[
        "task"
    ]
    task, other_task = (row["id"] for row in tasks)
    task_run = await make("get_or_create_task_run", flow_run_id=flow_run, task_id=task)
    artifact = {"task_run_id": task_run, "kind": "link", "data": {"at": MARK}}
    kept_artifact = await make("create_task_run_artifact", **artifact)
    doomed_artifact = await make("create_task_run_artifact", **artifact)
    agent = await make("register_agent", type="LocalAgent", name=f"agent {MARK}")
    key_value = await make("set_key_value", key=MARK, value=MARK)
    await do("set_secret", name=MARK, value=MARK)
    await make("update_flow_concurrency_limit", label=MARK, limit=5)
    await make("update_task_tag_limit", tag=MARK, limit=5)
    doomed_label = await make("update_flow_concurrency_limit", label=f"doomed {MARK}", limit=5)
    doomed_tag = await make("update_task_tag_limit", tag=f"doomed {MARK}", limit=5)
    other_tag = await make("update_task_concurrency_limit", name=f"other {MARK}", limit=5)
    doomed_key = await make("create_api_key", name=f"doomed {MARK}")
    doomed_token = await make("create_api_token", name=f"doomed {MARK}")
    membership = await make(
        "create_membership", user_id=str(guest_id), home_tenant_id=str(another_id)
    )
    role = await make("create_custom_role", name=f"role {MARK}", permissions=["read:run"])
    doomed_role = await make("create_custom_role", name=f"doomed {MARK}", permissions=["read:run"])
    invitation = await make(
        "create_membership_invitation", email="somebody@example.org", role_id=role
    )
    config = await make("create_agent_config", name=f"config {MARK}")
    doomed_config = await make("create_agent_config", name=f"doomed {MARK}")
    webhook = {"webhook": {"url": "https://hooks.example.com/x", "payload": {"text": MARK}}}
    action = await make("create_action", name=f"action {MARK}", config=webhook)
    doomed_action = await make("create_action", name=f"doomed {MARK}", config=webhook)
    inbox = await make(
        "create_action", name=f"inbox {MARK}", config={"inbox_notification": {"title": MARK}}
    )
    on_failure = {"action_id": action, "states": ["Failed"]}
    hook = await make("create_flow_run_state_changed_hook", name=f"hook {MARK}", **on_failure)
    doomed_hook = await make("create_flow_run_state_changed_hook", **on_failure)
    # To the inbox: a test sends nothing to other machines.
    to_inbox = {"type": "PREFECT_MESSAGE", "states": ["Failed"], "config": {}}
    cloud_hook = await make("create_cloud_hook", name=f"cloud hook {MARK}", **to_inbox)
    # Of runs that have started, which the victim has none of: the sweep would plan deadlines of scheduled ones within a
    # minute, between two looks at the victim's rows.
    sla = {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 60}
    sla_config = await make("create_flow_sla_config", **sla)
    await make(
        "create_flow_group_sla",
        flow_sla_config_id=sla_config,
        flow_group_id=kept["flow_group_id"],
    )
    await do("write_run_logs", logs=[{"flow_run_id": flow_run, "message": MARK}])
    for statement in _WITHOUT_A_MUTATION:
        await stack.admin_pool.execute(statement, new_id(), tenant_id, MARK)
    await eventually(has_its_log, timeout=60)

    rows = {}
    for table in (name for name, table in build_catalog().tables.items() if table.key):
        found = (await admin(f"{{ {table}(limit: 1) {{ id }} }}"))[table]
        assert found, f"the victim needs a row of {table}: make one here"
        rows[table] = found[0]["id"]
    rows["membership_invitation"] = invitation
    start = {"args": {"start_task_ids": f"{{{task},{other_task}}}"}}
    arguments = {
        "access_token": "asked",
        "action_id": action,
        "agent_config_id": config,
        "agent_config_ids": [config],
        "agent_id": agent,
        "cloud_hook_id": cloud_hook,
        "clocks": [{"cron": "0 0 1 1 *"}],
        "conditions": {"labels": ["asked"]},
        "config": webhook,
        "confirm": True,
        "cron_clocks": [{"cron": "0 0 1 1 *"}],
        "data": {"at": "home"},
        "default_tenant_id": str(tenant_id),
        "delivery_id": rows["delivery"],
        "email": "asked@example.org",
        "duration_seconds": 60,
        "flow_group_id": kept["flow_group_id"],
        "flow_group_ids": [kept["flow_group_id"]],
        "flow_id": kept["id"],
        "flow_run_id": flow_run,
        "flow_sla_config_id": sla_config,
        "home_tenant_id": str(another_id),
        "invitation_id": invitation,
        "hook_id": hook,
        "key": "asked",
        "key_id": doomed_key,
        "key_value_id": key_value,
        "kind": "link",
        "labels": ["asked"],
        "membership_id": membership,
        "message": "asked",
        "message_id": rows["message"],
        "name": "asked",
        "parameters": {},
        "permissions": ["read:flow"],
        "project_id": project,
        "role_id": role,
        "run_config": {"type": "UniversalRun"},
        "scheduled_start_time": _LATER,
        "scope": "USER",
        "serialized_edges": [],
        "serialized_flow": a_flow("asked"),
        "serialized_tasks": [a_task("asked-1")],
        "set_active": False,
        "since": "2099-12-31T12:00:00+00:00",
        "settings": {"asked": True},
        "sla_config_ids": [sla_config],
        "slug": "asked",
        "state": {"type": "Scheduled", "start_time": _LATER, "message": "asked"},
        "task_id": task,
        "task_run_artifact_id": kept_artifact,
        "task_run_id": task_run,
        "tenant_id": str(tenant_id),
        "timestamp": utc_now().isoformat(),
        "token_id": doomed_token,
        "time": "due",
        "type": "LocalAgent",
        "until": "2100-01-01T12:00:00+00:00",
        "user_id": str(guest_id),
        "value": True,
        "version_group_id": kept["version_group_id"],
    }
    of_one_field: dict[str, dict[str, Any]] = {
        "archive_flow": {"flow_id": archived["id"]},
        "bulk_flow_runs": {
            "request_key": str(new_id()),
            "ids": [bulk_run],
            "action": "CANCEL",
            "state": None,
        },
        "bulk_flows": {"request_key": str(new_id()), "ids": [bulk_flow["id"]], "action": "ARCHIVE"},
        "bulk_request": {"request_key": MARK},
        "cancel_flow_run": {"flow_run_id": cancelled_run},
        # not a version of the flow that the others are about: the older one would be archived
        "create_cloud_hook": {**to_inbox, "version_group_id": None},
        "update_cloud_hook": {"states": ["Failed"], "config": {}},
        "create_flow": {"version_group_id": None},
        "create_flow_from_compressed_string": {
            "serialized_flow": compressed(a_flow("packed")),
            "version_group_id": None,
        },
        "delete_custom_role": {"role_id": doomed_role},
        "create_flow_run_state_changed_hook": {"states": ["Failed"]},
        "create_flow_sla_config": {"kind": "STARTED_NOT_FINISHED"},
        "delete_action": {"action_id": doomed_action},
        "delete_agent_config": {"agent_config_id": doomed_config},
        "delete_hook": {"hook_id": doomed_hook},
        "delete_flow": {"flow_id": doomed["id"]},
        "delete_flow_concurrency_limit": {"limit_id": doomed_label},
        "delete_flow_group": {"flow_group_id": archived["flow_group_id"]},
        "delete_flow_run": {"flow_run_id": doomed_run},
        "delete_project": {"project_id": empty_project},
        "delete_task_concurrency_limit": {"limit_id": other_tag},
        "delete_task_tag_limit": {"limit_id": doomed_tag},
        "delete_task_run_artifact": {"task_run_artifact_id": doomed_artifact},
        "flow_concurrency": {"labels": None},  # of every label: one that is named is echoed
        "log_search": {"text": MARK, "task_run_id": None},
        "secret_value": {"name": MARK},
        "set_project_name": {"name": "asked otherwise"},
        "test_action": {"action_id": inbox},  # it needs no receiver outside
        "unarchive_flow": {"flow_id": archived["id"]},
        "update_flow_concurrency_limit": {"label": "asked", "limit": 5},
        "update_task_concurrency_limit": {"limit": 5},
        "update_task_tag_limit": {"tag": "asked", "limit": 5},
        "utility_downstream_tasks": start,
        "utility_downstream_tasks_aggregate": start,
        "utility_upstream_tasks": start,
        "utility_upstream_tasks_aggregate": start,
    }
    return Objects(rows=rows, arguments=arguments, of_one_field=of_one_field)

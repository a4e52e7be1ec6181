"""Every mutation about a flow, asked about one that is archived or deleted: it works, or says why it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from services.gateway.graphql.dialect import REGISTRY
from tests.integration.gateway.every_field import schema
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow, a_parameter, a_schedule, a_task
from tests.support.services import all_services

WORK: dict[str, tuple[dict[str, Any], str, Any]] = {
    # what else the mutation is given; what is read of the flow afterwards; what is found there
    "archive_flow": ({}, "archived", True),
    "unarchive_flow": ({}, "archived", False),
    "set_schedule_inactive": ({}, "is_schedule_active", False),
    "update_flow_project": ({"project_id": "another"}, "project { name }", {"name": "another"}),
    "disable_flow_heartbeat": ({}, "settings", {"heartbeat_enabled": False}),
    "enable_flow_heartbeat": ({}, "settings", {"heartbeat_enabled": True}),
    "disable_flow_lazarus_process": ({}, "settings", {"lazarus_enabled": False}),
    "enable_flow_lazarus_process": ({}, "settings", {"lazarus_enabled": True}),
    "enable_flow_version_lock": ({}, "settings", {"version_locking_enabled": True}),
    "disable_flow_version_lock": ({}, "settings", {"version_locking_enabled": False}),
    "register_tasks": (
        {"serialized_tasks": [a_task("late-1")]},
        'tasks(where: {slug: {_eq: "late-1"}}) { slug }',
        [{"slug": "late-1"}],
    ),
    "register_edges": ({"serialized_edges": []}, "edges_aggregate { aggregate { count } }", None),
    "set_flow_group_default_parameters": (
        {"parameters": {"x": 1}},
        "flow_group { default_parameters }",
        {"default_parameters": {"x": 1}},
    ),
    "set_flow_group_labels": ({"labels": ["a"]}, "flow_group { labels }", {"labels": ["a"]}),
    "set_flow_group_description": (
        {"description": "d"},
        "flow_group { description }",
        {"description": "d"},
    ),
    "set_flow_group_run_config": (
        {"run_config": {"type": "LocalRun"}},
        "flow_group { run_config }",
        {"run_config": {"type": "LocalRun"}},
    ),
    "set_flow_group_schedule": (
        {"interval_clocks": [{"interval": 3600}]},
        "flow_group { schedule }",
        None,
    ),
    "delete_flow_group_schedule": ({}, "flow_group { schedule }", {"schedule": None}),
    "create_flow_group_sla": ({"flow_sla_config_id": "a new one"}, "id", None),
    "delete_flow": ({}, "id", None),
    "delete_flow_group": ({}, "id", None),
}
SENTENCES = {
    "set_schedule_active": "Can not schedule flow {id}, which is archived: take it out of the archive first"
    " (unarchive_flow), or schedule the version that is in force.",
    "create_flow_run": "Flow {id} is archived.",
}
FOUNDING = {  # the founding document's own pairs, which are the others by other names
    "setFlowScheduleState", "disableFlowHeartbeat", "disableLazarusForFlow", "enableFlowVersionLocking",
    "disableFlowVersionLocking",
}  # fmt: skip
GONE = {"delete_flow", "delete_flow_group"}
ANSWER_WITH_AN_ID = {"create_flow_run", "update_flow_project", "create_flow_group_sla"}


@dataclass(frozen=True, slots=True)
class Archived:
    """A version that is archived, alone in its group."""

    api: Gql
    id: str
    flow_group_id: str
    other_project_id: str

    async def ask(self, mutation: str, **given: Any) -> dict[str, Any]:
        """The whole answer to a mutation about it."""
        about = (
            {"flow_group_id": self.flow_group_id}
            if "flow_group" in mutation
            else {"flow_id": self.id}
        )
        if "project_id" in given:
            given["project_id"] = self.other_project_id
        if "flow_sla_config_id" in given:
            made = await self.api(
                "mutation { create_flow_sla_config(input: {kind: STARTED_NOT_FINISHED, duration_seconds: 60}) { id } }"
            )
            given["flow_sla_config_id"] = made["create_flow_sla_config"]["id"]
        payload = "id" if mutation in ANSWER_WITH_AN_ID else "success error"
        text = f"mutation($i: {mutation}_input!) {{ {mutation}(input: $i) {{ {payload} }} }}"
        answer = await self.api.post({"query": text, "variables": {"i": about | given}})
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[Gql]:
    async with all_services(stack) as gateway, Gql(f"http://127.0.0.1:{gateway.port}") as gql:
        yield gql


@pytest.fixture
async def archived(api: Gql, request: pytest.FixtureRequest) -> Archived:
    async def project(name: str) -> str:
        found = await api(f'{{ project(where: {{name: {{_eq: "{name}"}}}}) {{ id }} }}')
        if found["project"]:
            return str(found["project"][0]["id"])
        made = await api(f'mutation {{ create_project(input: {{name: "{name}"}}) {{ id }} }}')
        return str(made["create_project"]["id"])

    made = await api(
        "mutation($i: create_flow_input!) { create_flow(input: $i) { id } }",
        i={
            "serialized_flow": a_flow(
                request.node.name, schedule=a_schedule(), parameters=[a_parameter("x", default=0)]
            ),
            "project_id": await project("one"),
        },
    )
    flow_id = made["create_flow"]["id"]
    await api(f'mutation {{ archive_flow(input: {{flow_id: "{flow_id}"}}) {{ success }} }}')
    group = await api(f'{{ flow_by_pk(id: "{flow_id}") {{ flow_group_id }} }}')
    return Archived(api, flow_id, group["flow_by_pk"]["flow_group_id"], await project("another"))


@pytest.mark.parametrize("mutation", WORK)
async def test_a_mutation_that_says_it_was_done_was_done(archived: Archived, mutation: str) -> None:
    given, selection, expected = WORK[mutation]

    answer = await archived.ask(mutation, **given)

    assert "errors" not in answer, answer
    assert answer["data"][mutation].get("success", True) is True
    read = f'{{ flow_by_pk(id: "{archived.id}") {{ {selection} }} }}'
    found = (await archived.api(read))["flow_by_pk"]
    assert (found is None) is (mutation in GONE)
    if found is not None and expected is not None:
        value = found[selection.split("(")[0].split()[0]]
        shown = {key: value[key] for key in expected} if isinstance(expected, dict) else value
        assert shown == expected


@pytest.mark.parametrize("mutation", SENTENCES)
async def test_a_mutation_that_is_not_done_says_why(archived: Archived, mutation: str) -> None:
    answer = await archived.ask(mutation)

    assert [error["message"] for error in answer["errors"]] == [
        SENTENCES[mutation].format(id=archived.id)
    ]
    assert answer["data"] == {mutation: None}


@pytest.mark.parametrize("mutation", sorted(WORK.keys() | SENTENCES.keys()))
async def test_a_mutation_about_a_deleted_flow_says_that_it_is_gone(
    archived: Archived, mutation: str
) -> None:
    await archived.ask("delete_flow_group")

    answer = await archived.ask(mutation, **WORK.get(mutation, ({}, "", None))[0])

    done = (answer.get("data") or {}).get(mutation) or {}
    said = [error["message"] for error in answer.get("errors", ())]
    assert said or (done["success"] is False and done["error"]), answer
    assert "internal" not in " ".join(said)


def test_every_mutation_about_a_flow_is_tried() -> None:
    mutations = schema().mutation_type
    assert mutations is not None
    declared = {each.snake or each.camel for each in REGISTRY}
    about = {
        name
        for name in declared
        if name and {"flow_id", "flowId", "flow_group_id"} & _inputs_of(mutations.fields[name])
    }
    assert about == WORK.keys() | SENTENCES.keys() | FOUNDING


def _inputs_of(field: Any) -> set[str]:
    argument = field.args.get("input")
    return set(argument.type.of_type.fields) if argument else set()


async def test_core_is_told_in_its_own_way_after_it_registered(archived: Archived) -> None:
    """It asks this of every flow that it has registered, and would raise if it were told of an error."""
    async with Gql(archived.api.url, headers={"x-prefect-core-version": "1.4.1"}) as core:
        answer = await core(
            "mutation($input: set_schedule_active_input!) { set_schedule_active(input: $input) { success error } }",
            input={"flow_id": archived.id},
        )

    assert answer["set_schedule_active"] == {
        "success": False,
        "error": SENTENCES["set_schedule_active"].format(id=archived.id),
    }

"""U+0000, half of a surrogate pair and a million characters, in every text that any request can carry.

Nobody is answered with an internal error. What running code reports is taken; of everything else the answer names the
field, in a sentence that a person can read.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.gateway.answers import LONGEST_SENTENCE
from services.gateway.keys import Key, Role
from services.gateway.reads.catalog import build_catalog
from tests.integration.gateway.every_field import (
    Asked,
    Objects,
    every_mutation,
    every_query,
    schema,
    snake,
)
from tests.integration.gateway.odd_inputs import (
    FREE,
    ODD,
    conditions_of,
    leaves_of,
    with_leaf,
)
from tests.integration.gateway.victim import furnished
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.services import all_services

SCHEMA = schema()
MUTATIONS = sorted(SCHEMA.mutation_type.fields) if SCHEMA.mutation_type else []
QUERIES = sorted(SCHEMA.query_type.fields) if SCHEMA.query_type else []
KEY = "hw_" + "k" * 43
SAYS = {
    "cron": ("clock",),
    "label": ("name",),
    "name": ("tag", "no value found for the requested key"),
    "serialized_edges": ("edges",),
    "serialized_tasks": ("tasks",),
    "start_task_ids": ("array literal",),
}
"""What a sentence may say in place of a field's name."""
OTHERWISE = (
    "Unauthorized: permission error.",
    "Uniqueness violation.",
    "a refresh token is required",
)
"""Refusals that are about something else than the text."""


@dataclass(frozen=True, slots=True)
class World:
    """Somebody who may do all, and what requests are about."""

    http: httpx.AsyncClient
    objects: Objects
    mutations: dict[str, Asked] = field(default_factory=dict)
    queries: dict[str, Asked] = field(default_factory=dict)

    async def answer(self, query: str, variables: dict[str, Any]) -> tuple[int, list[Any]]:
        """The status and the errors; the body is written as Python's own client writes it."""
        body = json.dumps({"query": query, "variables": json.dumps(variables)})
        answer = await self.http.post("/graphql", content=body)
        return answer.status_code, answer.json().get("errors") or []


@pytest.fixture(scope="module")
async def world(stack: Stack) -> AsyncIterator[World]:
    async with all_services(stack, auth="required", bootstrap_key=KEY) as gateway:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        url = f"http://127.0.0.1:{gateway.port}"
        async with (
            Gql(url, headers=headers) as admin,
            httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http,
        ):
            [tenant_id] = await gateway._store.tenant_ids()
            other = await gateway._store.create_tenant(gateway.ids(), name="other", slug="other")
            assert isinstance(other, UUID)
            guest = Key(
                id=gateway.ids(), tenant_id=other, user_id=gateway.ids(), name="guest",
                role=Role.USER, expires_at=None,
            )  # fmt: skip
            await gateway._store.create_key(guest, b"guest", created_by=None)
            objects = await furnished(
                stack, admin, tenant_id, another_id=other, guest_id=guest.user_id
            )
            yield World(
                http,
                objects,
                {asked.name: asked for asked in every_mutation(SCHEMA, objects)},
                {asked.name: asked for asked in every_query(SCHEMA, objects)},
            )


def complaint(status: int, errors: list[Any], *names: str) -> str | None:
    """What is wrong with the answer to an odd request; None if nothing is."""
    if status not in (200, 400):
        return f"HTTP {status}"
    for error in errors:
        code = (error.get("extensions") or {}).get("code")
        if code in {"INTERNAL_SERVER_ERROR", "API_ERROR"}:
            return f"{code}: {error['message'][:200]}"
        if len(error["message"]) > LONGEST_SENTENCE:
            return f"a sentence of {len(error['message'])} characters: {error['message'][:200]}"
        if any(reason in error["message"] for reason in OTHERWISE):
            continue
        said = error["message"].lower().replace("_", "").replace(" ", "")
        known = [*names, *(word for name in names for word in SAYS.get(snake(name), ()))]
        if not any(name.lower().replace("_", "").replace(" ", "") in said for name in known):
            return f"names none of {names}: {error['message'][:300]}"
    return None


async def complaints(world: World, asked: Asked) -> list[str]:
    found: list[str] = []
    reports = asked.declared is not None and asked.declared.reports
    # The other dialect is another name for the same code, which a million characters need not see twice.
    odd_texts = {title: odd for title, odd in ODD.items() if asked.name.islower() or len(odd) < 10}
    for leaf in leaves_of(SCHEMA, asked):
        for title, odd in odd_texts.items():
            for value in leaf.forms(odd):
                variables = with_leaf(asked.variables, leaf, value)
                status, errors = await world.answer(asked.query, variables)
                wrong = complaint(status, errors, leaf.name, leaf.scalar)
                if wrong is None and errors and reports and leaf.scalar in FREE:
                    wrong = f"a report was refused: {errors[0]['message'][:300]}"
                if wrong is not None:
                    shown = "text" if isinstance(value, str) else "value"
                    found.append(f"{'.'.join(map(str, leaf.path))} <- {title} as {shown}: {wrong}")
    return found


@pytest.mark.parametrize("name", MUTATIONS)
async def test_every_text_of_a_mutation_is_taken_or_named(world: World, name: str) -> None:
    assert await complaints(world, world.mutations[name]) == []


@pytest.mark.parametrize("name", QUERIES)
async def test_every_argument_of_a_query_is_taken_or_named(world: World, name: str) -> None:
    assert await complaints(world, world.queries[name]) == []


@pytest.mark.parametrize("table", sorted(build_catalog().tables.keys() & set(QUERIES)))
async def test_every_operand_of_a_condition_is_taken_or_named(world: World, table: str) -> None:
    found = []
    for condition in conditions_of(SCHEMA, table):
        for title, odd in ODD.items():
            if len(odd) > 10 and not condition.is_first:
                continue
            status, errors = await world.answer(condition.query(), {"w": condition.where(odd)})
            wrong = complaint(status, errors, condition.column, condition.scalar)
            if wrong is not None:
                found.append(f"{condition.column}.{condition.operator} <- {title}: {wrong}")
    assert found == []

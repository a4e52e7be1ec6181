"""Who registers a flow whose schedule cannot be started is told so, at once and later."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow, a_parameter, a_schedule, compressed
from tests.support.services import all_services


@pytest.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[Gql]:
    async with all_services(stack) as gateway, Gql(f"http://127.0.0.1:{gateway.port}") as gql:
        yield gql


@pytest.mark.parametrize("mutation", ["create_flow", "create_flow_from_compressed_string"])
async def test_a_required_parameter_with_a_default_leaves_the_schedule_off_and_says_so(
    api: Gql, mutation: str
) -> None:
    flow = a_flow(
        mutation,
        schedule=a_schedule(),
        parameters=[a_parameter("x", required=True) | {"default": 5}],
    )
    project = await api(f'mutation {{ create_project(input: {{name: "{mutation}"}}) {{ id }} }}')
    given: dict[str, Any] = {
        "serialized_flow": flow if mutation == "create_flow" else compressed(flow),
        "project_id": project["create_project"]["id"],
    }

    made = await api(
        f"mutation($i: {mutation}_input!) {{ {mutation}(input: $i) {{ id error }} }}", i=given
    )
    found = await api(f'{{ flow_by_pk(id: "{made[mutation]["id"]}") {{ late_reason }} }}')

    assert made[mutation]["error"].startswith(
        "Can not schedule a flow that has required parameters. Nobody gives 'x' of"
    )
    assert found["flow_by_pk"]["late_reason"] == "schedule_off: parameters_missing: x"

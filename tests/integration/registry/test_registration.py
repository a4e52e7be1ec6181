"""Registration: what a flow becomes when it is registered whole or in pieces."""

from libs.contracts import registry as contracts
from tests.integration.registry.office import Office
from tests.support.serialized_flows import a_flow, a_task, an_edge, compressed


async def test_a_flow_is_stored_with_its_tasks_and_edges(office: Office) -> None:
    serialized = a_flow(tasks=("extract-1", "clean-1", "load-1"))

    made = await office.register(serialized, description="every night")

    flow = await office.flow(made.id)
    assert made.version == 1
    assert flow["name"] == "orders"
    assert flow["description"] == "every night"
    assert flow["core_version"] == "1.4.1"
    assert flow["serialized_flow"] == serialized
    assert flow["storage"] == serialized["storage"]
    assert flow["archived"] is False
    assert set(await office.tasks(made.id)) == {"extract-1", "clean-1", "load-1"}


async def test_a_flow_in_pieces_becomes_the_same_as_a_whole_one(office: Office) -> None:
    head = {k: v for k, v in a_flow().items() if k not in ("tasks", "edges")}
    made = await office.register(compressed_flow=compressed(head), set_schedule_active=False)
    for rpc, pieces in (
        (
            contracts.REGISTER_TASKS,
            contracts.RegisterTasks(
                tenant_id=office.tenant_id,
                flow_id=made.id,
                serialized_tasks=[a_task("a"), a_task("b")],
            ),
        ),
        (
            contracts.REGISTER_EDGES,
            contracts.RegisterEdges(
                tenant_id=office.tenant_id,
                flow_id=made.id,
                serialized_edges=[an_edge("a", "b", mapped=True)],
            ),
        ),
    ):
        for _ in range(2):
            await office.do(rpc, pieces)
    tasks = await office.tasks(made.id)
    assert tasks["b"]["mapped"]
    assert len((await office.flow(made.id))["serialized_flow"]["tasks"]) == 2
    assert len((await office.flow(made.id))["serialized_flow"]["edges"]) == 1

"""Flows as real clients serialized them: `serialized/<version>.json`.

Each is what `orders.py.txt`, run with that version of Prefect, printed: every kind of clock that the version has,
filters and adjustments, a trigger with arguments and one of the user's own, a mapped task, reference tasks.
"""

import json
from pathlib import Path

import pytest

from services.registry.domain.flows import NewFlow, Pieces, read_edges, read_flow, read_tasks

FILES = sorted(Path(__file__).with_name("serialized").glob("*.json"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    """One version's flow."""
    found: Path = request.param
    return found


def test_there_are_flows_to_read() -> None:
    assert len(FILES) == 6


def test_a_flow_of_a_real_client_is_read(path: Path) -> None:
    flow = read_flow(json.loads(path.read_text()))

    assert isinstance(flow, NewFlow), flow
    assert flow.core_version == path.stem
    assert flow.required_parameters == {"limit"}
    assert flow.schedule is not None
    shapes = {task.name: shape for task, shape in zip(flow.tasks, flow.shapes, strict=True)}
    assert {name for name, shape in shapes.items() if shape.mapped} == {"extract"}
    assert {name for name, shape in shapes.items() if shape.is_root} == {"day", "limit"}
    assert {name for name, shape in shapes.items() if shape.is_terminal} == {"load"}
    assert {name for name, shape in shapes.items() if shape.is_reference} == {"join"}


def test_the_tasks_and_edges_of_a_real_client_are_read_in_pieces(path: Path) -> None:
    serialized = json.loads(path.read_text())

    tasks, edges = read_tasks(serialized["tasks"]), read_edges(serialized["edges"])

    assert isinstance(tasks, Pieces)
    assert isinstance(edges, Pieces)
    assert [json.loads(document) for document in tasks.documents] == serialized["tasks"]
    assert [json.loads(document) for document in edges.documents] == serialized["edges"]
    assert len({edge.identity for edge in edges.parts}) == len(serialized["edges"])


def test_a_document_is_kept_as_it_came(path: Path) -> None:
    serialized = json.loads(path.read_text())
    flow = read_flow(serialized)

    assert isinstance(flow, NewFlow)
    assert json.loads(flow.document) == serialized

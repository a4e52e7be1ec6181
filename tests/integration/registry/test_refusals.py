"""Bad input over the bus: a clear refusal, and nothing stored."""

from base64 import b64encode
from gzip import compress
from random import Random
from string import ascii_letters, digits
from typing import Any

import pytest

from libs.contracts import registry as contracts
from libs.contracts.errors import Code
from libs.runtime.ids import new_id
from services.registry.domain.parts import LONGEST_SLUG
from tests.integration.registry.office import Office
from tests.support.serialized_flows import a_flow, a_task, an_edge, compressed

BOMB = b64encode(compress(b" " * (65 << 20))).decode()


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({}, Code.INVALID, "serialized_flow: one flow is expected"),
        ({"serialized_flow": a_flow(), "compressed_flow": "x"}, Code.INVALID, "serialized_flow: "),
        ({"serialized_flow": []}, Code.FLOW_MALFORMED, "serialized_flow: "),
        ({"serialized_flow": {}}, Code.FLOW_MALFORMED, "name: Field required"),
        ({"serialized_flow": a_flow("a\0")}, Code.FLOW_MALFORMED, "serialized_flow.name: a NUL"),
        ({"serialized_flow": a_flow(tasks=[""])}, Code.FLOW_MALFORMED, "tasks.0.slug: "),
        (
            {"serialized_flow": a_flow(edges=[an_edge("extract-1", "extract-1")])},
            Code.FLOW_MALFORMED,
            "edges: they form a cycle",
        ),
        (
            {"serialized_flow": a_flow(edges=[an_edge("extract-1", "gone")])},
            Code.EDGES_UNKNOWN_TASKS,
            "edges.0.downstream_task: ",
        ),
        ({"compressed_flow": "{}"}, Code.FLOW_UNDECODABLE, "it is not base64"),
        ({"compressed_flow": BOMB}, Code.FLOW_UNDECODABLE, "it holds more than 64 MiB of JSON"),
        ({"compressed_flow": compressed([])}, Code.FLOW_MALFORMED, "serialized_flow: "),
        (
            {"serialized_flow": a_flow(), "version_group_id": "g" * 501},
            Code.INVALID,
            "version_group_id: at most 500 characters",
        ),
        ({"serialized_flow": a_flow(), "description": "\0"}, Code.INVALID, "description: a NUL"),
        (
            {"serialized_flow": a_flow(), "idempotency_key": "\0"},
            Code.INVALID,
            "idempotency_key: a NUL",
        ),
        ({"serialized_flow": a_flow(), "project_id": None}, Code.PROJECT_INVALID_ID, ""),
        ({"serialized_flow": a_flow(), "project_id": new_id()}, Code.PROJECT_NOT_FOUND, ""),
    ],
)
async def test_a_bad_registration_is_refused_and_stores_nothing(
    office: Office, fields: dict[str, Any], code: Code, reason: str
) -> None:
    before = await office.everything()

    refused = await office.refusal(contracts.REGISTER_FLOW, office.registration(**fields))

    assert refused.code is code
    assert refused.fields.get("reason", "").startswith(reason)
    assert await office.everything() == before


async def test_a_task_with_as_many_tags_as_fit_into_its_slug_is_stored(office: Office) -> None:
    """Core writes every tag into the slug; text that no index could shorten."""
    random = Random(7)  # noqa: S311 - not for secrets
    tags = ["".join(random.choices(ascii_letters + digits, k=63)) for _ in range(40)]
    longest = ("load-" + "-".join(tags) + "-1")[:LONGEST_SLUG]
    assert len(longest) > 2_500

    made = await office.register(a_flow(tasks=["a", longest]), version_group_id="tags")
    refused = await office.refusal(
        contracts.REGISTER_FLOW,
        office.registration(serialized_flow=a_flow(tasks=["x" * (LONGEST_SLUG + 1)])),
    )

    assert set(await office.tasks(made.id)) == {"a", longest}
    assert refused.fields["reason"] == (
        "tasks.0.slug: it has 2,601 bytes, and at most 2,600 are kept. Core makes it of the task's name and all its"
        " tags: give the task a slug of its own, or fewer tags"
    )


async def test_the_longest_names_are_stored(office: Office) -> None:
    """Characters of four bytes and no two alike: nothing that an index could shorten."""
    name = "".join(chr(0x20000 + n * 7) for n in range(500))

    made = await office.register(
        a_flow(name, edges=[an_edge("a", name, key=name)]) | {"tasks": [a_task("a"), a_task(name)]},
        version_group_id=name,
    )

    assert (await office.flow(made.id))["name"] == name


async def test_a_flow_nested_hundreds_of_levels_deep_is_stored_or_refused(office: Office) -> None:
    for depth in (150, 300, 900, 5000):
        text = b'{"name": "deep", "extra": ' + b"[" * depth + b"]" * depth + b"}"

        answer = await office.ask(
            contracts.REGISTER_FLOW,
            office.registration(compressed_flow=b64encode(compress(text)).decode()),
        )

        assert getattr(answer, "code", None) in (None, Code.FLOW_UNDECODABLE, Code.FLOW_MALFORMED)


async def test_ten_thousand_tasks_are_registered_in_one_call(office: Office) -> None:
    slugs = [f"task-{n}" for n in range(10_000)]

    made = await office.register(compressed_flow=compressed(a_flow(tasks=slugs)))

    counted = await office.everything()
    assert made.version == 1
    assert (counted["task"], counted["edge"]) == (10_000, 9_999)

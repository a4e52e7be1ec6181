"""Serialized flows: what is read from them, and what is refused with the name of its field."""

from datetime import timedelta
from typing import Any

import pytest

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.registry.domain.flows import (
    NewFlow,
    Pieces,
    read_compressed_flow,
    read_edges,
    read_flow,
    read_tasks,
)
from tests.support.serialized_flows import (
    a_cron,
    a_flow,
    a_parameter,
    a_schedule,
    a_task,
    an_edge,
    an_interval,
    compressed,
)


def read(serialized: Any) -> NewFlow:
    """A flow that must be good."""
    flow = read_flow(serialized)
    assert isinstance(flow, NewFlow), flow
    return flow


def test_a_flow_of_core_is_read() -> None:
    flow = read(a_flow(tasks=("a-1", "b-1"), parameters=[a_parameter("x", required=True)]))

    assert flow.name == "orders"
    assert flow.core_version == "1.4.1"
    assert [task.slug for task in flow.tasks] == ["a-1", "b-1"]
    assert [edge.identity for edge in flow.edges] == [("a-1", "b-1", "")]
    assert flow.required_parameters == {"x"}
    assert flow.schedule is None


def test_the_oldest_shape_is_read_too() -> None:
    """Core 0.8 wrote no version, triggers as plain names, references as objects, and slugs that are UUIDs."""
    slug = "6d2f1b1e-3a55-4a0e-9b3e-0b1b7f5c2b11"
    task = {"slug": slug, "trigger": "prefect.triggers.all_successful", "retry_delay": None}

    flow = read(
        {"name": "old", "tasks": [task], "reference_tasks": [{"slug": slug}], "edges": None}
    )

    assert flow.core_version is None
    assert flow.tasks[0].trigger == "prefect.triggers.all_successful"
    assert flow.shapes[0].is_reference


def test_a_flow_without_tasks_waits_for_its_pieces() -> None:
    flow = read({"name": "in pieces", "reference_tasks": [{"slug": "comes-later"}]})

    assert list(flow.tasks) == []


def test_unknown_fields_stay_in_the_document() -> None:
    assert '"from the future":[1,2]' in read(a_flow() | {"from the future": [1, 2]}).document


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (5, timedelta(seconds=5)),
        (0.5, timedelta(seconds=0.5)),
        ("01:02:03", timedelta(hours=1, minutes=2, seconds=3)),
        (None, None),
    ],
)
def test_a_retry_delay_is_seconds_or_a_clock_time(delay: Any, expected: timedelta | None) -> None:
    flow = read(a_flow(edges=[]) | {"tasks": [a_task("a", retry_delay=delay)]})

    assert flow.tasks[0].retry_delay == expected


@pytest.mark.parametrize(
    "trigger",
    [
        None,
        "prefect.triggers.all_finished",
        {"fn": "prefect.triggers.some_failed", "kwargs": {"at_least": 1}},
        {"fn": "prefect.triggers.some_failed.<locals>._some_failed"},
        {"fn": "__main__.mine"},
        {"fn": "shop.flows.build.<locals>.<lambda>"},
    ],
)
def test_triggers_of_core_and_of_users_are_read(trigger: Any) -> None:
    read(a_flow() | {"tasks": [a_task("a", trigger=trigger)], "edges": []})


def with_task(**fields: Any) -> dict[str, Any]:
    """A flow whose second task has these fields."""
    return a_flow(edges=[]) | {"tasks": [a_task("a"), a_task("b") | fields]}


def with_clock(clock: Any, **fields: Any) -> dict[str, Any]:
    """A flow with this clock."""
    return a_flow(schedule=a_schedule(clock, **fields))


CLOCK = "schedule.clocks.0"

BAD_FLOWS: list[tuple[Any, str]] = [
    # the whole
    ([], "serialized_flow: a JSON object is expected"),
    ('{"name": "a"}', "serialized_flow: a JSON object is expected"),
    ({}, "name: Field required"),
    (a_flow(name=""), "name: String should have at least 1 character"),
    (a_flow(name="x" * 501), "name: String should have at most 500 characters"),
    (a_flow() | {"name": 7}, "name: Input should be a valid string"),
    (a_flow("nul\0"), "serialized_flow.name: a NUL character cannot be stored"),
    (a_flow() | {"tasks": {}}, "tasks: Input should be a valid list"),
    (a_flow() | {"tasks": ["a"]}, "tasks.0: Input should be a valid dictionary"),
    (a_flow() | {"__version__": "yesterday"}, "__version__: 'yesterday' is not a version"),
    (a_flow() | {"__version__": 1.4}, "__version__: Input should be a valid string"),
    (a_flow() | {"storage": "s3"}, "storage: Input should be a valid dictionary"),
    (a_flow() | {"run_config": []}, "run_config: Input should be a valid dictionary"),
    (a_flow() | {"environment": 1}, "environment: Input should be a valid dictionary"),
    (a_flow() | {"environment": {"labels": []}}, "environment.type: a type is expected"),
    (
        a_flow() | {"environment": {"type": "NoSuch"}},
        "environment.type: 'NoSuch' is unknown to agents",
    ),
    (
        a_flow() | {"environment": {"type": "LocalEnvironment", "labels": None}},
        "environment.labels: a list of strings is expected",
    ),
    # tasks
    (with_task(slug=None), "tasks.1.slug: Field required"),
    (with_task(slug=""), "tasks.1.slug: String should have at least 1 character"),
    (with_task(slug=["b"]), "tasks.1.slug: Input should be a valid string"),
    (with_task(slug="a"), "tasks.1.slug: 'a' is the slug of tasks.0 too"),
    (with_task(name=1), "tasks.1.name: Input should be a valid string"),
    (with_task(tags="urgent"), "tasks.1.tags: Input should be a valid list"),
    (with_task(tags=[1]), "tasks.1.tags.0: Input should be a valid string"),
    (with_task(max_retries=-1), "tasks.1.max_retries: Input should be greater than or equal to 0"),
    (
        with_task(max_retries=2**31),
        "tasks.1.max_retries: Input should be less than or equal to 2147483647",
    ),
    (with_task(max_retries="many"), "tasks.1.max_retries: Input should be a valid integer"),
    (with_task(retry_delay="soon"), "tasks.1.retry_delay: Input should be a valid timedelta"),
    (with_task(retry_delay=-1), "tasks.1.retry_delay: Input should be greater than or equal to 0"),
    (with_task(mapped="maybe"), "tasks.1.mapped: Input should be a valid boolean"),
    (
        with_task(trigger={"fn": "prefect.triggers.all_dancing"}),
        "tasks.1.trigger: 'prefect.triggers.all_dancing' is unknown",
    ),
    (
        with_task(trigger="all_successful"),
        "tasks.1.trigger: 'all_successful' is not the name of a trigger",
    ),
    (with_task(trigger=""), "tasks.1.trigger: '' is not the name of a trigger"),
    (with_task(trigger="a..b"), "tasks.1.trigger: 'a..b' is not the name of a trigger"),
    (with_task(trigger=3), "tasks.1.trigger: a trigger is named by its function"),
    (with_task(trigger={"kwargs": {}}), "tasks.1.trigger: a trigger is named by its function"),
    # edges
    (
        a_flow(edges=[{"upstream_task": {"slug": "extract-1"}}]),
        "edges.0.downstream_task: Field required",
    ),
    (
        a_flow(edges=[an_edge("extract-1", "load-1", upstream_task={})]),
        "edges.0.upstream_task: a slug is required",
    ),
    (
        a_flow(edges=[an_edge("extract-1", "load-1", key=1)]),
        "edges.0.key: Input should be a valid string",
    ),
    (
        a_flow(edges=[an_edge("extract-1", "extract-1")]),
        "edges: they form a cycle: extract-1 -> extract-1",
    ),
    # parameters and references
    (a_flow(parameters=[{"name": "x"}]), "parameters.0.slug: Field required"),
    (
        a_flow(parameters=[a_parameter("x", required="?")]),
        "parameters.0.required: Input should be a valid boolean",
    ),
    (a_flow(reference_tasks=[{"slug": "gone"}]), "reference_tasks.0: the flow has no task 'gone'"),
    # schedules
    (a_flow(schedule=[]), "schedule: Input should be a valid dictionary"),
    (a_flow(schedule={"filters": []}), "schedule.clocks: Field required"),
    (
        with_clock({"type": "SunClock"}),
        "schedule.clocks.0: Input tag 'SunClock' found using 'type' does not match",
    ),
    (
        with_clock({"cron": "* * * * *"}),
        "schedule.clocks.0: Unable to extract tag using discriminator 'type'",
    ),
    (
        with_clock(an_interval(59)),
        CLOCK + ".IntervalClock.interval: at least 60 seconds are expected",
    ),
    (
        with_clock(an_interval(10**12)),
        CLOCK + ".IntervalClock.interval: at most a century is expected",
    ),
    (
        with_clock(a_cron("every day")),
        CLOCK + ".CronClock.cron: 'every day' is not a cron expression",
    ),
    (
        with_clock(a_cron(start_date={"dt": "soon", "tz": "UTC"})),
        CLOCK + ".CronClock.start_date.dt: 'soon' is not an ISO date",
    ),
    (
        with_clock(a_cron(start_date={"dt": "2020-01-01T00:00:00", "tz": "Mars/Olympus"})),
        CLOCK + ".CronClock.start_date.tz: 'Mars/Olympus' is not a time zone",
    ),
    (
        with_clock(a_cron(start_date={"dt": "2020-01-01T00:00:00", "tz": ""})),
        CLOCK + ".CronClock.start_date.tz: '' is not a time zone",
    ),
    (with_clock(a_cron(labels="gpu")), CLOCK + ".CronClock.labels: Input should be a valid list"),
    (with_clock({"type": "DatesClock"}), CLOCK + ".DatesClock.dates: Field required"),
    (
        with_clock({"type": "RRuleClock", "rrule_obj": {"type": "rrule", "rr": "FREQ=SOMETIMES"}}),
        CLOCK + ".RRuleClock.rrule_obj.rrule.rr: 'FREQ=SOMETIMES' is not a recurrence rule",
    ),
    (
        with_clock(a_cron(), filters=[{"fn": "prefect.schedules.filters.is_payday"}]),
        "schedule.filters.0: 'prefect.schedules.filters.is_payday' is unknown",
    ),
    (
        with_clock(a_cron(), adjustments=[{"fn": "my.own"}]),
        "schedule.adjustments.0: 'my.own' is unknown",
    ),
]


@pytest.mark.parametrize(("serialized", "reason"), BAD_FLOWS, ids=[r for _, r in BAD_FLOWS])
def test_a_bad_flow_is_refused_with_the_name_of_its_field(serialized: Any, reason: str) -> None:
    refused = read_flow(serialized)

    assert isinstance(refused, Refused)
    assert refused.code is Code.FLOW_MALFORMED
    assert refused.fields["reason"].startswith(reason)


@pytest.mark.parametrize("end", ["upstream_task", "downstream_task"])
def test_an_edge_to_an_unknown_task_is_refused(end: str) -> None:
    refused = read_flow(a_flow(edges=[an_edge("extract-1", "load-1", **{end: {"slug": "gone"}})]))

    assert refused == Refused(
        code=Code.EDGES_UNKNOWN_TASKS,
        fields={"reason": f"edges.0.{end}: the flow has no task 'gone'"},
    )


def test_a_long_cycle_is_told_in_part() -> None:
    slugs = [f"t-{n}" for n in range(30)]
    edges = [an_edge(a, b) for a, b in zip(slugs, [*slugs[1:], slugs[0]], strict=True)]

    refused = read_flow(a_flow(tasks=slugs) | {"edges": edges})

    assert isinstance(refused, Refused)
    assert refused.fields["reason"].endswith("-> ...")


@pytest.mark.parametrize("version", ["0.6.0", "0.5.9", "0.6", "0", "0.6.0+12.gabcdef", "v0.1.2"])
def test_a_flow_of_a_core_without_clocks_is_refused(version: str) -> None:
    assert read_flow(a_flow() | {"__version__": version}) == Refused(
        code=Code.FLOW_TOO_OLD, fields={"version": version}
    )


@pytest.mark.parametrize("version", ["0.6.1", "0.6.2", "0.10.0", "1.4.1", "1.0rc1", "0.14.22+5.g1"])
def test_a_flow_of_a_core_with_clocks_is_read(version: str) -> None:
    assert read(a_flow() | {"__version__": version}).core_version == version


def test_a_flow_that_is_not_compressed_is_undecodable() -> None:
    assert read_compressed_flow("{}", limit=1000) == Refused(
        code=Code.FLOW_UNDECODABLE, fields={"reason": "it is not base64"}
    )


def test_a_compressed_flow_is_checked_like_any_other() -> None:
    refused = read_compressed_flow(compressed({"tasks": []}), limit=1000)

    assert refused == Refused(code=Code.FLOW_MALFORMED, fields={"reason": "name: Field required"})


def test_names_of_any_script_are_read() -> None:
    flow = read(a_flow("заказы 注文 🧾", tasks=("größe-1", "🚀-1")))

    assert flow.name == "заказы 注文 🧾"
    assert [task.slug for task in flow.tasks] == ["größe-1", "🚀-1"]


@pytest.mark.parametrize("reader", [read_tasks, read_edges])
@pytest.mark.parametrize("nothing", [[], None])
def test_no_pieces_are_pieces_too(reader: Any, nothing: Any) -> None:
    assert reader(nothing) == Pieces(parts=[], given=[], documents=[], sent=0)


def test_pieces_that_repeat_are_read_once() -> None:
    tasks = read_tasks([a_task("a", name="first"), a_task("a", name="second"), a_task("b")])
    edges = read_edges(
        [an_edge("a", "b", key="x"), an_edge("a", "b", key="y"), an_edge("a", "b", key="x")]
    )

    assert isinstance(tasks, Pieces)
    assert isinstance(edges, Pieces)
    assert [task.name for task in tasks.parts] == ["first", "b"]
    assert [edge.key for edge in edges.parts] == ["x", "y"]


@pytest.mark.parametrize(
    ("reader", "sent", "reason"),
    [
        (read_tasks, {"slug": "a"}, "tasks: Input should be a valid list"),
        (read_tasks, [a_task("a"), {"name": "b"}], "tasks.1.slug: Field required"),
        (read_tasks, [a_task("a", description="\0")], "tasks.0.description: a NUL character"),
        (read_edges, [{"upstream_task": "a"}], "edges.0.downstream_task: Field required"),
        (read_edges, "a->b", "edges: Input should be a valid list"),
    ],
)
def test_a_bad_piece_is_refused_with_the_name_of_its_field(
    reader: Any, sent: Any, reason: str
) -> None:
    refused = reader(sent)

    assert isinstance(refused, Refused)
    assert refused.code is Code.FLOW_MALFORMED
    assert refused.fields["reason"].startswith(reason)


@pytest.mark.parametrize(
    "environment",
    [
        None,
        {},
        {"type": "LocalEnvironment", "labels": ["a"], "__version__": "0.8.1"},
        {"type": "CustomEnvironment", "metadata": {}, "labels": [], "__version__": "0.13.19"},
    ],
)
def test_an_environment_of_an_old_client_is_taken_as_it_is(environment: Any) -> None:
    assert isinstance(read_flow(a_flow() | {"environment": environment}), NewFlow)

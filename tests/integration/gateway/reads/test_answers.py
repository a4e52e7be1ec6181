"""What clients rely on, one sentence a test: values, nulls, shapes, fragments, errors, limits."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from graphql import (
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    execute,
    get_named_type,
    parse,
)

from services.gateway.reads import BadVariables, DocumentLimits
from tests.integration.gateway.reads.asking import Asker, asking
from tests.integration.gateway.reads.world import A_TENANT, EPOCH
from tests.support.engines import Database
from tests.support.eventually import eventually


def an_id(number: int) -> UUID:
    return UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000 + number)


PROJECT, GROUP, FLOW, RUN, OTHER_RUN = (an_id(number) for number in range(1, 6))
TASKS = [an_id(number) for number in range(10, 14)]  # a diamond: 0 -> 1, 2; 1 -> 3, 2 -> 1
PARENT, CHILDREN = an_id(20), [an_id(21), an_id(22), an_id(23)]
NOW = datetime(2021, 5, 12, 17, 59, 58, 338040, tzinfo=UTC)


@pytest.fixture(scope="module")
async def asker(database: Database) -> AsyncIterator[Asker]:
    await _fill(database.admin_pool)
    async with asking(database.postgres_url("reader")) as found:
        yield found


async def _fill(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    async def insert(table: str, **values: Any) -> None:
        columns = ", ".join(values)
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        await pool.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", *values.values())

    await insert("gateway.tenant", id=A_TENANT, name="A", slug="a", settings={})
    await insert("registry.project", id=PROJECT, tenant_id=A_TENANT, name="p")
    await insert(
        "registry.flow_group", id=GROUP, tenant_id=A_TENANT, name="g", settings={"on": True}
    )
    await insert(
        "registry.flow", id=FLOW, tenant_id=A_TENANT, project_id=PROJECT, flow_group_id=GROUP,
        name="f", version=1, version_group_id="g", settings={"heartbeat_enabled": True},
    )  # fmt: skip
    for number, task in enumerate(TASKS):
        delay = timedelta(minutes=1) if number == 0 else None
        await insert(
            "registry.task", id=task, tenant_id=A_TENANT, flow_id=FLOW, slug=f"t-{number}",
            retry_delay=delay,
        )  # fmt: skip
    for number, (up, down) in enumerate([(0, 1), (0, 2), (1, 3), (2, 1)]):
        await insert(
            "registry.edge", id=an_id(30 + number), tenant_id=A_TENANT, flow_id=FLOW,
            upstream_task_id=TASKS[up], downstream_task_id=TASKS[down],
        )  # fmt: skip
    for number, (run, state) in enumerate([(RUN, "Running"), (OTHER_RUN, "Success")]):
        await insert(
            "runs.flow_run", id=run, tenant_id=A_TENANT, flow_id=FLOW, flow_group_id=GROUP,
            name=f"run-{number}", state=state, state_timestamp=NOW, serialized_state={"type": state},
            scheduled_start_time=NOW + timedelta(days=number), heartbeat=NOW,
            start_time=NOW, end_time=NOW + timedelta(seconds=90) if number else None,
        )  # fmt: skip
    await insert(
        "heartbeat.last_seen", flow_run_id=RUN, tenant_id=A_TENANT, at=NOW + timedelta(hours=1)
    )
    await insert(
        "runs.log_usage", flow_run_id=RUN, tenant_id=A_TENANT, updated=NOW, lines=3, dropped=7
    )
    for number, run in enumerate([PARENT, *CHILDREN]):
        await insert(
            "runs.task_run", id=run, tenant_id=A_TENANT, flow_run_id=RUN, task_id=TASKS[0],
            map_index=number - 1, state="Success" if number < 3 else "Failed",
            state_timestamp=NOW, serialized_state={"type": "Success"}, version=number,
            start_time=EPOCH + timedelta(hours=number), end_time=EPOCH + timedelta(hours=number + 1),
        )  # fmt: skip
    for number in range(3):
        await insert(
            "runs.log", id=an_id(40 + number), created=EPOCH, tenant_id=A_TENANT, flow_run_id=RUN,
            timestamp=EPOCH, message=f"line {number}", sequence=number,
        )  # fmt: skip


# values


async def test_moments_are_iso_with_trimmed_microseconds_and_an_offset(asker: Asker) -> None:
    data = await asker.data(f'{{ flow_run_by_pk(id: "{RUN}") {{ start_time }} }}')

    assert data == {"flow_run_by_pk": {"start_time": "2021-05-12T17:59:58.33804+00:00"}}


async def test_intervals_are_hours_minutes_seconds(asker: Asker) -> None:
    data = await asker.data('{ task(where: {slug: {_eq: "t-0"}}) { retry_delay } }')

    assert data == {"task": [{"retry_delay": "00:01:00"}]}


async def test_a_heartbeat_is_the_later_of_state_and_ping(asker: Asker) -> None:
    data = await asker.data("{ flow_run(order_by: {name: asc}) { heartbeat } }")

    assert [run["heartbeat"] for run in data["flow_run"]] == [
        "2021-05-12T18:59:58.33804+00:00",
        "2021-05-12T17:59:58.33804+00:00",
    ]


@pytest.mark.parametrize(
    ("since", "found"),
    [
        ("2021-05-12T18:30:00+00:00", ["run-0"]),
        ("2021-05-12T18:30:00", ["run-0"]),  # no offset: UTC
        ("2021-05-12T20:30:00+02:00", ["run-0"]),
        ("2021-05-12 18:30:00Z", ["run-0"]),
        ("2021-05-12", ["run-0", "run-1"]),
        ("2021-05-13", []),
    ],
)
async def test_moments_are_read_with_and_without_time_and_offset(
    asker: Asker, since: str, found: list[str]
) -> None:
    data = await asker.data(
        "query ($since: timestamptz) {"
        " flow_run(where: {heartbeat: {_gte: $since}}, order_by: {name: asc}) { name } }",
        {"since": since},
    )

    assert [run["name"] for run in data["flow_run"]] == found


async def test_a_run_shows_how_many_of_its_log_lines_were_dropped(asker: Asker) -> None:
    data = await asker.data("{ flow_run(order_by: {name: asc}) { log_lines_dropped } }")

    assert data == {"flow_run": [{"log_lines_dropped": 7}, {"log_lines_dropped": 0}]}


async def test_the_old_command_line_reads_a_duration(asker: Asker) -> None:
    data = await asker.data("{ flow_run(order_by: {name: asc}) { duration } }")

    assert data == {"flow_run": [{"duration": None}, {"duration": "00:01:30"}]}


# nulls


@pytest.mark.parametrize(
    "where",
    [
        "null",
        "{}",
        "{name: null}",
        "{name: {_eq: null, _in: null, _ilike: null}}",
        "{_and: {name: {_eq: null}}}",
        '{_or: [{name: {_eq: "nobody"}}, {name: {_eq: null}}]}',
        "{agent: {name: {_eq: null}}}",  # no run has an agent
        "{agent: {_and: [{name: {_eq: null}}, {}]}, flow: {project: {name: {_eq: $absent}}}}",
        "{state: {_nin: []}}",
    ],
)
async def test_a_null_operand_is_no_condition(asker: Asker, where: str) -> None:
    data = await asker.data(
        f"""query ($absent: String) {{
            flow_run_aggregate(where: {where}) {{ aggregate {{ count }} }}
            x: project(where: {{name: {{_eq: $absent}}}}) {{ name }}
        }}"""
    )

    assert data["flow_run_aggregate"]["aggregate"]["count"] == 2
    assert data["x"] == [{"name": "p"}]


@pytest.mark.parametrize(
    "where",
    [
        "{state: {_in: []}}",
        "{_or: []}",
        "{_not: {}}",
        "{_not: {name: {_eq: null}}}",
        "{agent: {}}",
        "{flow: {_or: []}}",
        '{flow: {name: {_eq: "f"}}, _and: [{state: {_eq: "Running"}}, {state: {_in: []}}]}',
    ],
)
async def test_what_is_never_true_matches_nothing(asker: Asker, where: str) -> None:
    data = await asker.data(f"{{ flow_run(where: {where}) {{ id }} }}")

    assert data == {"flow_run": []}


async def test_every_argument_may_be_null(asker: Asker) -> None:
    data = await asker.data(
        "{ flow_run(where: null, order_by: null, limit: null, offset: null, distinct_on: null) { state } }"
    )

    assert len(data["flow_run"]) == 2


# shapes


async def test_a_single_value_stands_for_a_list(asker: Asker) -> None:
    data = await asker.data(
        "query ($order: [flow_run_order_by!], $states: [String!]) {"
        " flow_run(where: {_and: {state: {_in: $states}}}, order_by: $order, distinct_on: flow_id) { name } }",
        {"order": {"flow_id": "asc", "scheduled_start_time": "desc"}, "states": "Success"},
    )

    assert data == {"flow_run": [{"name": "run-1"}]}


async def test_the_order_of_keys_in_an_ordering_is_kept(asker: Asker) -> None:
    text = """query ($order: [flow_run_order_by!]) {
        flow_run(order_by: $order) { name } }"""

    first = await asker.data(text, {"order": {"flow_id": "asc", "name": "desc", "created": "asc"}})
    second = await asker.data(text, {"order": {"name": "asc", "flow_id": "desc"}})

    assert [run["name"] for run in first["flow_run"]] == ["run-1", "run-0"]
    assert [run["name"] for run in second["flow_run"]] == ["run-0", "run-1"]


async def test_logs_of_one_moment_come_in_the_order_of_writing(asker: Asker) -> None:
    text = """{
        up: log(order_by: {timestamp: asc}) { message }
        down: log(order_by: {timestamp: desc}, limit: 1) { message }
    }"""

    data = await asker.data(text)

    assert [line["message"] for line in data["up"]] == ["line 0", "line 1", "line 2"]
    assert data["down"] == [{"message": "line 2"}]


async def test_a_field_may_be_asked_for_many_times_under_other_names(asker: Asker) -> None:
    aliases = " ".join(
        f'{state}: flow_run_aggregate(where: {{state: {{_eq: "{state}"}}}}) {{ aggregate {{ count }} }}'
        for state in ("Running", "Success", "Failed")
    )

    data = await asker.data(
        f"{{ {aliases} flow_run(limit: 1) {{ id: flow_group_id __typename }} }}"
    )

    assert [data[state]["aggregate"]["count"] for state in ("Running", "Success", "Failed")] == [
        1,
        1,
        0,
    ]
    assert data["flow_run"] == [{"id": str(GROUP), "__typename": "flow_run"}]


async def test_fragments_directives_and_defaults_are_applied(asker: Asker) -> None:
    text = """
        query Runs($with: Boolean!, $without: Boolean = true, $limit: Int = 1) {
            flow_run(limit: $limit, order_by: {name: asc}) { ...named flow @include(if: $with) { name } }
            project @skip(if: $without) { id }
        }
        fragment named on flow_run { name ... @skip(if: $with) { state } flow { ...flow } }
        fragment flow on flow { version }
    """

    with_flow = await asker.data(text, {"with": True})
    without_flow = await asker.data(text, {"with": False, "without": False, "limit": 2})

    assert with_flow == {"flow_run": [{"name": "run-0", "flow": {"version": 1, "name": "f"}}]}
    assert without_flow == {
        "flow_run": [
            {"name": "run-0", "state": "Running", "flow": {"version": 1}},
            {"name": "run-1", "state": "Success", "flow": {"version": 1}},
        ],
        "project": [{"id": str(PROJECT)}],
    }


async def test_undeclared_variables_are_ignored(asker: Asker) -> None:
    data = await asker.data("query { project { name } }", {"heartbeat": None, "x": {"y": 1}})

    assert data == {"project": [{"name": "p"}]}


async def test_an_unknown_id_is_null(asker: Asker) -> None:
    data = await asker.data(
        f'{{ flow_by_pk(id: "{GROUP}") {{ id }} task_run_by_pk(id: "{an_id(99)}") {{ id }} }}'
    )

    assert data == {"flow_by_pk": None, "task_run_by_pk": None}


async def test_aggregates_count_and_compare(asker: Asker) -> None:
    data = await asker.data(
        """{ task_run_aggregate(where: {map_index: {_gte: 0}}) {
            aggregate {
                count
                states: count(columns: state, distinct: true)
                max { start_time version id } min { map_index } sum { version } avg { version }
            }
            nodes { id }
        } }"""
    )

    values = data["task_run_aggregate"]["aggregate"]
    assert values == {
        "count": 3,
        "states": 2,
        "max": {"start_time": "2026-01-01T03:00:00+00:00", "version": 3, "id": str(CHILDREN[2])},
        "min": {"map_index": 0},
        "sum": {"version": 6},
        "avg": {"version": 2},
    }
    assert len(data["task_run_aggregate"]["nodes"]) == 3


async def test_numbers_are_summed_averaged_and_spread(asker: Asker) -> None:
    functions = [
        "avg",
        "sum",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "var_pop",
        "var_samp",
        "variance",
    ]
    fields = " ".join(f"{name} {{ map_index }}" for name in functions)
    document = f"""{{
        task_run_aggregate(where: {{map_index: {{_gte: 0}}}}) {{ aggregate {{ {fields} }} }}
        flow_run_by_pk(id: "{RUN}") {{
            task_runs_aggregate(where: {{map_index: {{_eq: 0}}}}) {{ aggregate {{ {fields} }} }}
        }}
    }}"""

    data = await asker.data(document)

    # The map indexes are 0, 1 and 2; a sample of one value has no spread.
    assert data["task_run_aggregate"]["aggregate"] == {
        "avg": {"map_index": 1},
        "sum": {"map_index": 3},
        "stddev": {"map_index": 1},
        "stddev_pop": {"map_index": pytest.approx((2 / 3) ** 0.5)},
        "stddev_samp": {"map_index": 1},
        "var_pop": {"map_index": pytest.approx(2 / 3)},
        "var_samp": {"map_index": 1},
        "variance": {"map_index": 1},
    }
    assert data["flow_run_by_pk"]["task_runs_aggregate"]["aggregate"] == {
        "avg": {"map_index": 0},
        "sum": {"map_index": 0},
        "stddev": {"map_index": None},
        "stddev_pop": {"map_index": 0},
        "stddev_samp": {"map_index": None},
        "var_pop": {"map_index": 0},
        "var_samp": {"map_index": None},
        "variance": {"map_index": None},
    }


async def test_rows_can_be_ordered_by_the_spread_of_their_related_rows(asker: Asker) -> None:
    document = """{ flow_run(order_by: {task_runs_aggregate: {var_pop: {map_index: desc_nulls_last}}}) { id } }"""

    data = await asker.data(document)

    assert data["flow_run"][0] == {"id": str(RUN)}


async def test_every_numeric_column_has_every_numeric_aggregate(asker: Asker) -> None:
    wanted = {
        "avg",
        "sum",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "var_pop",
        "var_samp",
        "variance",
    }

    for table in asker.path.catalog.tables.values():
        numeric = {c.name for c in table.columns.values() if c.scalar in ("Int", "bigint")}
        fields = asker.path.object_type(f"{table.name}_aggregate_fields").fields
        offered = {
            name: set(get_named_type(fields[name].type).fields) for name in wanted & fields.keys()
        }
        assert offered == (dict.fromkeys(wanted, numeric) if numeric else {}), table.name


async def test_every_field_can_be_asked_for_nothing_but_its_type_name(asker: Asker) -> None:
    """What reads no table at all is answered, at every depth, and with every argument."""
    for root, field in asker.path.fields.items():
        arguments = _ROOT_ARGUMENTS.get(root.removesuffix("_aggregate"), "")
        if root.endswith("_by_pk"):
            arguments = f'(id: "{FLOW}")'
        paged = "limit" in field.args and not arguments
        for given in ["(limit: 1, offset: 1)", arguments] if paged else [arguments]:
            for selection in _bare_selections(get_named_type(field.type), depth=2):
                answer = await asker.ask(f"{{ {root}{given} {selection} }}")
                errors = [
                    e for e in answer.get("errors", []) if e["message"] != "Invalid task run ID"
                ]
                assert errors == [], f"{root}{given} {selection}"


_WINDOW = '(since: "2026-01-01T00:00:00Z", until: "2026-01-02T00:00:00Z")'
_ROOT_ARGUMENTS = {
    "utility_downstream_tasks": f'(args: {{start_task_ids: "{{{TASKS[0]}}}"}})',
    "utility_upstream_tasks": f'(args: {{start_task_ids: "{{{TASKS[0]}}}"}})',
    "mapped_children": f'(task_run_id: "{PARENT}")',
    "get_task_run_info": f'(task_run_id: "{PARENT}")',
    "flow_run_buckets": _WINDOW,
    "flow_run_counts_by_flow": _WINDOW,
    "flow_run_durations": _WINDOW,
    "mapped_summary": f'(flow_run_id: "{PARENT}")',
    "flow_run_agents": f'(flow_run_id: "{PARENT}")',
}


def _bare_selections(kind: Any, *, depth: int) -> Iterator[str]:
    """Selections that name types only: of the object itself, and of one field with a selection, down to a depth."""
    yield "{ __typename }"
    if depth == 0:
        return
    for name, field in kind.fields.items():
        below = get_named_type(field.type)
        if isinstance(below, GraphQLObjectType):
            for selection in _bare_selections(below, depth=depth - 1):
                yield f"{{ {name} {selection} }}"


async def test_json_columns_can_be_matched_as_text_and_by_key(asker: Asker) -> None:
    data = await asker.data(
        """query ($settings: jsonb) {
            inline: flow(where: {settings: {_contains: {heartbeat_enabled: true}}}) { name }
            given: flow(where: {settings: {_contains: $settings}}) { name }
            key: flow_group(where: {settings: {_has_key: "on"}}) { name }
            text: flow_group(where: {settings: {_cast: {String: {_ilike: "%ON%"}}}}) { name }
        }""",
        {"settings": {"heartbeat_enabled": False}},
    )

    assert data == {
        "inline": [{"name": "f"}],
        "given": [],
        "key": [{"name": "g"}],
        "text": [{"name": "g"}],
    }


# the fields that are not tables


async def test_downstream_tasks_are_reached_once_with_their_longest_path(asker: Asker) -> None:
    text = """query ($tasks: _uuid, $run: uuid) {
        utility_downstream_tasks(args: {start_task_ids: $tasks}) {
            depth task { slug task_runs(where: {flow_run_id: {_eq: $run}, map_index: {_lt: 0}}) { id } }
        } }"""

    data = await asker.data(text, {"tasks": f"{{{TASKS[0]}}}", "run": str(RUN)})

    reached = data["utility_downstream_tasks"]
    assert [(row["task"]["slug"], row["depth"]) for row in reached] == [
        ("t-0", 0), ("t-2", 1), ("t-1", 2), ("t-3", 3),
    ]  # fmt: skip
    assert reached[0]["task"]["task_runs"] == [{"id": str(PARENT)}]


async def test_upstream_tasks_are_reached_up_to_a_depth(asker: Asker) -> None:
    data = await asker.data(
        f"""{{ utility_upstream_tasks(args: {{start_task_ids: "{{{TASKS[3]}}}", depth_limit: 1}},
            where: {{depth: {{_gt: 0}}}}) {{ task_id }} }}"""
    )

    assert data == {"utility_upstream_tasks": [{"task_id": str(TASKS[1])}]}


async def test_mapped_children_are_summed_up(asker: Asker) -> None:
    text = f"""{{
        parent: mapped_children(task_run_id: "{PARENT}") {{ min_start_time max_end_time state_counts __typename }}
        child: mapped_children(task_run_id: "{CHILDREN[0]}") {{ min_start_time state_counts }}
    }}"""

    data = await asker.data(text)

    assert data["parent"] == {
        "min_start_time": "2026-01-01T01:00:00+00:00",
        "max_end_time": "2026-01-01T04:00:00+00:00",
        "state_counts": {"Success": 2, "Failed": 1},
        "__typename": "mapped_children_payload",
    }
    assert data["child"] == {"min_start_time": None, "state_counts": {}}


async def test_task_run_info_is_answered_and_an_unknown_one_is_an_error(asker: Asker) -> None:
    known = await asker.data(
        f'{{ get_task_run_info(task_run_id: "{PARENT}") {{ id version state serialized_state }} }}'
    )
    unknown = await asker.ask(f'{{ get_task_run_info(task_run_id: "{RUN}") {{ id }} }}')

    assert known["get_task_run_info"] == {
        "id": str(PARENT), "version": 0, "state": "Success", "serialized_state": {"type": "Success"},
    }  # fmt: skip
    assert unknown["data"] == {"get_task_run_info": None}
    assert unknown["errors"][0]["message"] == "Invalid task run ID"


async def test_fields_of_others_keep_their_place_in_the_answer(asker: Asker) -> None:
    answer = await asker.ask("{ a: project { name } hello b: __typename c: flow { name } }")

    assert list(answer["data"].items()) == [
        ("a", [{"name": "p"}]), ("hello", "👋"), ("b", "Query"), ("c", [{"name": "f"}]),
    ]  # fmt: skip


async def test_a_row_below_a_mutations_payload_has_what_was_selected(asker: Asker) -> None:
    document = parse('{ flow_run_by_pk(id: "x") { alias: name flow { id } } }')
    found: list[Any] = []

    def resolve(_source: Any, info: GraphQLResolveInfo[Any], **_arguments: Any) -> None:
        found.append(asker.path.row_plan("flow_run", info))

    field = asker.path.fields["flow_run_by_pk"]
    before, field.resolve = field.resolve, resolve
    execute(asker.schema, document)
    field.resolve = before

    row = await asker.reader.row(found[0], RUN, A_TENANT)
    unknown = await asker.reader.row(found[0], FLOW, A_TENANT)

    assert row == b'{"alias":"run-0","flow":{"id":"' + str(FLOW).encode() + b'"}}'
    assert unknown is None


# errors


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ('flow_run_by_pk(id: "nonsense") { id }', 'invalid input syntax for type uuid: "nonsense"'),
        ('flow_run(where: {id: {_in: ["x"]}}) { id }', 'invalid input syntax for type uuid: "x"'),
        (
            'flow_run(where: {created: {_gt: "someday"}}) { id }',
            'invalid input syntax for type timestamptz: "someday"; give ISO 8601, such as 2026-01-31T12:00:00Z,'
            " or now, today, yesterday or tomorrow (UTC)",
        ),
        (
            'task(where: {retry_delay: {_gt: "a while"}}) { id }',
            'invalid input syntax for type interval: "a while"',
        ),
        ('flow_run(where: {name: {_regex: "("}}) { id }', "invalid regular expression: parentheses () not balanced"),
        ("flow_run(limit: -1) { id }", "limit and offset must not be negative: -1"),
        (
            "flow_run(limit: 10001) { id }",
            "limit: 10001 is more than the 10000 rows of flow_run that one list may have; page with offset.",
        ),
        (
            'utility_downstream_tasks(args: {start_task_ids: "nonsense"}) { depth }',
            'malformed array literal: "nonsense"',
        ),
        ('flow_run(where: {name: {_eq: "\\u0000"}}) { id }', "a string must not contain the character U+0000"),
    ],
)  # fmt: skip
async def test_a_value_that_cannot_be_is_the_error_of_its_field_alone(
    asker: Asker, field: str, message: str
) -> None:
    answer = await asker.ask(f"{{ project {{ name }} bad: {field} }}")

    assert answer["data"] == {"project": [{"name": "p"}], "bad": None}
    assert [(error["path"], error["message"]) for error in answer["errors"]] == [(["bad"], message)]


async def test_distinct_columns_must_begin_the_ordering(asker: Asker) -> None:
    with pytest.raises(GraphQLError, match='"distinct_on" columns must match initial "order_by"'):
        await asker.ask("{ flow_run(distinct_on: state, order_by: {name: asc}) { id } }")


async def test_variables_that_do_not_fit_are_refused_together(asker: Asker) -> None:
    text = "query ($id: uuid!, $limit: Int) { flow_run_by_pk(id: $id) { id } flow_run(limit: $limit) { id } }"

    with pytest.raises(BadVariables) as refused:
        await asker.ask(text, {"limit": "many"})

    assert [error.message.split(" ")[1] for error in refused.value.errors] == ["'$id'", "'$limit'"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{ " + " ".join(f"a{n}: project {{ id }}" for n in range(501)) + " }", "more than 500 root fields"),
        ("{ project { flows { project { flows { project { flows { project { flows { project { flows {"
         " id } } } } } } } } } } }", "deeper than 10 levels"),
        ("{ project(where: " + "{_not: " * 11 + "{}" + "}" * 11 + ") { id } }", "deeper than 10 levels"),
        ("{ project { " + " ".join(f"a{n}: id" for n in range(5001)) + " } }", "more than 5000 fields"),
        ("{ project(where: {_or: [" + '{name: {_eq: "x"}}' * 1001 + "]}) { id } }", "more than 2000 conditions"),
        ("{ project { " + "a" * 64 + ": id } }", "longer than 63 characters"),
    ],
)  # fmt: skip
async def test_a_document_beyond_a_limit_is_refused_with_its_name(
    asker: Asker, text: str, message: str
) -> None:
    with pytest.raises(GraphQLError, match=message):
        await asker.ask(text)


async def test_a_page_of_pages_that_costs_too_much_is_refused(asker: Asker) -> None:
    answer = await asker.ask("{ flow_run(limit: 10000) { task_runs(limit: 10000) { id } } }")

    assert answer["data"] == {"flow_run": None}
    assert answer["errors"][0]["extensions"] == {"code": "LIMIT_EXCEEDED"}


async def test_a_list_without_a_limit_ends_at_the_default(database: Database, asker: Asker) -> None:
    async with asking(
        database.postgres_url("reader"), limits=DocumentLimits(default_rows=1)
    ) as narrow:
        data = await narrow.data(
            "{ flow_run { id } flow_run_aggregate { aggregate { count } nodes { id } } }"
        )

    assert len(data["flow_run"]) == 1
    assert data["flow_run_aggregate"]["aggregate"] == {"count": 2}
    assert len(data["flow_run_aggregate"]["nodes"]) == 1


async def test_a_query_that_takes_too_long_says_so_and_the_next_one_is_answered(
    database: Database,
) -> None:
    # Long enough for a connection to be made on a busy machine.
    async with asking(database.postgres_url("reader"), statement_timeout=1.0) as hurried:
        async with database.admin_pool.acquire() as blocker, blocker.transaction():
            await blocker.execute("LOCK TABLE runs.log IN ACCESS EXCLUSIVE MODE")
            answer = await hurried.ask("{ log { id } project { id } }")
        again = await eventually(lambda: hurried.data("{ project { name } }"))

    assert answer["data"] == {"log": None, "project": None}
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["STATEMENT_TIMEOUT"] * 2
    assert again == {"project": [{"name": "p"}]}

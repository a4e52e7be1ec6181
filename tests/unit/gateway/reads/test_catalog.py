"""What is shown to clients, and what is not."""

from graphql import GraphQLInputObjectType, GraphQLObjectType, validate_schema
from sqlalchemy import MetaData
from sqlmodel import Field, SQLModel

from libs.schema import metadata, shown_columns
from libs.schema.base import Shown
from services.gateway.reads.catalog import build_catalog
from tests.unit.gateway.reads.compiling import PATH, SCHEMA

# gateway/reference/reads.md and gateway/reference/requests.md: what clients read.
_TABLES = {
    "tenant", "project", "flow_group", "flow", "task", "edge", "flow_run", "flow_run_state", "task_run",
    "task_run_state", "log", "cloud_hook", "message", "agent", "agent_config", "task_run_artifact",
    "audit_log", "key_value", "task_tag_limit", "task_concurrency_limit", "flow_concurrency_limit",
    "utility_traversal", "hook", "action", "flow_sla_config", "flow_group_sla", "delivery", "delivery_attempt",
}  # fmt: skip


def test_the_schema_is_valid() -> None:
    assert validate_schema(SCHEMA) == []


def test_the_shown_tables_are_those_that_clients_know() -> None:
    assert set(build_catalog().tables) == _TABLES


def test_secrets_and_inner_workings_are_not_shown() -> None:
    shown = {table.source.replace('"', "") for table in build_catalog().tables.values()}

    hidden = {table.fullname for table in metadata.tables.values()} - shown

    assert {
        "gateway.api_key",
        "gateway.secret",
        "heartbeat.last_seen",
        "scheduler.schedule",
    } <= hidden
    for name in ("lease_token", "lease_expires", "schedule_hash"):
        assert name not in build_catalog()["flow_run"].columns


def test_a_column_is_private_until_its_type_says_that_it_is_shown() -> None:
    class Parcel(SQLModel, table=True):
        __tablename__ = "parcel"
        metadata = MetaData()

        id: Shown[int] = Field(primary_key=True)
        contents: str

    parcel = Parcel.metadata.tables["parcel"]

    assert shown_columns(parcel) == {"id"}
    assert shown_columns(metadata.tables["gateway.api_key"]) == frozenset()


def test_every_shown_table_has_a_tenant() -> None:
    for table in build_catalog().tables.values():
        assert table.tenant in table.columns


def test_relationships_are_those_of_the_peer() -> None:
    # gateway/reference/reads.md
    expected = {
        "tenant": {"flow_groups", "flows", "projects"},
        "project": {"tenant", "flows"},
        "flow_group": {"tenant", "flows"},
        "flow": {"flow_group", "project", "tenant", "edges", "flow_runs", "tasks"},
        "task": {"flow", "upstream_edges", "downstream_edges", "task_runs"},
        "edge": {"flow", "upstream_task", "downstream_task"},
        "flow_run": {"flow", "agent", "tenant", "task_runs", "states", "logs"},
        "task_run": {"flow_run", "task", "tenant", "states", "logs"},
        "flow_run_state": {"flow_run"},
        "task_run_state": {"task_run"},
        "task_run_artifact": {"task_run"},
        "agent": {"agent_config", "flow_runs"},
        "agent_config": {"agents"},
        "utility_traversal": {"task"},
        "hook": {"action"},
        "delivery": {"tries", "action", "hook", "cloud_hook"},
        "delivery_attempt": {"delivery"},
        "action": {"hooks"},
        "flow_sla_config": {"flow_groups"},
    }

    found = {
        t.name: set(t.relationships) for t in build_catalog().tables.values() if t.relationships
    }

    assert found == expected


def test_the_types_that_clients_declare_exist() -> None:
    declared = (
        "uuid", "_uuid", "timestamptz", "jsonb", "interval", "order_by", "timestamptz_comparison_exp",
        "flow_bool_exp", "flow_order_by", "flow_run_order_by", "flow_run_state_bool_exp",
        "flow_run_state_order_by", "task_run_bool_exp", "task_run_order_by", "task_order_by",
        "task_run_state_bool_exp", "message_bool_exp", "message_order_by", "cloud_hook_bool_exp",
        "UUID", "DateTime", "JSON",
    )  # fmt: skip

    assert [name for name in declared if name not in SCHEMA.type_map] == []


def test_a_log_has_no_key_and_every_other_table_has_one() -> None:
    without = {name for name in _TABLES if f"{name}_by_pk" not in PATH.fields}

    assert without == {"log", "utility_traversal"}


def test_the_operators_of_each_kind_are_offered() -> None:
    def operators(name: str) -> set[str]:
        kind = SCHEMA.type_map[f"{name}_comparison_exp"]
        assert isinstance(kind, GraphQLInputObjectType)
        return set(kind.fields)

    every = {"_eq", "_neq", "_gt", "_gte", "_lt", "_lte", "_in", "_nin", "_is_null"}
    assert operators("uuid") == operators("Int") == operators("Boolean") == every
    assert operators("String") - every == {
        "_like", "_nlike", "_ilike", "_nilike", "_similar", "_nsimilar",
        "_regex", "_nregex", "_iregex", "_niregex",
    }  # fmt: skip
    assert operators("jsonb") - every == {
        "_contains", "_contained_in", "_has_key", "_has_keys_any", "_has_keys_all", "_cast",
    }  # fmt: skip


def test_lists_have_the_arguments_and_aggregates_of_the_peer() -> None:
    kind = SCHEMA.type_map["flow_run"]
    assert isinstance(kind, GraphQLObjectType)

    assert set(kind.fields["task_runs"].args) == {
        "where",
        "order_by",
        "limit",
        "offset",
        "distinct_on",
    }
    assert str(kind.fields["task_runs_aggregate"].type) == "task_run_aggregate!"
    assert str(PATH.fields["flow_run"].args["distinct_on"].type) == "[flow_run_select_column!]"

"""The compiled read path: one GraphQL query document, one SQL statement, no resolver in between.

Purpose. Clients read with Hasura's dialect (`where`, `order_by`, `limit`, `offset`, `distinct_on`, `_by_pk`,
`_aggregate`, nested relationships). Executing that with a resolver per field costs seconds at 10,000 objects. So the
GraphQL types are generated from the tables of `libs.schema` (`catalog`, `types`), and a validated document is compiled
to SQL in which PostgreSQL builds the JSON (`compiler`); its text goes to the client as it comes (`executor`).

    document text ──lift literals──▶ skeleton ──cache──▶ program ──bind──▶ Plan ──one statement──▶ bytes
                       (documents)                 │ miss      (compiler)            (executor)
                                                   └─ parse, validate, compile

Owns nothing; reads every table through the role `headwater_reader`, which can do nothing else.

How the gateway uses it
-----------------------
At start:

    reads = ReadPath.build(scalars={"UUID": ..., "DateTime": ..., "JSON": ...})   # your scalar types, to share them
    schema = GraphQLSchema(
        query=GraphQLObjectType("Query", {**your_fields, **reads.fields}),
        mutation=..., types=[*yours, *reads.types],
    )
    reads.use(schema)                                # once; compiling needs the merged schema
    reader = Reader(url_of_reader_role, pool_size=8)
    await reader.connect()                           # and `await reader.close()`

Each request that is a query:

    plan = reads.recall(lift(text), operation_name, variables)       # no parsing; None: not seen, or not only reads
    if plan is None:
        document = ...                                          # parse and validate against the schema: your code
        plan = reads.compile(text, document, operation_name, variables)
    answers = await reader.execute(plan, tenant_id)            # dict[response key, bytes | GraphQLError]
    body = plan.render(answers)                                # b'{"data":{...}}' or with "errors"; HTTP 200

`execute(..., caller=...)` uses the caller's share of the pool, cancels the statement when the caller leaves, and counts
the bytes of the answer until `caller.let_go()`. It raises `BusyError` (`services/gateway/shares.py`) when the share is
not free in time.

`variables` is a dict or None; undeclared ones are ignored. Both `recall` and `compile` raise `BadVariables`
(`.errors`, a list of GraphQLError) when the declared variables do not fit, and `GraphQLError` when the document asks
for more than the limits allow.

Root fields that are not ours (`hello`, `api`, `reference_data`, `auth_info`, `__schema`, ...): `plan.foreign` is then a
DocumentNode reduced to those fields (else None). Execute it with graphql-core and the same variables, and pass the
result: `plan.render(answers, data=result.data, errors=result.errors)`; the fields come out in the document's order. A
document with foreign fields is never recalled.

Ours besides the tables: `mapped_children`, `get_task_run_info`, `utility_downstream_tasks`, `utility_upstream_tasks`,
and the derived roots (`derived_roots`): counts and durations of runs by bucket and by flow (`buckets`), a run's mapped
tasks and the agents that could take it (`run_views`).

Rows inside mutation payloads (`createFlowRun { flow_run { id state } }`): give the field the type
`reads.object_type("flow_run")`, and in its resolver

    row = await reader.row(reads.row_plan("flow_run", info), id, tenant_id)       # bytes | None
    return None if row is None else exact_json.loads(row)

The generated object types resolve from such a dict (keyed by response key), so Strawberry's own execution works on; a
compiled mutation splices the bytes instead: `reads.row_plan("flow_run", field_nodes=..., document=..., variables=...)`.

Guarantees
----------
* Every table that a statement touches carries `tenant_id = $1` (the tenant itself: `id = $1`). One exception: the root
  fields of `tenant` also list those given as `execute(..., visible_tenants=...)`, for callers who may choose among
  several; by default there are none, and nothing below another tenant is shown.
* Values are bound, never interpolated; identifiers come from the catalog, never from the client.
* Null operands collapse to TRUE, as Hasura's setting `V1_BOOLEAN_NULL_COLLAPSE` does.
* Every list has a limit (see `document_limits`).

* Every request is answered or refused with a reason; an invalid value is an error of its field only.

Where to look
-------------
    a table, column or relationship   catalog     a type, operator or argument        types
    what a filter or ordering means   predicates  how the rows of a list are chosen   pages
    how rows become JSON              compiler    a root field that is no table       sources, derived
    why a task run waits              waiting     what is counted by bucket           buckets
    what a client may write           values      how much it may ask for    document_limits
    what counts as the same document  documents, inputs

Its answers are compared with a slow evaluator in Python (`tests/integration/gateway/reads/test_differential.py`), its
plans with the indexes of a large database (`test_plans.py`). `tests/bench/reads.py` measures it: of a million runs, 200
with flow, project and task-run counts take about 1.1 times as long as SQL written by hand, and a twentieth of what
resolvers with data loaders take.

When PostgreSQL is gone every field answers an error that says so, and the next request tries again; NATS is not used
here. It never writes, never calls a service, and keeps no state except the cache of compiled documents.
"""

from services.gateway.reads.document_limits import DocumentLimits
from services.gateway.reads.executor import Reader
from services.gateway.reads.inputs import BadVariables
from services.gateway.reads.path import ReadPath
from services.gateway.reads.plans import Plan, RowPlan

__all__ = ["BadVariables", "DocumentLimits", "Plan", "ReadPath", "Reader", "RowPlan"]

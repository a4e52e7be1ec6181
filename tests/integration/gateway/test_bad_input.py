"""Bad input gets a clear error, the right HTTP status, and changes nothing."""

import gzip
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from graphql import build_client_schema, get_introspection_query
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.engines import Stack
from tests.support.examples import examples
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.services import all_services

UNKNOWN = "0190a0a0-0000-7000-8000-00000000dead"
RUNNING = r'"{\"type\": \"Running\"}"'
TABLES = (
    "registry.project", "registry.flow", "registry.flow_group", "registry.task", "runs.flow_run",
    "runs.task_run", "runs.flow_run_state", "gateway.tenant", "runs.agent",
)  # fmt: skip


@pytest.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[Gql]:
    async with (
        all_services(stack, body_limit=300_000) as gateway,
        Gql(f"http://127.0.0.1:{gateway.port}") as gql,
    ):
        yield gql


@pytest.fixture(scope="module")
async def project_id(api: Gql) -> str:
    made = await api('mutation { create_project(input: {name: "bad flows"}) { id } }')
    found: str = made["create_project"]["id"]
    return found


@pytest.fixture(scope="module")
async def poster(api: Gql) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=api.url, timeout=30, headers={"content-type": "application/json"}
    ) as client:
        yield client


async def raw(api: Gql, body: bytes, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=api.url, timeout=10) as client:
        return await client.post(
            "/graphql", content=body, headers={"content-type": "application/json"} | headers
        )


async def counts(stack: Stack) -> list[int]:
    return [await stack.admin_pool.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'"text"', "JSON object"),
        (b"{}", "`query`"),
        (b'{"query": 7}', "`query`"),
        (b'{"query": "  "}', "`query`"),
        (b"[]", "empty"),
        (b'{"query": "{ hello }", "variables": "{"}', "`variables`"),
        (b'{"query": "{ hello }", "variables": [1]}', "`variables`"),
        (b'{"query": "{ hello }", "operationName": 3}', "`operationName`"),
        (b'{"query": "{ hello"}', "Syntax Error"),
        (b'{"query": "{ no_such_field }"}', "Cannot query field"),
        (b'{"query": "query A { hello } query B { hello }"}', "operation name"),
        (b'{"query": "{ flow(where: { name: { _nope: 1 } }) { id } }"}', "_nope"),
        (b'{"query": "query($x: Int!) { flow(limit: $x) { id } }"}', "$x"),
        (
            b'{"query": "mutation($i: create_project_input!) { create_project(input: $i) { id } }"}',
            "$i",
        ),
        (
            b'{"query": "mutation($i: create_project_input!) { create_project(input: $i) { id } }",'
            b' "variables": {"i": {"name": 7}}}',
            "name",
        ),
    ],
)
async def test_what_is_no_valid_request_is_http_400_with_a_reason(
    stack: Stack, api: Gql, body: bytes, says: str
) -> None:
    before = await counts(stack)

    answer = await raw(api, body)

    assert answer.status_code == 400
    assert says in answer.json()["errors"][0]["message"]
    assert await counts(stack) == before


_KEYS = st.sampled_from(["query", "variables", "operationName", "extensions", "id", ""])
_ANYTHING = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8),
        st.sampled_from(["{ hello }", "{ flow { id } }", "query A { hello }", "{", "A", "{}", "null"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=4)
    ),
    max_leaves=8,
)  # fmt: skip
_BODIES = st.one_of(
    st.binary(max_size=40),
    _ANYTHING.map(lambda value: json.dumps(value).encode()),
    st.builds(  # cut short, or with a byte that does not belong there
        lambda value, place, byte: (body := json.dumps(value).encode())[:place] + byte + body[place + 1 :],
        _ANYTHING, st.integers(0, 60), st.binary(max_size=2),
    ),
)  # fmt: skip


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(body=_BODIES)
async def test_whatever_is_posted_is_answered_or_refused_with_a_reason(
    api: Gql, poster: httpx.AsyncClient, body: bytes
) -> None:
    answer = await poster.post("/graphql", content=body)

    assert answer.status_code in (200, 400)
    for one in found if isinstance(found := answer.json(), list) else [found]:
        assert set(one) <= {"data", "errors"}
        codes = [(error.get("extensions") or {}).get("code") for error in one.get("errors", [])]
        assert all(error["message"] for error in one.get("errors", []))
        assert not {"INTERNAL_SERVER_ERROR", "API_ERROR"} & set(codes)


async def test_a_body_over_the_limit_is_refused_before_it_is_read(stack: Stack, api: Gql) -> None:
    before = await counts(stack)
    query = json.dumps({"query": "{ hello }", "variables": {"x": "y" * 300_000}}).encode()

    answer = await raw(api, query)

    assert answer.status_code == 413
    assert "HEADWATER_BODY_LIMIT" in answer.json()["errors"][0]["message"]
    assert await counts(stack) == before


async def test_a_failing_operation_of_a_batch_fails_alone(api: Gql) -> None:
    answer = await api.post(
        [{"query": "{ hello }"}, {"query": "{ nope }"}, 7, {"query": "{ api { backend } }"}]
    )

    first, second, third, fourth = answer.json()
    assert answer.status_code == 200
    assert first == {"data": {"hello": "👋"}}
    assert "nope" in second["errors"][0]["message"]
    assert third["errors"]
    assert fourth == {"data": {"api": {"backend": "SERVER"}}}


@pytest.mark.parametrize(
    ("mutation", "message"),
    [
        (f'create_flow_run(input: {{flow_id: "{UNKNOWN}"}}) {{ id }}', f"Flow {UNKNOWN} not found"),
        ("create_flow_run(input: {}) { id }", "A flow id or version group ID must be provided."),
        (
            'create_flow_run(input: {version_group_id: "none"}) { id }',
            "Version group none has no unarchived flows.",
        ),
        (
            f'cancel_flow_run(input: {{flow_run_id: "{UNKNOWN}"}}) {{ state }}',
            f"Invalid flow run ID: {UNKNOWN}.",
        ),
        (
            f'get_or_create_task_run_info(input: {{flow_run_id: "{UNKNOWN}", task_id: "{UNKNOWN}"}}) {{ id }}',
            f"Invalid flow run ID: {UNKNOWN}.",
        ),
        (
            f'set_flow_run_states(input: {{states: [{{flow_run_id: "{UNKNOWN}", state: {RUNNING}}}]}})'
            " { states { id } }",
            f"State update failed for flow run ID {UNKNOWN}",
        ),
        (
            f'set_task_run_states(input: {{states: {{task_run_id: "{UNKNOWN}", state: {RUNNING}}}}})'
            " { states { id } }",
            f"State update failed for task run ID {UNKNOWN}",
        ),
        (
            f'disable_flow_heartbeat(input: {{flow_id: "{UNKNOWN}"}}) {{ success }}',
            "Invalid flow ID.",
        ),
        (
            'create_tenant(input: {name: "x", slug: "Not A Slug"}) { id }',
            'Slug must be "slugified" (lowercase; no spaces)',
        ),
        (
            f'write_run_logs(input: {{logs: [{{flow_run_id: "{UNKNOWN}", message: "hi"}}]}}) {{ success }}',
            "Foreign key violation.",
        ),
        (
            f'create_task_run_artifact(input: {{task_run_id: "{UNKNOWN}", kind: "link", data: "{{}}"}}) {{ id }}',
            f"Task run {UNKNOWN} not found",
        ),
        (
            'create_flow(input: {serialized_flow: "{\\"name\\": \\"f\\"}"}) { id }',
            "Invalid project ID",
        ),
    ],
)
async def test_a_refusal_is_http_200_with_the_message_that_clients_know(
    stack: Stack, api: Gql, mutation: str, message: str
) -> None:
    before = await counts(stack)

    answer = await api.post({"query": f"mutation {{ {mutation} }}"})

    body = answer.json()
    assert answer.status_code == 200
    assert body["errors"][0]["message"] == message
    assert list(body["data"].values()) == [None]
    assert await counts(stack) == before


@pytest.mark.parametrize(
    "mutation",
    ["archive_flow", "delete_flow", "set_schedule_inactive"],
)
async def test_an_unknown_flow_is_no_success_where_the_peer_says_so(
    api: Gql, mutation: str
) -> None:
    data = await api(f'mutation {{ {mutation}(input: {{flow_id: "{UNKNOWN}"}}) {{ success }} }}')

    assert data == {mutation: {"success": False}}


def _compressed(flow: Any) -> str:
    return b64encode(gzip.compress(json.dumps(flow).encode(), mtime=0)).decode()


@pytest.mark.parametrize(
    ("serialized", "says"),
    [
        ("not base64 at all!", "Unable to decompress serialized flow"),
        (b64encode(b"not gzip").decode(), "Unable to decompress serialized flow"),
        (
            b64encode(gzip.compress(b"not json", mtime=0)).decode(),
            "Unable to decompress serialized flow",
        ),
        (_compressed([1, 2]), "Invalid serialized flow"),
        (_compressed(a_flow("f") | {"tasks": [{"name": "no slug"}]}), "slug"),
        (_compressed(a_flow("f") | {"__version__": "0.5.0"}), "0.6.1+"),
        (_compressed(a_flow("f") | {"schedule": {"clocks": [{"type": "SunDial"}]}}), "SunDial"),
    ],
)
async def test_a_flow_that_cannot_be_read_is_refused_and_leaves_nothing(
    stack: Stack, api: Gql, project_id: str, serialized: str, says: str
) -> None:
    before = await counts(stack)

    errors = await api.errors(
        "mutation($input: create_flow_from_compressed_string_input!)"
        " { create_flow_from_compressed_string(input: $input) { id } }",
        input={"project_id": project_id, "serialized_flow": serialized},
    )

    assert says in errors[0]["message"]
    assert await counts(stack) == before


async def test_a_second_project_of_the_same_name_is_the_exact_violation_clients_match_on(
    api: Gql,
) -> None:
    document = 'mutation { create_project(input: {name: "twice"}) { id } }'
    await api(document)

    errors = await api.errors(document)

    assert errors[0]["message"] == "Uniqueness violation."


@pytest.mark.parametrize("path", ["/", "/graphql", "/graphql/alpha"])
@pytest.mark.parametrize("variables", [None, "null", "{}", {}, {"undeclared": None}])
async def test_every_path_takes_variables_in_every_form(
    api: Gql, path: str, variables: Any
) -> None:
    answer = await api.post({"query": "query { hello }", "variables": variables}, path=path)

    assert answer.json() == {"data": {"hello": "👋"}}


async def test_headers_that_say_null_choose_the_default_tenant(api: Gql) -> None:
    answer = await raw(
        api,
        b'{"query": "{ tenant { slug } }"}',
        **{"x-prefect-tenant-id": "null", "x-prefect-user-id": "null"},
    )

    assert answer.json() == {"data": {"tenant": [{"slug": "default"}]}}


async def test_the_web_ui_served_beside_the_api_may_ask(api: Gql) -> None:
    wanted = (
        "content-security-policy,content-type,x-backend,x-content-type-options,x-frame-options,"
        "x-permitted-cross-domain-policies,x-prefect-tenant-id,x-prefect-ui,x-prefect-user-id,authorization"
    )
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        answer = await client.options(
            "/graphql",
            headers={
                "origin": "http://localhost:8080",
                "access-control-request-method": "POST",
                "access-control-request-headers": wanted,
            },
        )

    allowed = answer.headers["access-control-allow-headers"].lower()
    assert answer.status_code == 200
    assert all(header in allowed for header in wanted.split(","))


@pytest.mark.parametrize("address", ["/", "/graphql", "/graphql/alpha"])
async def test_a_query_in_the_address_is_answered(api: Gql, address: str) -> None:
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        answer = await client.get(
            address,
            params={
                "query": "query A($n: Int) { tenant(limit: $n) { slug } } query B { hello }",
                "variables": '{"n": 1}',
                "operationName": "A",
            },
        )

    assert answer.json() == {"data": {"tenant": [{"slug": "default"}]}}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "from_site", "refused"),
    [
        ('mutation { create_project(input: {name: "by a link"}) { id } }', "none", (405, "POST")),
        ('mutation { refreshToken(input: {accessToken: "x"}) { accessToken } }', "none", (405, "POST")),
        ("{ hello }", "cross-site", (403, "another site")),
        ("{ hello }", "same-site", (403, "another site")),
        ("", "none", (400, "`query`")),
        ("{ hello", "none", (400, "Syntax Error")),
    ],
)  # fmt: skip
async def test_an_address_changes_nothing_and_serves_no_other_site(
    stack: Stack, api: Gql, query: str, from_site: str, refused: tuple[int, str]
) -> None:
    status, says = refused
    before = await counts(stack)
    async with httpx.AsyncClient(
        base_url=api.url, headers={"sec-fetch-site": from_site}, timeout=30
    ) as client:
        # Once as a document that nobody has seen, and once as one that has been run.
        first = await client.get("/graphql", params={"query": query})
        await client.post("/graphql", json={"query": query.replace("by a link", "posted")})
        after_post = await counts(stack)
        again = await client.get("/graphql", params={"query": query})

    assert [first.status_code, again.status_code] == [status, status]
    assert says in first.json()["errors"][0]["message"]
    assert await counts(stack) == after_post
    assert after_post[0] == before[0] + ("create_project" in query)


async def test_a_number_that_json_does_not_have_is_named_with_its_place(api: Gql) -> None:
    document = "mutation($input: JSON!) { create_flow(input: {serialized_flow: $input}) { id } }"
    of_a_client = json.dumps({"input": {"parameters": [1, {"rate": float("nan")}]}})

    answer = await api.post({"query": document, "variables": of_a_client})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"] == (
        "input.parameters[1].rate is NaN, which is not a JSON value; give a number, a string or null."
    )


MANY = " ".join(f'a{n}: delete_secret(input: {{name: "s"}}) {{ success }}' for n in range(1000))


@pytest.mark.parametrize(
    "document",
    [f"mutation {{ {MANY} }}", f"mutation {{ ...F }} fragment F on Mutation {{ {MANY} }}"],
)
async def test_more_mutations_than_are_run_at_once_are_refused_with_the_limit(
    api: Gql, document: str
) -> None:
    answer = await api.post({"query": document})

    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["message"] == "The document has 1000 mutations; at most 500 are run at once."
    assert error["extensions"] == {"code": "LIMIT_EXCEEDED"}


async def test_more_fields_than_a_row_may_have_are_refused_with_the_limit(api: Gql) -> None:
    fields = " ".join(f"a{n}: id" for n in range(1700))
    selections = [
        f"{{ project {{ {fields} }} }}",
        f"{{ tenant {{ projects {{ {fields} }} }} }}",
        f"{{ project_aggregate {{ {fields.replace(': id', ': __typename')} }} }}",
        f'{{ project_by_pk(id: "{UNKNOWN}") {{ {fields} }} }}',
        f'{{ mapped_children(task_run_id: "{UNKNOWN}") {{ {fields.replace(": id", ": __typename")} }} }}',
    ]

    answers = [(await api.post({"query": text})).json()["errors"] for text in selections]

    assert {error["message"] for [error] in answers} == {
        "A selection of more than 1600 fields must be split."
    }


async def test_the_schema_tells_of_itself_and_the_second_answer_is_the_first(api: Gql) -> None:
    first = await api.post({"query": get_introspection_query()})
    second = await api.post({"query": get_introspection_query()})

    assert "flow_run" in build_client_schema(first.json()["data"]).type_map
    assert second.content == first.content


async def test_a_document_that_is_nested_too_deeply_is_refused(api: Gql) -> None:
    answer = await api.post({"query": "{ flow " * 5000 + "{ id }" + "}" * 5000})

    assert answer.status_code == 400
    assert "deeply" in answer.json()["errors"][0]["message"]


async def test_a_document_with_too_many_tokens_is_refused(api: Gql) -> None:
    answer = await api.post({"query": "{" + "a " * 100_001 + "}"})

    assert answer.status_code == 400
    assert "token" in answer.json()["errors"][0]["message"]


DEEP = "[" * 200 + "]" * 200
KEEPS_JSON = [
    'set_key_value(input: {key: "k", value: %s}) { id }',
    'set_secret(input: {name: "s", value: %s}) { success }',
    "create_flow(input: {serialized_flow: %s}) { id }",
    f'create_flow_run(input: {{flow_id: "{UNKNOWN}", parameters: %s}}) {{ id }}',
]


@pytest.mark.parametrize("mutation", KEEPS_JSON)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"x": NaN}', "v.x is NaN, which is not a JSON value; give a number, a string or null."),
        (
            '{"x": [-Infinity]}',
            "v.x[0] is -Infinity, which is not a JSON value; give a number, a string or null.",
        ),
        (
            f'{{"x": {"1" * 400}}}',
            "v.x is Infinity, which is not a JSON value; give a number, a string or null.",
        ),
        (r'{"x": "\ud800"}', "v.x holds half of a surrogate pair, which is not text."),
        (r'{"x": "\u0000"}', "v.x cannot hold the character U+0000."),
        (f'{{"x": {DEEP}}}', f"v.x{'[0]' * 127} is nested deeper than 128 levels."),
    ],
)
async def test_json_that_no_service_could_read_is_refused_with_the_name_of_the_place(
    stack: Stack, api: Gql, mutation: str, text: str, says: str
) -> None:
    before = await counts(stack)
    document = json.dumps(f"mutation($v: JSON!) {{ {mutation} }}" % "$v")

    inline = await api.post({"query": f"mutation {{ {mutation % json.dumps(text)} }}"})
    for variables in (f'{{"v": {text}}}', json.dumps(f'{{"v": {text}}}')):
        answer = await raw(api, f'{{"query": {document}, "variables": {variables}}}'.encode())

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["message"] == says
    assert inline.status_code == 400
    message = inline.json()["errors"][0]["message"]
    assert "JSON" in message or "cannot hold" in message
    assert await counts(stack) == before


@pytest.mark.parametrize("mutation", KEEPS_JSON)
@pytest.mark.parametrize("number", ["1" * 400, "1" * 5000, "1e999"])
async def test_a_number_that_is_larger_than_any_is_refused_at_the_door(
    stack: Stack, api: Gql, mutation: str, number: str
) -> None:
    before = await counts(stack)

    for literal in (json.dumps(f'{{"x": {number}}}'), f"{{x: [{number}]}}"):
        answer = await api.post({"query": f"mutation {{ {mutation % literal} }}"})

        assert answer.status_code == 400
        assert "JSON cannot represent the literal" in answer.json()["errors"][0]["message"]
    assert await counts(stack) == before


@pytest.mark.parametrize("form", ["inline", "variable", "text of variables"])
async def test_an_integer_of_any_size_comes_back_as_it_was(api: Gql, form: str) -> None:
    text = '{"x": 1180591620717411303424}'
    document = (
        'mutation($v: JSON!) { a: set_key_value(input: {key: "large", value: $v}) { id }'
        ' b: set_secret(input: {name: "large", value: $v}) { success } }'
    )
    bodies = {
        "inline": json.dumps(
            {"query": document.replace("($v: JSON!)", "").replace("$v", json.dumps(text))}
        ),
        "variable": f'{{"query": {json.dumps(document)}, "variables": {{"v": {text}}}}}',
        "text of variables": json.dumps({"query": document, "variables": f'{{"v": {text}}}'}),
    }

    written = await raw(api, bodies[form].encode())
    read = await raw(
        api,
        b'{"query": "{ key_value(where: {key: {_eq: \\"large\\"}}) { value } secret_value(name: \\"large\\") }"}',
    )

    assert "errors" not in written.json()
    assert read.text.count("1180591620717411303424") == 2


@pytest.mark.parametrize(
    "mutation", ["create_flow", "set_flow_group_run_config", "create_flow_run"]
)
async def test_a_run_config_that_agents_cannot_read_is_refused_wherever_one_is_given(
    api: Gql, project_id: str, mutation: str
) -> None:
    making = {"serialized_flow": a_flow(), "project_id": project_id}
    made = await api("mutation($i: create_flow_input!) { create_flow(input: $i) { id } }", i=making)
    flow_id = made["create_flow"]["id"]
    found = await api(f'{{ flow_by_pk(id: "{flow_id}") {{ flow_group_id }} }}')
    unreadable = {"type": "NoSuchRun"}
    given = {
        "create_flow": making | {"serialized_flow": a_flow(run_config=unreadable)},
        "set_flow_group_run_config": found["flow_by_pk"] | {"run_config": unreadable},
        "create_flow_run": {"flow_id": flow_id, "run_config": unreadable},
    }[mutation]

    answer = (
        await api.post(
            {
                "query": f"mutation($i: {mutation}_input!) {{ {mutation}(input: $i) {{ __typename }} }}",
                "variables": {"i": given},
            }
        )
    ).json()

    assert answer["data"] == {mutation: None}
    assert "run_config.type: 'NoSuchRun' is unknown to agents" in answer["errors"][0]["message"]


HUNTER = "hunter-2-secret"
BADLY_PUT = [
    # inline: not JSON text, of the wrong shape, with fields too many or too few, not even GraphQL
    f'mutation {{ set_secret(input: {{name: "s", value: "{HUNTER}"}}) {{ success }} }}',
    f'mutation {{ set_secret(input: {{value: "{HUNTER}"}}) {{ success }} }}',
    f'mutation {{ set_secret(input: {{name: 1, value: "{HUNTER}"}}) {{ success }} }}',
    f'mutation {{ set_secret(input: {{name: "s", value: "1", more: "{HUNTER}"}}) {{ success }} }}',
    f'mutation {{ set_secret(input: ["{HUNTER}"]) {{ success }} }}',
    f'mutation {{ set_secret(name: "s", value: "{HUNTER}") {{ success }} }}',
    f'mutation {{ set_secret(input: {{name: "s", value: {{a: "{HUNTER}"}}) {{ success }} }}',
    f'mutation {{ set_secret(input: {{name: "s", value: "{HUNTER}) {{ success }} }}',
    f'mutation {{ setSecret(input: {{name: "s" "{HUNTER}"}}) {{ success }} }}',
    f'mutation {{ setSecret(input: {{value: "{HUNTER}"}}) {{ success }} }}',
    f'mutation {{ refresh_token(input: {{access_token: ["{HUNTER}"]}}) {{ access_token }} }}',
    f'mutation {{ refreshToken(input: {{accessToken: 1, more: "{HUNTER}"}}) {{ accessToken }} }}',
    # a receiver takes its address for a password
    f'mutation {{ create_cloud_hook(input: {{type: WEBHOOK, config: "{HUNTER}"}}) {{ id }} }}',
    f'mutation {{ update_cloud_hook(input: {{config: "{HUNTER}"}}) {{ success }} }}',
    f'mutation {{ create_action(input: {{config: {{teams_webhook_notification: "{HUNTER}"}}}}) {{ id }} }}',
]


@pytest.mark.parametrize("document", BADLY_PUT)
async def test_a_secret_that_was_badly_put_is_not_repeated(api: Gql, document: str) -> None:
    answer = await api.post({"query": document})

    assert answer.json()["errors"]
    assert HUNTER not in answer.text
    assert "does not fit the schema" in answer.text


@pytest.mark.parametrize(
    "given",
    [
        {"value": HUNTER},
        {"name": ["s"], "value": HUNTER},
        {"name": "s", "value": "1", HUNTER: 1},
        {"name": "s" * 300, "value": HUNTER},
        {"name": "s", "value": HUNTER * 10_000},
        [HUNTER],
        HUNTER,
    ],
)
@pytest.mark.parametrize("mutation", ["set_secret", "setSecret"])
async def test_a_secret_in_a_variable_that_does_not_fit_is_not_repeated(
    api: Gql, mutation: str, given: Any
) -> None:
    kind = {"set_secret": "set_secret_input", "setSecret": "setSecretInput"}[mutation]
    document = f"mutation($input: {kind}!) {{ {mutation}(input: $input) {{ success }} }}"

    for variables in ({"input": given}, json.dumps({"input": given})):
        answer = await api.post({"query": document, "variables": variables})

        assert answer.json()["errors"]
        assert HUNTER not in answer.text


async def test_what_does_not_fit_beside_a_secret_is_named_though_not_repeated(api: Gql) -> None:
    document = "mutation($i: create_cloud_hook_input!) { create_cloud_hook(input: $i) { id } }"
    given = {"type": "WEBHOOK", "states": ["Failed"], "config": {"url": HUNTER}, "tenant_id": "x"}

    [error] = (await api.post({"query": document, "variables": {"i": given}})).json()["errors"]

    assert "create_cloud_hook does not fit the schema at i.tenant_id." in error["message"]

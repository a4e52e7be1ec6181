"""Links that clients print, at a gateway on real engines."""

from collections.abc import AsyncIterator

import httpx
import pytest

from services.gateway import dashboard
from services.gateway.app import Gateway
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.services import all_services

HTML = {"accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
async def gateway(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A gateway where the dashboard is not built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dashboard, "BUILT_PAGES", tmp_path_factory.mktemp("dist"))
        async with all_services(stack, public_url="https://hw.example/tools/hw") as gateway:
            yield gateway


@pytest.fixture
async def person(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a browser."""
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{gateway.port}", headers=HTML, timeout=30
    ) as client:
        yield client


@pytest.fixture(scope="module")
async def made(gateway: Gateway) -> dict[str, str]:
    """Ids by kind."""
    async with Gql(f"http://127.0.0.1:{gateway.port}") as gql:
        project = await gql('mutation { create_project(input: {name: "links"}) { id } }')
        project_id = project["create_project"]["id"]
        made = await gql(
            "mutation($f: JSON!, $p: UUID!) { create_flow(input: {serialized_flow: $f, project_id: $p}) { id } }",
            f=a_flow(),
            p=project_id,
        )
        version = made["create_flow"]["id"]
        run = await gql(
            "mutation($f: UUID!) { create_flow_run(input: {flow_id: $f}) { id } }", f=version
        )
        group = await gql("query($f: uuid!) { flow_by_pk(id: $f) { flow_group_id } }", f=version)
    return {
        "project": project_id,
        "version": version,
        "group": group["flow_by_pk"]["flow_group_id"],
        "flow-run": run["create_flow_run"]["id"],
    }


@pytest.mark.parametrize(
    ("kind", "key"),
    [("flow", "group"), ("flow", "version"), ("flow-run", "flow-run"), ("project", "project")],
)
@pytest.mark.parametrize("before", ["", "/wrong-slug", "/tools/hw", "/tools/hw/wrong-slug"])
async def test_a_link_is_sent_on_to_the_tenant_of_what_it_names(
    person: httpx.AsyncClient, made: dict[str, str], kind: str, key: str, before: str
) -> None:
    answer = await person.get(f"{before}/{kind}/{made[key]}?logs=&logId=x")

    assert answer.status_code == 302
    assert answer.headers["location"] == f"/tools/hw/default/{kind}/{made[key]}?logs=&logId=x"


async def test_the_right_link_says_what_it_names_and_where_the_api_is(
    person: httpx.AsyncClient, made: dict[str, str]
) -> None:
    answer = await person.get(f"/default/flow-run/{made['flow-run']}")

    assert answer.status_code == 200
    assert "A flow run, Scheduled, in the tenant default." in answer.text
    assert 'href="/tools/hw/graphql"' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "style-src 'self' 'nonce-" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    ["/default/flow-run/01a22b72-0000-7000-8000-000000000000", "/default/task-run/", "/flow/x"],
)
async def test_a_link_to_nothing_is_a_page_that_says_so(
    person: httpx.AsyncClient, path: str
) -> None:
    answer = await person.get(path)

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/assets/gone.js", "/default/gone.css", "/favicon.ico"])
async def test_a_missing_asset_is_never_a_page(person: httpx.AsyncClient, path: str) -> None:
    answer = await person.get(path)

    assert answer.status_code == 404
    assert not answer.headers["content-type"].startswith("text/html")


async def test_whoever_asks_for_data_gets_no_page(
    person: httpx.AsyncClient, made: dict[str, str]
) -> None:
    answer = await person.get(f"/flow/{made['group']}", headers={"accept": "application/json"})

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"


async def test_the_query_editor_has_a_policy_of_its_own(person: httpx.AsyncClient) -> None:
    answer = await person.get("/graphql")

    assert "script-src 'self';" in answer.headers["content-security-policy"]
    assert dashboard.UNBUILT_PAGE.is_file()


async def test_the_api_says_where_people_reach_it(gateway: Gateway) -> None:
    async with Gql(f"http://127.0.0.1:{gateway.port}") as gql:
        api = (await gql("{ api { public_url base_path build_id } }"))["api"]
        refused = await gql.errors(
            'mutation { create_tenant(input: {name: "x", slug: "flow-run"}) { id } }'
        )

    assert api["public_url"] == "https://hw.example/tools/hw"
    assert api["base_path"] == "/tools/hw"
    assert api["build_id"]
    assert "slug: flow-run is the beginning of an address" in refused[0]["message"]

"""What a person sees who opens the gateway's address in a browser."""

import base64
import hashlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from services.gateway import dashboard
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.services import all_services

ADDRESSES = ("/", "/graphql")


@pytest.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[Gql]:
    async with (
        all_services(stack) as gateway,
        Gql(f"http://127.0.0.1:{gateway.port}") as gql,
    ):
        yield gql


def _need_built_pages() -> None:
    if (dashboard.BUILT_PAGES / "editor.html").is_file():
        return
    reason = "the web pages are not built: `make dashboard`"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_a_person_with_a_browser_finds_a_page_and_all_it_needs(
    api: Gql, address: str
) -> None:
    _need_built_pages()

    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        page = await client.get(address)
        parts = re.findall(r'(?:src|href)="\./([^"]+)"', page.text)
        answers = [await client.get("/" + part) for part in parts]

    assert page.headers["content-type"].startswith("text/html")
    assert {Path(part).suffix for part in parts} >= {".css", ".js"}
    assert {answer.status_code for answer in answers} == {200}
    assert "//" not in "".join(parts)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_where_the_pages_are_not_built_the_address_says_how_to_build_them(
    api: Gql, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "BUILT_PAGES", tmp_path)

    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        page = await client.get(address)

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "make dashboard" in page.text


async def test_the_dashboard_is_at_each_address_that_a_person_opens_and_nowhere_for_others(
    api: Gql,
) -> None:
    _need_built_pages()
    address = "/default/flows"

    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        page = await client.get(address, headers={"accept": "text/html,*/*;q=0.8"})
        again = await client.get("/", headers={"accept": "text/html"})
        client_of_the_api = await client.get(address, headers={"accept": "application/json"})
        posted = await client.post(address, json={})

    assert page.status_code == 200
    assert "<title>Headwater</title>" in page.text
    policy = page.headers["content-security-policy"]
    [inline] = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy, "what loads a broken page again runs"
    assert "frame-ancestors 'none'" in policy
    assert policy != again.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert (client_of_the_api.status_code, posted.status_code) == (404, 404)


async def test_files_of_the_pages_are_kept_for_ever_and_come_compressed(api: Gql) -> None:
    _need_built_pages()

    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        page = await client.get("/")
        script = next(part for part in re.findall(r'src="\./([^"]+)"', page.text))
        plain = await client.get(f"/{script}", headers={"accept-encoding": "identity"})
        packed = await client.get(f"/{script}", headers={"accept-encoding": "gzip"})

    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text
    assert packed.headers["content-type"].startswith("text/javascript")
    assert "immutable" in packed.headers["cache-control"]


async def test_a_file_that_the_pages_do_not_have_is_not_found(api: Gql) -> None:
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        answer = await client.get("/assets/no-such-file.js")

    assert answer.status_code == 404


async def test_without_built_pages_every_file_of_theirs_is_not_found(tmp_path: Path) -> None:
    files = dashboard.Assets(directory=tmp_path / "assets", check_dir=False)

    app = Starlette(routes=[Mount("/assets", files)])

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://pages"
    ) as client:
        answer = await client.get("/assets/editor.js")

    assert answer.status_code == 404

"""The pages behind links. Plain ASGI."""

import html
import secrets
from collections.abc import Mapping, Sequence
from uuid import UUID

from starlette.types import Scope, Send

from libs.runtime.failures import is_outage
from services.gateway.dashboard import Dashboard, asks_for_a_page, scripts_in
from services.gateway.finder import Finder, Found
from services.gateway.identity import Authenticator, Identity
from services.gateway.known_caller import known_caller
from services.gateway.links.domain import Kind, Link, link_of
from services.gateway.page_headers import page_headers
from services.gateway.permissions import LINKS
from services.gateway.plain_answers import RefusalError

Headers = Mapping[str, str]
_LOG_IN = "What this link names is shown to those who have logged in with an API key."


class Links:
    """Answers links."""

    def __init__(
        self, authenticator: Authenticator, finder: Finder, dashboard: Dashboard, base_path: str
    ) -> None:
        """`base_path` is what a proxy puts before every address: empty, or `/tools/hw`."""
        self._authenticator = authenticator
        self._finder = finder
        self._dashboard = dashboard
        self._base_path = base_path

    def link(self, scope: Scope, headers: Headers) -> Link | None:
        """The object of a request, if a page may be sent for it."""
        if not asks_for_a_page(scope["method"], headers.get("accept", "")):
            return None
        return None if scope["path"] == "/" else link_of(scope["path"])

    async def answer(self, link: Link, scope: Scope, headers: Headers, send: Send) -> None:
        """Redirect to the right address, or serve its page."""
        identity = await self._identity(headers, scope)
        if isinstance(identity, str):
            # The dashboard asks for the key by itself.
            status = 200 if self._dashboard.page("") is not None else 401
            # A browser does not send a strict cookie when it follows a link from another site, but does for later
            # requests of the page.
            again = [(b"refresh", b"0")] if headers.get("sec-fetch-site") == "cross-site" else []
            await self._page(send, status, "Not known", identity, again)
            return
        if link.kind is None:
            await self._page(send, 200, "Headwater", "The dashboard is not built here.")
            return
        name = link.kind.replace("-", " ")
        if link.id is None:
            await self._page(send, 404, "Not found", f"This link names no {name}: it has no id.")
            return
        if LINKS[link.kind] not in identity.rights.permissions:
            await self._page(send, 403, "Not for you", f"Your role does not let you read a {name}.")
            return
        try:
            found = await self._finder.find(link.kind, link.id, _tenants(identity))
        except Exception as error:
            if not is_outage(error):
                raise
            await self._page(send, 503, "Try again", "PostgreSQL is away; try again soon.")
            return
        if found is None:
            await self._page(send, 404, "Not found", f"There is no {name} {link.id}.")
        elif link.slug != found.slug:
            await self._redirect(send, link.kind, link.id, found, scope["query_string"])
        else:
            await self._page(send, 200, found.name, found.sentence)

    async def _identity(self, headers: Headers, scope: Scope) -> Identity | str:
        """The caller, or the reason for a refusal."""
        try:
            identity = await known_caller(self._authenticator, headers, scope)
        except RefusalError as refused:
            return _LOG_IN if refused.status == 401 else str(refused)
        return identity if identity.renewing is None else _LOG_IN

    async def _redirect(
        self, send: Send, kind: Kind, id_: UUID, found: Found, query: bytes
    ) -> None:
        address = f"{self._base_path}/{found.slug}/{kind}/{id_}".encode()
        # The old tabs are the first key of the query (`?logs`), so it goes along as it came.
        location = address + (b"?" + query if query else b"")
        headers = [
            (b"location", location),
            (b"content-length", b"0"),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 302, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _page(
        self,
        send: Send,
        status: int,
        title: str,
        sentence: str,
        more: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        nonce = secrets.token_urlsafe(16)
        text = self._dashboard.page(nonce)
        if text is None:
            text = _PAGE.format(
                nonce=nonce,
                title=html.escape(title),
                sentence=html.escape(sentence),
                api=html.escape(f"{self._base_path}/graphql"),
            )
        body = text.encode()
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            *page_headers(nonce, scripts_in(text)),
            *more,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _tenants(identity: Identity) -> list[UUID] | None:
    """The tenants that the caller may read; None for all."""
    if identity.any_tenant:
        return None
    return [identity.tenant_id, *identity.may_enter]


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Headwater</title>
<style nonce="{nonce}">
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }}
h1 {{ font-size: 1.4rem; overflow-wrap: anywhere }}
p {{ overflow-wrap: anywhere }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{sentence}</p>
<p>The API is at <a href="{api}">{api}</a>.</p>
</main>
</body>
</html>
"""

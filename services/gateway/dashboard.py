"""Serves the built web pages: the dashboard, the query editor, and their files.

The dashboard is one page for all of its addresses (`/default/flow-run/...`); it reads the address itself. Only requests
for HTML get it: a missing file is 404, never the page, and so is a wrong address of a client.
"""

import base64
import hashlib
import html
import re
import secrets
from pathlib import Path

from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.page_headers import page_headers

BUILT_PAGES = Path(__file__).parents[1] / "dashboard" / "dist"
UNBUILT_PAGE = Path(__file__).with_name("pages") / "unbuilt.html"

_NONCE = "NONCE-OF-STYLES"
"""Stands in `index.html` where the page reads what its styles must carry."""
_BASE = '<base href="/" />'
"""Stands there where every relative address begins."""
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
"""What loads the page again when its files break off: it must run when nothing else of the page does."""
_FOR_EVER = "public, max-age=31536000, immutable"
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))


class Assets(StaticFiles):
    """The files of the web pages; none if the pages are not built.

    Their names have a digest of their contents, so browsers cache them. The build has compressed them.
    """

    async def check_config(self) -> None:
        """Starlette raises when the folder is missing."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file in the best encoding for the browser. Raises HTTPException(404) if it does not exist."""
        accepted = Headers(scope=scope).get("accept-encoding", "")
        for encoding, suffix in _ENCODINGS:
            if encoding not in accepted:
                continue
            try:
                response = await super().get_response(path + suffix, scope)
            except HTTPException:
                continue
            response.headers["content-encoding"] = encoding
            response.headers["content-type"] = _type_of(path)
            return _kept(response)
        return _kept(await super().get_response(path, scope))


def _kept(response: Response) -> Response:
    response.headers["cache-control"] = _FOR_EVER
    response.headers["vary"] = "accept-encoding"
    return response


def _type_of(path: str) -> str:
    return {
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".svg": "image/svg+xml",
    }.get(Path(path).suffix, "application/octet-stream")


class Dashboard:
    """The dashboard, or, if it is not built, how to build it. An ASGI application."""

    def __init__(self, base_path: str) -> None:
        """`base_path` is a proxy's prefix of every address: empty, or `/tools/hw`."""
        self._base = f'<base href="{html.escape(base_path)}/" />'

    def page(self, nonce: str) -> str | None:
        """The page with this nonce for its styles; None if it is not built."""
        # A few kilobytes, in the system's cache.
        try:
            text = (BUILT_PAGES / "index.html").read_text()
        except FileNotFoundError:
            return None
        return text.replace(_BASE, self._base, 1).replace(_NONCE, nonce)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        nonce = secrets.token_urlsafe(16)
        text = self.page(nonce)
        if text is None:
            await FileResponse(UNBUILT_PAGE, media_type="text/html")(scope, receive, send)
            return
        response = HTMLResponse(text)
        response.raw_headers.extend(page_headers(nonce, scripts_in(text)))
        await response(scope, receive, send)


def scripts_in(page: str) -> list[str]:
    """The digests of a page's inline scripts, as a policy names them; scripts with an address are not among them."""
    return [
        f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
        for script in _INLINE_SCRIPT.findall(page)
    ]


class Editor:
    """The query editor, or how to build it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        editor = BUILT_PAGES / "editor.html"
        page = editor if editor.is_file() else UNBUILT_PAGE
        await FileResponse(page, media_type="text/html")(scope, receive, send)


class QueryOrPage:
    """The answer to a GET of an API address: the result of `?query=`, else a page for people."""

    def __init__(self, graphql: ASGIApp, page: ASGIApp) -> None:
        self._graphql = graphql
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one GET."""
        asked = "query" in QueryParams(scope["query_string"])
        await (self._graphql if asked else self._page)(scope, receive, send)


class Icon:
    """The icon of the pages."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        icon = BUILT_PAGES / "favicon.svg"
        headers = {"cache-control": "no-cache"}
        found = FileResponse(icon, headers=headers) if icon.is_file() else Response(status_code=404)
        await found(scope, receive, send)


class Elsewhere:
    """All other addresses: the dashboard for people, 404 for the rest."""

    def __init__(self, page: ASGIApp) -> None:
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises HTTPException(404)."""
        is_file = "." in scope["path"].rpartition("/")[2]
        accept = Headers(scope=scope).get("accept", "")
        if is_file or not asks_for_a_page(scope["method"], accept):
            raise HTTPException(404)
        await self._page(scope, receive, send)


def asks_for_a_page(method: str, accept: str) -> bool:
    """Whether a person's browser opens an address, rather than a client that has it wrong."""
    return method in {"GET", "HEAD"} and "text/html" in accept

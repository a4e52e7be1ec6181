"""The security headers of the gateway's pages."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = b"content-security-policy"
_NOSNIFF = (b"x-content-type-options", b"nosniff")


def page_policy(nonce: str | None, scripts: Sequence[str] = ()) -> str:
    """Scripts and data of this origin only, styles that carry `nonce`, no frame around it.

    `scripts` are digests of inline scripts that may run. A nonce of None: for the query editor, which makes its styles
    and workers itself.
    """
    if nonce is None:
        style, font, worker = "'self' 'unsafe-inline'", "'self' data:", "'self' blob:"
    else:
        # The dashboard's components place themselves by attributes; elements must carry the nonce.
        style = f"'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'"
        font = worker = "'self'"
    inline = "".join(f" '{script}'" for script in scripts)
    return (
        f"default-src 'none'; script-src 'self'{inline}; style-src {style}; img-src 'self' data:; font-src {font};"
        f" connect-src 'self'; worker-src {worker}; manifest-src 'self'; base-uri 'self'; form-action 'self';"
        " frame-ancestors 'none'"
    )


def page_headers(nonce: str | None, scripts: Sequence[str] = ()) -> list[tuple[bytes, bytes]]:
    """The headers of a page of ours."""
    return [
        (_POLICY, page_policy(nonce, scripts).encode()),
        _NOSNIFF,
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cache-control", b"no-cache"),
    ]


def with_page_headers(app: ASGIApp) -> ASGIApp:
    """An application whose pages get the headers; a page with its own policy keeps it."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = dict(message["headers"])
                is_page = given.get(b"content-type", b"").startswith(b"text/html")
                added = page_headers(None) if is_page and _POLICY not in given else [_NOSNIFF]
                names = {name for name, _ in added}
                kept = [(name, value) for name, value in message["headers"] if name not in names]
                message = {**message, "headers": [*kept, *added]}
            await send(message)

        await app(scope, receive, sent)

    return wrapped


def base_path_of(public_url: str) -> str:
    """A proxy's prefix of every address: empty, or `/tools/hw`."""
    return urlsplit(public_url).path.rstrip("/")


def below(base_path: str, path: str) -> str:
    """The path without the base path, if the proxy did not remove it."""
    if base_path and (path == base_path or path.startswith(base_path + "/")):
        return path[len(base_path) :] or "/"
    return path

"""Cookies, and which requests with one are a page's of ours. Pure."""

import re
from collections.abc import Mapping
from datetime import timedelta
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

SECURE_COOKIE, PLAIN_COOKIE = "__Host-hw", "hw"
HEADER = "x-headwater"
"""Any value: a page of another site can send it only after a preflight, which is refused."""

_READS = frozenset({"GET", "HEAD"})
_JSON = re.compile(r"application/json\s*(?:;.*)?", re.IGNORECASE)

Headers = Mapping[str, str]


def cookie_in(headers: Headers) -> str | None:
    """The session's text. Over https only that name counts which no other host can set."""
    given = headers.get("cookie")
    if given is None or PLAIN_COOKIE not in given:
        return None
    try:
        cookies = SimpleCookie(given)
    except CookieError:
        return None
    names = (SECURE_COOKIE,) if is_secure(headers) else (SECURE_COOKIE, PLAIN_COOKIE)
    return next((cookies[name].value for name in names if name in cookies), None)


def is_secure(headers: Headers) -> bool:
    """Whether the browser is on https: its page says so, or the proxy in front."""
    origin = headers.get("origin")
    if origin is not None:
        return origin.startswith("https://")
    return headers.get("x-forwarded-proto", "").split(",")[0].strip().lower() == "https"


def refusal(method: str, headers: Headers) -> str | None:
    """Why a request with a cookie is not a page's of ours, in a sentence; None where it is."""
    site = headers.get("sec-fetch-site")
    is_followed = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    if site not in (None, "same-origin", "none") and not is_followed:
        return "A page of another site may not use this session."
    if method in _READS:
        return None
    origin = headers.get("origin")
    if origin is None or not _is_own(origin, headers.get("host", "")):
        return "Origin: a request with a session must come from a page of this address."
    if method != "DELETE" and not _JSON.fullmatch(headers.get("content-type", "").strip()):
        return "Content-Type: a request with a session must say application/json."
    if HEADER not in headers:
        return "X-Headwater: a request with a session must carry this header, with any value."
    return None


def socket_refusal(headers: Headers) -> str | None:
    """Why a WebSocket with a cookie is not a page's of ours: browsers open one to any origin, without asking first."""
    origin = headers.get("origin")
    if origin is None or not _is_own(origin, headers.get("host", "")):
        return "Origin: a socket with a session must come from a page of this address."
    return refusal("GET", headers)


def _is_own(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and parts.netloc == host


def set_cookie(text: str, *, secure: bool, lasts: timedelta) -> str:
    """The header that gives a browser its session; an empty text and no time take it away."""
    name = SECURE_COOKIE if secure else PLAIN_COOKIE
    ends = f"Max-Age={max(0, int(lasts.total_seconds()))}"
    kept = f"{name}={text}; Path=/; HttpOnly; SameSite=Strict; {ends}"
    return f"{kept}; Secure" if secure else kept

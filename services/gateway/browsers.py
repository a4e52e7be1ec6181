"""Requests from web pages: which pages may send them, and with which content type.

A browser sends requests for any page, from the network of the person who uses it. With API keys on, that is harmless: a
page has no key. With keys off, all who reach the port may do everything, and every page that the person opens can reach
a loopback port. So then only pages of this machine may send requests, and those named in `HEADWATER_CORS_ORIGINS`; and
the request must be for this machine by name, because a page may make its own name point here (DNS rebinding). Other
clients send neither `Origin` nor `Sec-Fetch-Site`, and are not affected.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

_JSON = re.compile(r"application/(?:[\w.-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_OWN_NAMES = frozenset({
    "localhost",
    # The names by which containers reach their host; no web page can have such a name.
    "host.docker.internal",
})  # fmt: skip
LOOPBACK_ORIGINS = (
    r"https?://(?:localhost|[\w.-]+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?"
)
"""Pages of this machine, whatever their port: the web UI is served beside the API."""
_LOOPBACK_ORIGIN = re.compile(LOOPBACK_ORIGINS)
_REMEMBERED = 1_000  # names in `Host`; there are two or three

Headers = Mapping[str, str]


class WebPages:
    """Checks a request: why it is refused, or None."""

    def __init__(self, *, keys_required: bool, origins: Sequence[str]) -> None:
        """`origins` are pages of other machines that may ask; `*` are all of them."""
        self._keys_required = keys_required
        self._origins = frozenset(origins)
        self._names = _OWN_NAMES | {
            name for origin in origins if (name := urlsplit(origin).hostname) is not None
        }
        self._known_hosts: set[str] = set()

    def refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """The HTTP status and the sentence."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if not self._keys_required:
            text = self._host_refusal(headers.get("host", "")) or (
                self._page_refusal(origin, site, headers)
                if origin is not None or site is not None
                else None
            )
            if text is not None:
                return 403, text
        if (
            method == "POST"
            and (origin is not None or site is not None)
            and not _JSON.fullmatch(headers.get("content-type", "").strip())
        ):
            return 415, "Requests of web pages must say content-type: application/json."
        return None

    def _host_refusal(self, host: str) -> str | None:
        if host in self._known_hosts:
            return None
        if not self._is_own(host):
            return (
                f"This request is for {_shown(host)}, which is not a name of this machine. While API keys are off, name"
                f" it in HEADWATER_CORS_ORIGINS, or set HEADWATER_AUTH=required."
            )
        if len(self._known_hosts) < _REMEMBERED:
            self._known_hosts.add(host)
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names or name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def _page_refusal(self, origin: str | None, site: str | None, headers: Headers) -> str | None:
        if origin is None:
            # A link that a person follows does not count as a request of its page: its answer is shown to the person.
            is_followed = headers.get("sec-fetch-mode") == "navigate"
            if site != "cross-site" or is_followed:
                return None
            origin = "another site"
        elif origin in self._origins or _LOOPBACK_ORIGIN.fullmatch(origin):
            return None
        return (
            f"A web page of {_shown(origin)} may not ask. While API keys are off, name its origin in"
            " HEADWATER_CORS_ORIGINS, or set HEADWATER_AUTH=required."
        )


def _shown(text: str) -> str:
    return text[:100] if text.isprintable() and text.isascii() and text else "another name"

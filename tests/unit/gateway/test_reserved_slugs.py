"""No tenant can be called as an address of Headwater's own begins: `/<slug>/...` would hide it, or be hidden."""

import re
from itertools import chain
from pathlib import Path

from starlette.routing import Route

from libs.runtime.http import health_routes
from services.gateway import http
from services.gateway.downloads.routes import Downloads
from services.gateway.events import endpoint as events
from services.gateway.keys import RESERVED_SLUGS, slug_refusal
from services.gateway.links.domain import PAGES, Kind
from services.gateway.session import endpoint as session

CHECKOUT = Path(__file__).parents[3]
ROUTER = CHECKOUT / "services" / "dashboard" / "src" / "app" / "router.tsx"
ROUTED = re.compile(r"['\"(]/([a-z0-9][a-z0-9.-]*)")


def first_segments() -> set[str]:
    """Of every route of the gateway, of what its dispatcher asks for by itself, and of the dashboard's own pages."""
    routes = chain(
        Downloads(None, None, None).routes(),  # type: ignore[arg-type]  # asked for its paths only
        health_routes(None),  # type: ignore[arg-type]  # the same
    )
    paths = [route.path for route in routes if isinstance(route, Route)]
    # Mounted and leased addresses stand in the code that builds the application.
    paths += ["/" + found for found in ROUTED.findall(Path(http.__file__).read_text())]
    paths += [*http._PATHS, events.PATH, session.PATH]
    # Its pages without a slug: they lead to those of the caller's tenant.
    without_slug = [
        line for line in ROUTER.read_text().splitlines() if "bare(" in line or "=> root" in line
    ]
    pages = re.findall(r'"/([a-z-]+)', "\n".join(without_slug))
    return {path.strip("/").partition("/")[0] for path in (*paths, *pages)} - {""}


def test_a_tenant_cannot_have_the_first_segment_of_an_address_as_its_slug() -> None:
    found = first_segments()

    assert {
        "api",
        "assets",
        "flow-run",
        "login",
        "events",
        "graphql",
        "health",
        "lease",
        "metrics",
        "session",
    } <= found
    assert {one for one in found if slug_refusal(one) is None} == set()


def test_a_tenant_cannot_be_called_as_a_link_without_a_slug_begins() -> None:
    assert {*PAGES, *Kind} <= RESERVED_SLUGS

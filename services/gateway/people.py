"""What browsers and people get beside GraphQL: event streams, sessions, and pages behind links."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.context import Shared
from services.gateway.dashboard import Dashboard
from services.gateway.events import endpoint as events
from services.gateway.finder import Finder
from services.gateway.identity import Authenticator
from services.gateway.links.endpoint import Links
from services.gateway.page_headers import base_path_of, below
from services.gateway.plain_answers import RefusalError, refuse
from services.gateway.session import endpoint as session
from services.gateway.single_sign_on import endpoint as single_sign_on

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class People:
    """Takes the requests that are for it, and hands on the others."""

    events: events.Events
    links: Links
    sessions: session.Sessions
    single_sign_on: single_sign_on.SingleSignOn
    base_path: str

    async def answer(
        self, scope: Scope, headers: Headers, receive: Receive, send: Send, *, others: ASGIApp
    ) -> None:
        """Answer, or let `others`; to them a request with a session is one with a token."""
        path = below(self.base_path, scope["path"])
        if path != scope["path"]:
            # A proxy may leave its path on or take it off.
            scope = {**scope, "path": path}
        if scope["path"] in single_sign_on.PATHS and scope["method"] == "GET":
            await self.single_sign_on.answer(scope, headers, send)
            return
        try:
            scope, headers = self.sessions.entered(scope, headers)
        except RefusalError as refused:
            await refuse(send, refused)
            return
        if scope["path"] == events.PATH and scope["method"] == "GET":
            await self.events.answer(scope, headers, receive, send)
        elif scope["path"] == session.PATH and scope["method"] in session.METHODS:
            await self.sessions.answer(scope, headers, receive, send)
        elif (link := self.links.link(scope, headers)) is not None:
            await self.links.answer(link, scope, headers, send)
        else:
            await others(scope, receive, send)


def people(
    shared: Shared,
    authenticator: Authenticator,
    finder: Finder,
    events: events.Events,
    dashboard: Dashboard,
    *,
    monotonic: Callable[[], float],
) -> People:
    """All of it."""
    settings = shared.settings
    base_path = base_path_of(settings.public_url)
    return People(
        events=events,
        links=Links(authenticator, finder, dashboard, base_path),
        base_path=base_path,
        sessions=session.Sessions(
            authenticator,
            shared.seal,
            shared.store,
            keys_required=settings.keys_required,
            clock=shared.clock,
            forget=lambda key_id: shared.forget_keys([key_id]),
        ),
        single_sign_on=single_sign_on.SingleSignOn(shared, monotonic),
    )

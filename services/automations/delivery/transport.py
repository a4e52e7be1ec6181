"""One try: what was built is sent, and the answer is said in the words of `domain.retries`. The same for a test."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from standardwebhooks import Webhook

from libs.contracts.base import Refused
from libs.contracts.gateway import ADD_MESSAGE, AddMessage
from libs.runtime.bus import Bus
from libs.runtime.clock import Clock
from services.automations.delivery import apprise_urls, mail
from services.automations.delivery.http import HttpClient, HttpFailedError
from services.automations.delivery.mail import MailServer
from services.automations.delivery.resolver import Resolver
from services.automations.domain import retries
from services.automations.domain.addresses import UrlError, checked_url
from services.automations.domain.outgoing import HttpRequest, InboxNote, Mail, Notice, Outgoing
from services.automations.domain.retries import Answer

USER_AGENT = "Headwater-Webhooks/1"
MAIL_RECEIVER = "mail"
INBOX_RECEIVER = "headwater"
APPRISE_RECEIVER = "apprise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """Whose delivery it is, and the key that all its tries share."""

    delivery_id: UUID
    tenant_id: UUID
    key: str


def receiver_of(outgoing: Sequence[Outgoing]) -> str:
    """The host that it goes to: what a circuit breaker is for, and what people see. UrlError when there is none."""
    first = outgoing[0]
    match first:
        case HttpRequest():
            host = checked_url(first.url).hostname
            return host or ""
        case Mail():
            return MAIL_RECEIVER
        case Notice():
            return f"{APPRISE_RECEIVER}:{urlsplit(first.url).scheme}"
        case InboxNote():
            return INBOX_RECEIVER


class Transport:
    """Sends each kind of thing. `resolver` checks the addresses of users; the operator's own are not checked."""

    def __init__(
        self,
        resolver: Resolver,
        bus: Bus,
        *,
        mail_server: MailServer | None,
        tls: ssl.SSLContext,
        clock: Clock,
    ) -> None:
        self._guarded = HttpClient(resolver.addresses, tls=tls)
        self._fixed = HttpClient(resolver.look_up, tls=tls)
        self._bus = bus
        self._mail_server = mail_server
        self._tls = tls
        self._clock = clock

    async def send(
        self, outgoing: Sequence[Outgoing], whose: Addressed, *, within: float
    ) -> Answer:
        """Send all of it, one after the other, each `within` seconds."""
        return together([await self._one(each, whose, within) for each in outgoing])

    async def _one(self, outgoing: Outgoing, whose: Addressed, within: float) -> Answer:
        match outgoing:
            case HttpRequest():
                return await self._post(outgoing, whose, within)
            case Mail():
                if self._mail_server is None:
                    return Answer(
                        error="no mail server is set: the operator sets HEADWATER_DELIVERY_MAIL_SERVER"
                    )
                return await mail.send(
                    outgoing, self._mail_server, key=whose.key, within=within, tls=self._tls
                )
            case Notice():
                return await apprise_urls.send(outgoing, within=within)
            case InboxNote():
                return await self._note(outgoing, whose)

    async def _post(self, request: HttpRequest, whose: Addressed, within: float) -> Answer:
        try:
            checked_url(request.url)
            headers = self._headers(request, whose.key)
        except UrlError as error:
            return Answer(error=str(error), for_good=True)
        except ValueError:
            return Answer(
                error="the signing secret is none: it must be whsec_ and base64 after it",
                for_good=True,
            )
        client = self._fixed if request.fixed else self._guarded
        try:
            answer = await client.post(request.url, headers, request.body, within=within)
        except HttpFailedError as error:
            return Answer(error=str(error), for_good=error.for_good, unreachable=not error.for_good)
        text = answer.body.decode("utf-8", "replace").replace("\x00", "\ufffd")
        return retries.of_http(answer.status, text, answer.headers, now=self._clock())

    def _headers(self, request: HttpRequest, key: str) -> dict[str, str]:
        """With the id that all tries share, and a signature of each key over this try's time."""
        now = self._clock()
        headers = {
            "user-agent": USER_AGENT,
            **request.headers,
            "idempotency-key": key,
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if request.signed_with:
            body = request.body.decode()
            headers["webhook-signature"] = " ".join(
                Webhook(secret).sign(key, now, body) for secret in request.signed_with
            )
        return headers

    async def _note(self, note: InboxNote, whose: Addressed) -> Answer:
        message = AddMessage(
            id=whose.delivery_id,
            tenant_id=whose.tenant_id,
            type=note.kind,
            text=note.text,
            content=dict(note.content),
        )
        answer = await self._bus.call(ADD_MESSAGE, message)
        if isinstance(answer, Refused):
            return Answer(error="no gateway writes to the inbox now")
        return Answer(succeeded=True)


def together(answers: Sequence[Answer]) -> Answer:
    """The answer for several requests of one delivery (a text message to each of several numbers).

    What may pass later is repeated, all of it. If some have arrived and the others never will, it is delivered, and
    the error says what was refused.
    """
    if len(answers) == 1:
        return answers[0]
    failed = [answer for answer in answers if not answer.succeeded]
    if not failed:
        return answers[-1]
    for answer in failed:
        if not answer.for_good:
            return answer
    if len(failed) == len(answers):
        return failed[0]
    arrived = next(answer for answer in answers if answer.succeeded)
    note = f"{len(failed)} of {len(answers)} were refused: {failed[0].error}"
    return Answer(status=arrived.status, text=failed[0].text, error=note, succeeded=True)

"""What is sent: an HTTP request, an e-mail, a notification through Apprise, or a note in the inbox. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class CannotBuildError(Exception):
    """A delivery cannot be built from its configuration, today or later; the text says what to change."""


class NotWantedError(Exception):
    """The action or cloud hook of a delivery was deleted or switched off meanwhile; the text says so."""


class SecretMissingError(Exception):
    """A secret that the configuration names does not exist, or is no text; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A POST. `fixed` says that the address is the operator's, not a user's, so no guard is asked.

    `repr` shows no address, header or body: they may hold credentials.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    fixed: bool = False
    signed_with: tuple[str, ...] = field(default=(), repr=False)
    """Keys of Standard Webhooks (`whsec_...`); while a key is replaced there are two, and both sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """An e-mail to all of them."""

    to: tuple[str, ...]
    subject: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notification by an Apprise URL, which holds credentials."""

    url: str = field(repr=False)
    title: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxNote:
    """A message in the tenant's inbox."""

    kind: str
    text: str
    content: Mapping[str, Any]


Outgoing = HttpRequest | Mail | Notice | InboxNote


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An event that is to be sent: its variables, and the key that all tries of this delivery share."""

    key: str
    event_type: str
    values: Mapping[str, Any]
    event: Mapping[str, Any]
    """As it is kept, for a webhook without a payload of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Addresses of services that have one for everybody; the operator may choose their region."""

    pagerduty: str
    twilio: str

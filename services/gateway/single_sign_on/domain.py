"""Who comes from the provider, and where a browser may be sent. Pure."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from services.gateway.visitors import Visitor

ATTEMPT_LASTS = timedelta(minutes=10)
_LONGEST_PATH = 1_000
_LONGEST_NAME = 200
_LONGEST_SUBJECT = 255
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class Failure(StrEnum):
    """Why a log-in failed: the code that the log-in page is opened with."""

    STARTED_ELSEWHERE = "started_elsewhere"
    REFUSED_THERE = "refused_there"
    PROVIDER_AWAY = "provider_away"
    BAD_ANSWER = "bad_answer"
    UNVERIFIED = "unverified"
    NOT_INVITED = "not_invited"
    ENDED = "ended"
    AWAY = "away"


SENTENCES: Mapping[Failure, str] = {
    Failure.STARTED_ELSEWHERE: "This log-in was not begun in this browser, or more than ten minutes ago. Begin again.",
    Failure.REFUSED_THERE: "The log-in provider refused the log-in, or it was cancelled there.",
    Failure.PROVIDER_AWAY: "The log-in provider cannot be reached. Try again soon, or log in with an API key.",
    Failure.BAD_ANSWER: "The log-in provider's answer is not valid, so it was not accepted. Begin again. An"
    " administrator finds the reason in the gateway's log.",
    Failure.UNVERIFIED: "The log-in provider does not say that your e-mail address is verified. Verify it there, then"
    " log in again.",
    Failure.NOT_INVITED: "Nobody with your e-mail address is expected here. Ask an administrator of your tenant to"
    " invite exactly the address that you have at the log-in provider.",
    Failure.ENDED: "Your access here was ended. Ask an administrator of your tenant for a new invitation.",
    Failure.AWAY: "Nobody can be logged in while PostgreSQL is away. Try again soon.",
}
"""What the log-in page says. Never a text of the address or of the provider: anybody can write those."""


class FailedError(Exception):
    """A log-in that failed; `reason` is for the log."""

    def __init__(self, failure: Failure, reason: str = "") -> None:
        super().__init__(reason or failure.value)
        self.failure = failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A log-in under way, as its browser keeps it."""

    state: str
    nonce: str
    verifier: str
    return_to: str
    ends: float

    @classmethod
    def of(cls, said: Any) -> "Attempt":
        """What `as_json` gave."""
        return cls(**said)

    def as_json(self) -> dict[str, Any]:
        """For the cookie."""
        return asdict(self)

    def is_over(self, now: datetime) -> bool:
        """An attempt ends exactly at its time."""
        return now.timestamp() >= self.ends


def visitor_of(issuer: str, claims: Mapping[str, Any]) -> Visitor:
    """The person of these claims. FailedError where the provider does not vouch for the address."""
    subject, email = claims.get("sub"), claims.get("email")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise FailedError(Failure.BAD_ANSWER, "sub: the token names nobody")
    if not isinstance(email, str) or email.count("@") != 1 or not _PRINTABLE.fullmatch(email):
        raise FailedError(
            Failure.UNVERIFIED, "email: the provider told no address; ask for the scope `email`"
        )
    # Some say "true" as a text, which is not the claim of the standard: who wrote it is not known.
    if claims.get("email_verified") is not True:
        raise FailedError(Failure.UNVERIFIED, "email_verified: not true")
    name = claims.get("name")
    called = name.strip() if isinstance(name, str) else ""
    if not called.isprintable() or not 0 < len(called) <= _LONGEST_NAME:
        called = email
    return Visitor(issuer=issuer, subject=subject, email=email, name=called)


def domain_of(email: str) -> str:
    """What is after the @, in small letters."""
    return email.rpartition("@")[2].lower()


def safe_path(given: str | None) -> str:
    """Where to be after the log-in: a path of ours with its query, or the first page for anything else.

    Browsers take `//host` and `/\\host` for another site, and drop tabs and line ends on the way.
    """
    if given is None or len(given) > _LONGEST_PATH or not _PRINTABLE.fullmatch(given):
        return "/"
    if not given.startswith("/") or given.startswith("//") or "\\" in given:
        return "/"
    try:
        parts = urlsplit(given)
    except ValueError:
        return "/"
    if parts.scheme or parts.netloc or parts.path.startswith("//"):
        return "/"
    # Not in a circle.
    return "/" if parts.path.startswith("/session") else given

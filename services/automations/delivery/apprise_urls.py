"""Notifications by Apprise, an optional extra (`pip install headwater[apprise]`), imported when it is first used.

Apprise has no guard against forged requests, and follows redirects. So only services whose address is fixed by their
scheme are allowed: there a URL holds credentials, and no host. One URL is one service: Apprise's own `add` would split
a text at commas and spaces, and call whatever the second one names. A URL cannot switch on redirects, switch off the
check of certificates, or lengthen the time of a request.

Its calls block, so they run in threads, a few for each service: one that hangs delays no other. A credential in a URL
is in no error of ours, and what Apprise itself would log is dropped.
"""

import asyncio
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from services.automations.domain.outgoing import Notice
from services.automations.domain.retries import Answer

SCHEMES = frozenset({"discord", "opsgenie", "pagerduty", "pover", "slack", "tgram", "twilio"})
"""Services with fixed addresses."""
_THREADS = 4
"""Calls under way to one service."""
_LONGEST = 15.0
"""Seconds of connecting, and of each wait for an answer: a thread cannot be stopped from outside."""
_ONE_URL = re.compile(r"([A-Za-z]+)://[!-~]*")
"""A scheme, and what neither begins another address nor is read differently by another parser."""


def is_installed() -> bool:
    """Whether the extra is there."""
    return _module() is not None


async def send(notice: Notice, *, within: float) -> Answer:
    """Send it. Apprise says only whether it went."""
    scheme = scheme_of(notice.url)
    if scheme is None:
        return Answer(error="the Apprise address is not one address, scheme://...", for_good=True)
    if scheme not in SCHEMES:
        allowed = ", ".join(sorted(SCHEMES))
        return Answer(error=f"{scheme}:// is none of {allowed}", for_good=True)
    if _module() is None:
        return Answer(error="Apprise is not installed: the operator installs headwater[apprise]")
    running = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within):
            outcome = await running.run_in_executor(
                _threads(scheme), _notify, notice, min(within, _LONGEST)
            )
    except TimeoutError:
        return Answer(error=f"{scheme} did not answer within {within:g} s", unreachable=True)
    if outcome is None:
        return Answer(error=f"the {scheme}:// address cannot be read", for_good=True)
    if not outcome:
        return Answer(error=f"{scheme} did not take the notification", unreachable=True)
    return Answer(succeeded=True)


def scheme_of(url: str) -> str | None:
    """The scheme of a text that is one address; None if it is anything else, as two of them."""
    one = _ONE_URL.fullmatch(url)
    return one[1].lower() if one is not None and url.count("://") == 1 else None


def _notify(notice: Notice, within: float) -> bool | None:
    """None for an address that Apprise does not understand."""
    apprise = _module()
    asset = apprise.AppriseAsset(http_redirects=False, async_mode=False)
    service = apprise.Apprise.instantiate(notice.url, asset=asset)
    if service is None or not service.schemas() & SCHEMES:
        return None
    # Whatever the URL's own parameters say.
    service.redirects = False
    service.verify_certificate = True
    service.socket_connect_timeout = service.socket_read_timeout = within
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    return bool(sender.notify(title=notice.title, body=notice.text))


@cache
def _module() -> Any:
    try:
        import apprise  # noqa: PLC0415 - a quarter of a second and 17 MiB, for those who use it
    except ImportError:
        return None
    # It logs addresses that it cannot read, and those hold credentials.
    logging.getLogger("apprise").disabled = True
    return apprise


@cache
def _threads(scheme: str) -> ThreadPoolExecutor:
    assert scheme in SCHEMES  # noqa: S101 - so there are few pools
    return ThreadPoolExecutor(_THREADS, thread_name_prefix=f"apprise-{scheme}")

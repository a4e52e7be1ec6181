"""Notifications by Apprise, an optional extra (`pip install headwater[apprise]`), imported when it is first used.

Apprise has no guard against forged requests, and follows redirects. So only services whose address is fixed by their
scheme are allowed: there a URL holds credentials, and no host. Its calls block, so they run in threads of their own,
a few at a time; a credential in a URL is in no error of ours.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from services.automations.domain.outgoing import Notice
from services.automations.domain.retries import Answer

SCHEMES = frozenset({"discord", "opsgenie", "pagerduty", "pover", "slack", "tgram", "twilio"})
"""Services with fixed addresses."""
_THREADS = 4


def is_installed() -> bool:
    """Whether the extra is there."""
    return _module() is not None


async def send(notice: Notice, *, within: float) -> Answer:
    """Send it. Apprise says only whether it went."""
    scheme = urlsplit(notice.url).scheme
    if scheme not in SCHEMES:
        allowed = ", ".join(sorted(SCHEMES))
        return Answer(error=f"{scheme}:// is none of {allowed}", for_good=True)
    if _module() is None:
        return Answer(error="Apprise is not installed: the operator installs headwater[apprise]")
    running = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within):
            outcome = await running.run_in_executor(_threads(), _notify, notice)
    except TimeoutError:
        return Answer(error=f"{scheme} did not answer within {within:g} s", unreachable=True)
    if outcome is None:
        return Answer(error=f"the {scheme}:// address cannot be read", for_good=True)
    if not outcome:
        return Answer(error=f"{scheme} did not take the notification", unreachable=True)
    return Answer(succeeded=True)


def _notify(notice: Notice) -> bool | None:
    """None for an address that Apprise does not understand."""
    apprise = _module()
    asset = apprise.AppriseAsset(http_redirects=False, async_mode=False)
    sender = apprise.Apprise(asset=asset)
    if not sender.add(notice.url):
        return None
    return bool(sender.notify(title=notice.title, body=notice.text))


@cache
def _module() -> Any:
    try:
        import apprise  # noqa: PLC0415 - a quarter of a second and 17 MiB, for those who use it
    except ImportError:
        return None
    return apprise


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="apprise")

"""Notifications by the real Apprise, whose services' fixed addresses lead to a receiver of ours."""

import asyncio

import pytest
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.slack import NotifySlack

from services.automations.delivery import apprise_urls
from services.automations.delivery.transport import receiver_of
from services.automations.domain.outgoing import Notice
from services.automations.domain.retries import Answer
from tests.support.eventually import eventually
from tests.support.receivers import Receiver, receiver

TOKENS = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
SLACK = f"slack://{TOKENS}"
DISCORD = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"


async def sent(url: str, *, within: float = 30.0) -> Answer:
    return await apprise_urls.send(
        Notice(url=url, title="A run failed", text="boom"), within=within
    )


def leads_to(monkeypatch: pytest.MonkeyPatch, made: Receiver) -> None:
    """Slack's address is the receiver's from now on. The rest is the package as it comes."""
    monkeypatch.setattr(NotifySlack, "webhook_url", f"{made.url}/services")
    made.answer(body=b"ok")


async def test_a_notification_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver() as made:
        leads_to(monkeypatch, made)

        answer = await sent(SLACK)

    [got] = made.received
    assert answer.succeeded
    assert got.path == f"/services/{TOKENS}"
    assert "boom" in got.body.decode()
    assert "A run failed" in got.body.decode()


@pytest.mark.parametrize(
    "url",
    [
        "json://{host}",
        "SLACK://" + TOKENS + ",json://{host}",
        SLACK + ",json://{host}",
        SLACK + " json://{host}",
        SLACK + "\njson://{host}",
        SLACK + "?x=json://{host}",
        " json://{host}",
        "js\ton://{host}",
        "http://{host}",
        "",
    ],
)
async def test_no_address_of_a_users_choice_is_called(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    async with receiver() as made:
        leads_to(monkeypatch, made)

        answer = await sent(url.format(host=f"127.0.0.1:{made.port}/x"))

    assert made.received == []
    assert answer.for_good


async def test_a_redirect_is_not_followed_though_the_address_asks_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with receiver() as made, receiver() as elsewhere:
        leads_to(monkeypatch, made)
        made.answer(302, location=elsewhere.url)

        answer = await sent(f"{SLACK}?redirect=yes&verify=no")

    assert len(made.received) == 1
    assert elsewhere.received == []
    assert not answer.succeeded


async def test_a_credential_is_in_no_error_and_no_output(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async with receiver() as made:
        leads_to(monkeypatch, made)
        made.answer(403)

        refused = await sent(SLACK)
        unreadable = await sent("slack://hush-hush/1/2")

    shown = "".join(capfd.readouterr())
    assert refused.error == "slack did not take the notification"
    assert unreadable.error == "the slack:// address cannot be read"
    assert "hush-hush" not in shown
    assert TOKENS not in shown


async def test_a_service_that_hangs_delays_no_other_and_its_threads_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with receiver() as made, receiver() as well:
        leads_to(monkeypatch, made)
        monkeypatch.setattr(NotifyDiscord, "notify_url", well.url)
        made.hang()
        well.answer(204, body=b"")
        hanging = [asyncio.create_task(sent(SLACK, within=60)) for _ in range(12)]
        await eventually(lambda: made.waiting == apprise_urls._THREADS)

        other = await sent(DISCORD)

        assert other.succeeded, other
        assert not any(task.done() for task in hanging), "it waited for one that hangs"
        made.answer()
        made.release()
        assert all(each.succeeded for each in await asyncio.gather(*hanging))


async def test_a_service_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver() as made:
        leads_to(monkeypatch, made)
        made.hang()

        answer = await sent(SLACK, within=1)

    assert answer.unreachable
    assert not answer.for_good


def test_breakers_are_told_apart_by_the_service() -> None:
    assert receiver_of([Notice(url=SLACK, title="", text="")]) == "apprise:slack"

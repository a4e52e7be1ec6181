"""E-mail, to a real SMTP server."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.gateway.app import Gateway
from tests.support.delivering import World, delivering_on
from tests.support.engines import Stack
from tests.support.owed import EVENT, a_tenant, an_action, owe
from tests.support.ports import free_port
from tests.support.receivers import Receiver
from tests.support.running import running


@dataclass(slots=True)
class Mailbox:
    """What the server got, and what it says to recipients of it."""

    messages: list[str] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    says: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.says:
            return self.says[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.messages.append(envelope.content.decode())
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"


@pytest.fixture
def server() -> Iterator[tuple[Mailbox, int]]:
    mailbox, port = Mailbox(), free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox, port
    finally:
        controller.stop()


@pytest.fixture
async def mailing(
    stack: Stack, gateway: Gateway, server: tuple[Mailbox, int]
) -> AsyncIterator[World]:
    await stack.admin_pool.execute("TRUNCATE automations.delivery, automations.receiver CASCADE")
    service = delivering_on(
        stack, mail_server=f"smtp://127.0.0.1:{server[1]}", mail_from="Headwater <hw@x.org>"
    )
    async with running(service, ticks=False):
        yield World(
            stack=stack,
            service=service,
            receiver=Receiver(),
            tenant=await a_tenant(stack.admin_pool),
        )


async def action_to(world: World, *addresses: str, **config: str) -> Any:
    return await an_action(
        world.pool,
        world.tenant,
        {"to_emails": list(addresses), **config},
        kind="EmailNotificationAction",
    )


async def test_a_message_arrives_at_every_address_and_a_repetition_has_the_same_id(
    mailing: World, server: tuple[Mailbox, int]
) -> None:
    mailbox, _ = server
    action = await action_to(mailing, "a@x.org", "b@x.org", subject="{flow_name}: {state_message}")
    event = {**EVENT, "state_message": "boom\r\nBcc: evil@x.org"}
    delivery = await owe(mailing.pool, mailing.tenant, action_id=action, event=event)

    await mailing.deliver()

    [message] = mailbox.messages
    assert mailbox.recipients == [["a@x.org", "b@x.org"]]
    assert "Subject: etl: boom Bcc: evil@x.org" in message
    assert f"Message-ID: <key-{delivery}@headwater>" in message
    assert "entered state Failed" in message.replace("=\r\n", "")
    row, [attempt] = await mailing.delivery(delivery), await mailing.attempts(delivery)
    assert (row["status"], row["receiver"], attempt["status"]) == ("delivered", "mail", 250)


@pytest.mark.parametrize(
    ("says", "status"), [("550 no such user", "failed"), ("451 later", "pending")]
)
async def test_a_refusal_for_good_ends_it_and_one_for_now_does_not(
    mailing: World, server: tuple[Mailbox, int], says: str, status: str
) -> None:
    server[0].says["a@x.org"] = says
    delivery = await owe(
        mailing.pool, mailing.tenant, action_id=await action_to(mailing, "a@x.org")
    )

    await mailing.deliver()

    assert (await mailing.delivery(delivery))["status"] == status


async def test_one_unknown_recipient_keeps_it_from_nobody_else(
    mailing: World, server: tuple[Mailbox, int]
) -> None:
    server[0].says["gone@x.org"] = "550 no such user"
    action = await action_to(mailing, "gone@x.org", "b@x.org")
    delivery = await owe(mailing.pool, mailing.tenant, action_id=action)

    await mailing.deliver()

    row = await mailing.delivery(delivery)
    assert server[0].recipients == [["b@x.org"]]
    assert (row["status"], row["last_error"]) == (
        "delivered",
        "the mail server refused 1 of 2 recipients",
    )


async def test_without_a_mail_server_it_waits_and_says_what_to_set(world: World) -> None:
    delivery = await owe(world.pool, world.tenant, action_id=await action_to(world, "a@x.org"))

    await world.deliver()

    row = await world.delivery(delivery)
    assert row["status"] == "pending"
    assert "HEADWATER_DELIVERY_MAIL_SERVER" in row["last_error"]

"""Settings of deliveries."""

from datetime import timedelta
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from libs.runtime.settings import AtMost, Durations
from services.automations.delivery.mail import MailServer
from services.automations.domain.addresses import Network, networks_of

_PREFIX = "HEADWATER_DELIVERY_"


class DeliverySettings(Durations):
    """What may be called, how much at a time, and how long the log of it is kept."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, title=_PREFIX, frozen=True, extra="ignore"
    )

    relations: ClassVar[tuple[AtMost, ...]] = (
        AtMost(
            lesser="timeout",
            greater="lease",
            times=2,
            why="another worker would send what this one is still sending",
        ),
    )

    allowed_networks: str = Field(
        default="",
        description="networks that webhooks may reach although they are not public, 10.1.0.0/16,192.168.7.4;"
        " empty: none, so users cannot make this server call what only it can reach",
    )
    timeout: timedelta = Field(
        default=timedelta(seconds=15),
        le=timedelta(seconds=30),
        description="how long a receiver may take to answer; Standard Webhooks asks for 15 to 30 s",
    )
    lease: timedelta = Field(
        default=timedelta(seconds=60),
        description="how long a worker has a delivery; if it is killed, another one sends it again after so long",
    )
    at_once: int = Field(
        default=256, ge=1, description="tries under way in one replica; a tenant has at most half"
    )
    per_receiver: int = Field(
        default=8,
        ge=1,
        description="tries under way for one action; one that hangs delays no other",
    )
    tick: timedelta = Field(
        default=timedelta(seconds=1),
        description="how often due deliveries are looked for; new ones are taken at once",
    )
    keep: timedelta = Field(
        default=timedelta(days=30), description="how long finished deliveries and their tries stay"
    )
    ca: str | None = Field(
        default=None,
        description="file with certificate authorities of receivers, beside the public ones",
    )
    mail_server: str | None = Field(
        default=None,
        repr=False,
        description="smtp://user:password@host:587 (STARTTLS) or smtps://; none: e-mail actions fail and say so",
    )
    mail_from: str = Field(
        default="Headwater <headwater@localhost>", description="the sender of e-mails"
    )
    pagerduty_url: str = Field(
        default="https://events.pagerduty.com/v2/enqueue",
        pattern=r"^https?://[^/\s]+",
        description="PagerDuty's Events API; accounts in Europe have events.eu.pagerduty.com",
    )
    twilio_url: str = Field(
        default="https://api.twilio.com",
        pattern=r"^https?://[^/\s]+",
        description="Twilio's API; its other regions have addresses of their own",
    )

    @field_validator("allowed_networks")
    @classmethod
    def _check_networks(cls, text: str) -> str:
        networks_of(text)
        return text

    @model_validator(mode="after")
    def _check_mail_server(self) -> Self:
        try:
            self.mail()
        except ValueError as error:
            # Not the address itself: it holds a password.
            msg = f"{_PREFIX}MAIL_SERVER {error}"
            raise ValueError(msg) from None
        return self

    @property
    def allowed(self) -> tuple[Network, ...]:
        """The allowed networks."""
        return networks_of(self.allowed_networks)

    def mail(self) -> MailServer | None:
        """The mail server, if one is set."""
        if not self.mail_server:
            # Compose passes an empty text for what is not set.
            return None
        return MailServer.of(self.mail_server, self.mail_from)

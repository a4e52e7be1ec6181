"""A delivery and its opened secrets become what is sent. Nothing of it is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.automations.delivery.secrets import Secrets
from services.automations.delivery.store import Leased
from services.automations.delivery.transport import receiver_of
from services.automations.domain import cloud_hooks, senders
from services.automations.domain.addresses import UrlError
from services.automations.domain.messages import values_of
from services.automations.domain.outgoing import (
    CannotBuildError,
    Endpoints,
    HttpRequest,
    NotWantedError,
    Outgoing,
    Sent,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What is sent, its receiver, and the secrets that must not come back in an answer."""

    outgoing: Sequence[Outgoing]
    receiver: str
    secrets: Sequence[str] = field(repr=False)


class Builder:
    """Makes what is sent. `endpoints` are the operator's."""

    def __init__(self, secrets: Secrets, endpoints: Endpoints) -> None:
        self._secrets = secrets
        self._endpoints = endpoints

    async def built(self, delivery: Leased) -> Built:
        """NotWantedError when it need not be sent; CannotBuildError when it never can be; SecretMissingError,
        CannotAskError when it cannot be now."""
        sent = Sent(
            key=delivery.dedup,
            event_type=delivery.event_type,
            values=values_of(delivery.event_type, delivery.event),
            event=delivery.event,
        )
        if delivery.cloud_hook_id is not None:
            return self._of_cloud_hook(delivery, sent)
        return await self._of_action(delivery, sent)

    def _of_cloud_hook(self, delivery: Leased, sent: Sent) -> Built:
        config = delivery.cloud_hook_config
        if delivery.cloud_hook_type is None or config is None:
            msg = "the cloud hook was deleted before this was sent"
            raise NotWantedError(msg)
        if not delivery.cloud_hook_is_active:
            msg = "the cloud hook was switched off before this was sent"
            raise NotWantedError(msg)
        outgoing = cloud_hooks.built(delivery.cloud_hook_type, config, sent, self._endpoints)
        return _of(outgoing, cloud_hooks.secrets_in(config))

    async def _of_action(self, delivery: Leased, sent: Sent) -> Built:
        kind, config, action_id = delivery.action_type, delivery.action_config, delivery.action_id
        if kind is None or config is None or action_id is None:
            msg = "the action was deleted before this was sent"
            raise NotWantedError(msg)
        opened = await self._secrets.of_action(
            delivery.tenant_id, action_id, kind, config, delivery.sealed
        )
        outgoing = senders.built(kind, config, sent, opened, self._endpoints)
        return _of(outgoing, list(opened.values()))


def _of(outgoing: Sequence[Outgoing], secrets: Sequence[str]) -> Built:
    if not outgoing:
        msg = "it has no recipient"
        raise CannotBuildError(msg)
    # A user and a password travel as one text, which is in neither of them.
    headers = [each.headers for each in outgoing if isinstance(each, HttpRequest)]
    credentials = [each["authorization"].split()[-1] for each in headers if "authorization" in each]
    try:
        return Built(
            outgoing=outgoing,
            receiver=receiver_of(outgoing),
            secrets=[*secrets, *dict.fromkeys(credentials)],
        )
    except UrlError as error:
        raise CannotBuildError(str(error)) from None

"""What the gateway does for the automations: open secrets, write to inboxes, switch off a cloud hook.

Only the gateway knows the pepper, and only its role may read secrets. Only the automations may ask
(`deploy.nats_users`). An opened secret is in the answer alone: no log, no trace and no audit entry has it. The log of
deliveries shows its use.
"""

from libs.contracts.base import Applied
from libs.contracts.gateway import AddMessage, OpenedSecrets, OpenSecrets, SwitchOffCloudHook
from services.gateway.store import Store
from services.gateway.vault import CannotOpenError, Vault


class ForAutomations:
    """The requests of the automations."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def open_secrets(self, request: OpenSecrets) -> OpenedSecrets:
        """The values, and which are missing."""
        found = await self._store.sealed_secrets(request.tenant_id, request.names)
        sealed = found | {label: bytes.fromhex(text) for label, text in request.sealed.items()}
        values, unreadable = {}, []
        for name, box in sealed.items():
            try:
                values[name] = self._vault.open(box, request.tenant_id, name)
            except CannotOpenError:
                unreadable.append(name)
        missing = [name for name in request.names if name not in found]
        return OpenedSecrets(values=values, missing=missing, unreadable=unreadable)

    async def add_message(self, request: AddMessage) -> Applied:
        """A message in the inbox; `success` is false when the tenant is gone, or it was there already."""
        added = await self._store.add_message(
            request.id, request.tenant_id, request.type, request.text, request.content
        )
        return Applied(id=request.id, success=added)

    async def switch_off_cloud_hook(self, request: SwitchOffCloudHook) -> Applied:
        """Its receiver is gone for good."""
        done = await self._store.switch_off_cloud_hook(request.tenant_id, request.cloud_hook_id)
        return Applied(id=request.cloud_hook_id, success=done)

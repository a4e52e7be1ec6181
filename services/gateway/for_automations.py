"""What the gateway does for the automations: open secrets, write to inboxes, switch off a cloud hook, judge rights.

Only the gateway knows the pepper, and only its role may read secrets. Only the automations may ask
(`deploy.nats_users`). An opened secret is in the answer alone: no log, no trace and no audit entry has it. The log of
deliveries shows its use.
"""

from libs.contracts.base import Applied
from libs.contracts.gateway import (
    AddMessage,
    MayAct,
    MayActAnswer,
    OpenedSecrets,
    OpenSecrets,
    SwitchOffCloudHook,
)
from libs.runtime.ids import NewId
from services.gateway.permissions import MUTATIONS
from services.gateway.store import Store
from services.gateway.vault import CannotOpenError, Vault


class ForAutomations:
    """The requests of the automations."""

    def __init__(self, store: Store, vault: Vault, *, ids: NewId) -> None:
        self._store = store
        self._vault = vault
        self._ids = ids

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

    async def may_act(self, request: MayAct) -> MayActAnswer:
        """Judge by the rights of now: who has lost them acts no more through the automations of before."""
        missing: list[str] = []
        if request.user_id is not None:
            held = await self._store.permissions_now(request.tenant_id, request.user_id)
            missing = sorted(MUTATIONS[request.mutation] - held)
        info = {"delivery_id": str(request.delivery_id)}
        if request.hook_id is not None:
            info["hook_id"] = str(request.hook_id)
        if missing:
            info["missing"] = ", ".join(missing)
        await self._store.audit(
            self._ids(),
            tenant_id=request.tenant_id,
            actor=f"automation:{request.hook_id or request.delivery_id}",
            user_id=request.user_id,
            message=f"{request.mutation} refused" if missing else request.mutation,
            object_id=request.object_id,
            info=info,
        )
        return MayActAnswer(missing=missing)

"""Makes the first tenant, and the first key when keys are on."""

from libs.runtime.ids import NewId
from services.gateway.keys import Key, fingerprint
from services.gateway.roles import Role
from services.gateway.settings import GatewaySettings
from services.gateway.store import Store


async def bootstrap(settings: GatewaySettings, store: Store, ids: NewId) -> Key | None:
    """Make the first tenant and its first key if there are none; returns the key if it was made now."""
    await store.ensure_first_tenant(ids())
    if not settings.keys_required or settings.bootstrap_key is None:
        return None
    tenants = await store.tenant_ids()
    key = Key(
        id=ids(),
        tenant_id=tenants[0],
        user_id=ids(),
        name="first",
        role=Role.TENANT_ADMIN,
        expires_at=None,
    )
    hashed = fingerprint(settings.bootstrap_key.get_secret_value(), settings.pepper)
    return key if await store.ensure_first_key(key, hashed) else None

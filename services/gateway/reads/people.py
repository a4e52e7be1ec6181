"""Names behind ids, as expressions over a row (`{t}` is the table's alias).

The name is the reader's tenant's own (`gateway.person`), so what other tenants call somebody cannot be read.
"""

from services.gateway.names import NAMELESS


def name_of(column: str) -> str:
    """What the tenant calls the user whose id is in this column; null where it has no name for them."""
    named = (
        f"(SELECT p.name FROM gateway.person p WHERE p.tenant_id = $1 AND p.id = {{t}}.{column})"
    )
    fixed = " ".join(f"WHEN '{id_}' THEN '{name}'" for id_, name in NAMELESS.items())
    return f"COALESCE({named}, CASE {{t}}.{column} {fixed} END)"


_NAME_OF_KEY = "substring({t}.actor FROM '^[a-z]+:(.*):[0-9a-f-]{36}$')"
ACTOR_OF_THE_TRAIL = f"COALESCE({name_of('user_id')}, {_NAME_OF_KEY}, {{t}}.actor)"
"""Without a name, that of the key, which the trail keeps as it was; else what the trail says (`machine:root`)."""

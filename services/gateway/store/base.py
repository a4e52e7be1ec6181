"""What the parts of the store share."""

from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.database import Database

WHILE_IT_STANDS = "FROM gateway.tenant t WHERE t.id = $2 FOR KEY SHARE OF t"
"""The tenant of a new row, kept from being deleted until the row is committed: a late writer finds no tenant."""


class Rows:
    """Statements over one pool."""

    def __init__(self, database: Database) -> None:
        self._database = database


def tenant_not_found(tenant_id: UUID) -> Refused:
    """There is no such tenant."""
    return Refused(code=Code.TENANT_NOT_FOUND, fields={"tenant_id": str(tenant_id)})

"""A queue that serves tenants in turn, and within a tenant its keys in turn; within a key, first come first served."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Owner = tuple[Hashable, Hashable]
"""A tenant and a key of it, or None where there is no key."""

T = TypeVar("T")


@dataclass(slots=True)
class _Tenant(Generic[T]):
    """What waits of one tenant, by key in the order of their turns."""

    by_key: OrderedDict[Hashable, deque[T]] = field(default_factory=OrderedDict)
    count: int = 0


class FairQueue(Generic[T]):
    """What waits, by its owner."""

    def __init__(self) -> None:
        self.tenants: OrderedDict[Hashable, _Tenant[T]] = OrderedDict()
        """Tenants that have something here, in the order of turns: empty while nothing waits."""

    def count_of(self, tenant: Hashable) -> int:
        """How many of a tenant wait."""
        known = self.tenants.get(tenant)
        return known.count if known is not None else 0

    def add(self, owner: Owner, item: T) -> None:
        """Behind the others of its key."""
        tenant = self.tenants.get(owner[0])
        if tenant is None:
            tenant = self.tenants[owner[0]] = _Tenant()
        tenant.by_key.setdefault(owner[1], deque()).append(item)
        tenant.count += 1

    def take(self) -> T:
        """Remove and return the first of the key whose turn it is. The next turn is another tenant's, if one waits."""
        key_of_tenant, tenant = next(iter(self.tenants.items()))
        key, items = next(iter(tenant.by_key.items()))
        item = items[0]
        self.serve((key_of_tenant, key), item)
        return item

    def first(self, may: Callable[[T], bool]) -> T | None:
        """The first that may be served, in the order of turns. Behind the first of a key nobody is looked at."""
        for tenant in self.tenants.values():
            for items in tenant.by_key.values():
                if may(items[0]):
                    return items[0]
        return None

    def serve(self, owner: Owner, item: T) -> None:
        """Remove an item whose turn it was: the next turn is another tenant's, and of this one another key's."""
        self.remove(owner, item)
        tenant = self.tenants.get(owner[0])
        if tenant is not None:
            self.tenants.move_to_end(owner[0])
            if owner[1] in tenant.by_key:
                tenant.by_key.move_to_end(owner[1])

    def remove(self, owner: Owner, item: T) -> None:
        """Remove an item that gave up; the turns stay as they are."""
        tenant = self.tenants[owner[0]]
        items = tenant.by_key[owner[1]]
        items.remove(item)
        tenant.count -= 1
        if not items:
            del tenant.by_key[owner[1]]
        if not tenant.by_key:
            del self.tenants[owner[0]]

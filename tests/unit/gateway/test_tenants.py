"""Whether there is a tenant, asked of memory."""

import asyncio
from typing import cast

from libs.runtime.ids import new_id
from services.gateway.identity import TRUST, Tenants
from services.gateway.store import Store


class Rows:
    """The table of tenants, and how often it was read."""

    def __init__(self) -> None:
        self.ids = [new_id()]
        self.looks = 0

    async def tenant_ids(self) -> list[object]:
        self.looks += 1
        return [*self.ids]


async def test_a_thousand_unknown_tenants_cost_one_look() -> None:
    rows = Rows()
    tenants = Tenants(cast("Store", rows))
    await tenants.all()
    rows.looks = 0
    clock = asyncio.get_running_loop().time
    began = clock()

    known = await asyncio.gather(*(tenants.exists(new_id()) for _ in range(1_000)))

    assert not any(known)
    # One for all of them; for each second that a busy machine took, one for those who find them stale, and one for
    # those of them who then ask for tenants that there are not.
    assert 1 <= rows.looks <= 1 + 2 * ((clock() - began) // TRUST.total_seconds())


async def test_a_thousand_who_find_them_stale_cost_one_look() -> None:
    rows = Rows()
    tenants = Tenants(cast("Store", rows))

    found = await asyncio.gather(*(tenants.all() for _ in range(1_000)))

    assert rows.looks == 1
    assert set(found) == {tuple(rows.ids)}


async def test_unknown_tenants_one_after_the_other_are_looked_for_twenty_times_a_second() -> None:
    rows = Rows()
    tenants = Tenants(cast("Store", rows))
    began = asyncio.get_running_loop().time()

    for _ in range(5):
        assert not await tenants.exists(new_id())

    assert rows.looks <= 1 + (asyncio.get_running_loop().time() - began) / 0.05


async def test_a_tenant_that_another_gateway_just_made_is_known() -> None:
    rows = Rows()
    tenants = Tenants(cast("Store", rows))
    await tenants.all()
    made = new_id()
    rows.ids.append(made)

    assert await tenants.exists(made)

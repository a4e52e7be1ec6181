"""Every service that runs deletes what it has of a deleted tenant, by itself."""

from uuid import UUID

from libs.runtime.departed import KEPT
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.rows_of_tenants import fill, left
from tests.support.services import all_services


async def test_the_services_that_run_delete_what_they_have_of_a_deleted_tenant(
    stack: Stack,
) -> None:
    async with all_services(stack) as gateway:
        doomed = await gateway._store.create_tenant(gateway.ids(), name="doomed", slug="doomed")
        assert isinstance(doomed, UUID)
        await fill(stack, doomed)
        await gateway._store.delete_tenant(doomed)

        async def nothing_left() -> bool:
            return await left(stack, doomed) == {*KEPT}

        # What arrives after a first look is found at the next one, a minute later.
        await eventually(nothing_left, timeout=150, pause=0.2)

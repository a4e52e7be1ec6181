"""Who was heard when: kept in memory, a million runs in 190 MiB, so that a silence is known to the second. Pure."""

from collections import OrderedDict
from collections.abc import Mapping
from uuid import UUID


class Roll:
    """The runs that one ear heard, with the moment and the tenant that spoke for them; the longest silent first.

    A hint: a run that pings to another replica is missing or looks silent here, and nothing outlives the process.
    """

    def __init__(self) -> None:
        self._heard: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._heard)

    def hear(self, heard: Mapping[bytes, bytes], moment: float) -> None:
        """Note that these runs (to their tenants, as in `Ear.take`) pinged; moments never go back."""
        calls = {tenant: (moment, tenant) for tenant in set(heard.values())}  # one object a tenant
        roll = self._heard
        to_the_end = roll.move_to_end
        for run, tenant in heard.items():
            roll[run] = calls[tenant]
            to_the_end(run)

    def was_heard(self, run: UUID, tenant: UUID, *, after: float) -> bool:
        """Whether the tenant's run pinged after that moment. What another tenant says of it is no sign of life."""
        moment, speaker = self._heard.get(str(run).encode(), (after, b""))
        return moment > after and speaker == str(tenant).encode()

    def take_silent(self, since: float, *, limit: int) -> list[UUID]:
        """Strike out, and return, at most so many that were not heard after `since`, the longest silent first."""
        silent: list[UUID] = []
        while self._heard and len(silent) < limit:
            run, (moment, _) = next(iter(self._heard.items()))
            if moment > since:
                break
            del self._heard[run]
            silent.append(UUID(run.decode()))
        return silent

    def strike(self, run: UUID) -> None:
        """Forget a run that is of no interest any more."""
        self._heard.pop(str(run).encode(), None)

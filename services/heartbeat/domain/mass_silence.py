"""When so many runs are silent that the fault is likely between them and us. Pure.

Judged by tenant, so that no tenant's outage delays another's zombies, and none is hidden by many healthy ones. A tenant
with many runs is a group of its own; all smaller ones together are one group.

A tenant is given as the first 16 bytes of its runs' keys (`last_heard.key_of`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.heartbeat.domain.judgement import Hold, is_mass_silence

_SMALL = b""
"""The group of all tenants with too few runs for a group of their own."""
_TENANT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """Numbers of runs by tenant: `guarded` in the tables; `known` in memory; `silent`: known ones that missed a
    ping."""

    guarded: Mapping[bytes, int]
    known: Mapping[bytes, int]
    silent: Mapping[bytes, int]

    def large(self, least: int) -> frozenset[bytes]:
        """Tenants with so many guarded runs that each is a group."""
        return frozenset(tenant for tenant, count in self.guarded.items() if count >= least)

    def silent_groups(self, *, least: int, share: float) -> set[bytes]:
        """The groups in which fewer than `share` ping."""
        large = self.large(least)
        silent = {tenant for tenant in large if self._is_mass({tenant}, least, share)}
        small = (self.guarded.keys() | self.known.keys()) - large
        # When every large tenant is silent, a small one that is silent, too, is no coincidence.
        if self._is_mass(small, 1 if large and large == silent else least, share):
            silent.add(_SMALL)
        return silent

    def _is_mass(self, tenants: set[bytes], least: int, share: float) -> bool:
        return is_mass_silence(
            guarded=_sum(self.guarded, tenants),
            silent=_sum(self.silent, tenants),
            known=_sum(self.known, tenants),
            least=least,
            share=share,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldGroups:
    """The groups whose silences are held back now."""

    groups: frozenset[bytes] = frozenset()
    large: frozenset[bytes] = frozenset()

    def __contains__(self, key: object) -> bool:
        """Whether the run of this key is not judged now."""
        if not isinstance(key, bytes):
            return False
        tenant = key[:_TENANT]
        return (tenant if tenant in self.large else _SMALL) in self.groups


@dataclass(slots=True)
class Holds:
    """Each group is held once, for one silence and one more for who is heard late, and not for ever."""

    _by_group: dict[bytes, Hold] = field(default_factory=dict)

    def look(
        self, counts: RunCounts, *, least: int, share: float, now: float, silence: float
    ) -> HeldGroups:
        """The groups to hold back, by these counts."""
        silent = counts.silent_groups(least=least, share=share)
        looked = {
            group: self._by_group.get(group, Hold()).look(
                is_mass=group in silent, now=now, silence=silence
            )
            for group in silent | self._by_group.keys()
        }
        self._by_group = {group: hold for group, hold in looked.items() if hold.begun is not None}
        groups = (g for g, hold in self._by_group.items() if hold.holds(now=now, silence=silence))
        return HeldGroups(groups=frozenset(groups), large=counts.large(least))


def _sum(counts: Mapping[bytes, int], tenants: set[bytes]) -> int:
    return sum(counts.get(tenant, 0) for tenant in tenants)

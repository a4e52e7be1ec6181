"""What a tenant feels while another attacks: `python -m tests.bench.hostile`.

Each attack of `tests/support/hostile.py` for some seconds (`--seconds 60`), beside it a victim of another tenant.
Wanted are a p99 of 100 ms for single transitions and 250 ms for one-row reads, and at most 512 MB of the gateway.
"""

import argparse
import tempfile
from pathlib import Path

import uvloop

from tests.support.hostile import ATTACKS, MEGABYTE, a_world, felt_under


async def main(*, seconds: float, only: list[str]) -> None:
    """One line for each attack, and one for nobody's."""
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder:
        Path(folder).chmod(0o711)
        async with a_world(Path(folder)) as world:
            await felt_under(world, None, each=5)
            for name, attack in {"nobody attacks": None, **ATTACKS}.items():
                if only and not any(word in name for word in only):
                    continue
                felt = await felt_under(world, attack, at_least=seconds)
                print(
                    f"{name:<24} p99 of transitions {1000 * felt.transition_p99:7,.0f} ms, of reads"
                    f" {1000 * felt.read_p99:7,.0f} ms; gateway {felt.peak_memory / MEGABYTE:4,.0f} MB"
                    f"{'' if felt.same_processes else '; SOMETHING WAS RESTARTED'}",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    uvloop.run(main(seconds=given.seconds, only=given.only))

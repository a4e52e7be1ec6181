"""Run the benchmarks: `make bench`, or `make bench only=registry`. Each is a module here and a process of its own."""

import subprocess
import sys
from pathlib import Path


def names() -> list[str]:
    """Every benchmark that can be run by itself."""
    modules = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    return [module.stem for module in modules if "__main__" in module.read_text()]


def main(wanted: list[str]) -> int:
    """Run those, or all; 1 if one failed or is not there."""
    if unknown := set(wanted) - set(names()):
        print(
            f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names())}."
        )
        return 1
    failed = []
    for name in wanted or names():
        print(f"\n--- {name} ---", flush=True)
        ended = subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False)  # noqa: S603 - our own module
        if ended.returncode != 0:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

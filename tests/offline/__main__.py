"""`python -m tests.offline up | build | images | down`."""

import sys

from deploy.say import complain
from tests.offline.daemon import NoDockerError, docker, keep, stop
from tests.offline.image import build, size_mb
from tests.offline.stand_ins import provide, provide_postgres_with_tls, provide_prefect

_USAGE = "usage: python -m tests.offline up | build | images | down"


def main(arguments: list[str]) -> None:
    """Do one of the four; 0, or 1 and a sentence."""
    match arguments:
        case ["down"]:
            stop()
        case ["images"]:
            found = docker()
            try:
                provide_postgres_with_tls(found, _tell)
                provide_prefect(found, _tell)
                build(found, "headwater:latest", tell=_tell)
                # What each step of the image weighs, where CI's readers see it.
                _tell(
                    found.run(
                        "history", "--format", "{{.Size}}\t{{.CreatedBy}}", "headwater:latest"
                    )
                )
                _tell(f"headwater:latest: {size_mb(found, 'headwater:latest'):.0f} MB")
            finally:
                found.stop()
        case ["up"] | ["build"]:
            found = docker()
            if found.is_ours:
                keep()
            provide(found, _tell)
            if arguments == ["build"]:
                build(found, "headwater:latest", tell=_tell)
            for name, value in found.environment.items():
                sys.stdout.write(f"export {name}={value}\n")
        case _:
            sys.stderr.write(_USAGE + "\n")
            raise SystemExit(2)


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except NoDockerError as error:
        complain(error)

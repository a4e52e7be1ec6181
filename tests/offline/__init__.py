"""Docker where nothing can be pulled: a daemon if none answers, and stand-ins for the public base images.

    python -m tests.offline up        start what is missing; prints `export DOCKER_HOST=...` where a daemon was started
    python -m tests.offline images    make what the tests of the containers need, and leave no daemon behind
    python -m tests.offline down      end the daemon that `up` started
    python -m tests.offline build     up, and Headwater's image

Purpose
    The tests of `docker-compose.yml` must really run it, also where no registry of images can be reached. Elsewhere the
    same tests use the public images, which are tried first.

Owns
    The folder HEADWATER_OFFLINE (by default `headwater/offline` in the user's cache): the daemon's images, socket and
    log, the wheels and the Debian root file system that the stand-ins are made of. Delete it to start anew.

Guarantees
    * A daemon that answers already is used as it is, and never stopped. A started one is ours only: own socket, own
      images, own pid file. Processes may share it; the last to leave ends it, unless `up` was asked for. What a killed
      run left in it (containers, networks, volumes, the daemon itself) is removed by the next.
    * A stand-in has the public image's name, places and variables, as far as Headwater uses them, and the same
      programs: PostgreSQL 18 and nats-server 2.15 from the wheels of the lock, Python 3.11 and HAProxy 2.6 of Debian.
    * An image that is there already under that name is used; a stand-in is made again when what it is made of changed.

Will not do
    Start Docker without root, or on anything but a Debian with its package archive within reach: it says so, once, as
    `NoDockerError`.
"""

from tests.offline.daemon import Docker, NoDockerError, docker
from tests.offline.stand_ins import provide

__all__ = ["Docker", "NoDockerError", "docker", "provide"]

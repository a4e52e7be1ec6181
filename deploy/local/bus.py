"""Who may log in to the embedded nats-server.

With API keys on, they are those of the containers: a user for each service with the permissions of
`deploy/nats_users.py`, and agents with their API keys, about which nats-server asks the gateway. With keys off it is
the one user of `deploy/engines/nats.py`, since everybody on this machine may do everything by the API too.

All that is drawn for it is in the data folder's secrets, under names that begin with `nats`.
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from deploy.containers.write_env import issuer_of
from deploy.engines import DataFolder
from deploy.nats_users import ISSUER_VARIABLE, User, configuration, users

_SECRETS = "nats"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedBus:
    """The users, their passwords, and the seed of the key that the gateway signs agents' log-ins with."""

    users: tuple[User, ...]
    passwords: Mapping[str, str]
    issuer_seed: str

    @classmethod
    def of(cls, folder: DataFolder, everybody: Iterable[User] | None = None) -> Self:
        """The services and the provisioner, or the users in `everybody`; passwords are drawn at the first asking."""
        found = users() if everybody is None else tuple(everybody)
        return cls(
            users=found,
            passwords={user.name: folder.secret(f"{_SECRETS}.{user.name}") for user in found},
            issuer_seed=folder.secret(f"{_SECRETS}.issuer_seed", draw=_seed),
        )

    @property
    def authorization(self) -> str:
        """nats-server's configuration of them. It takes variables from its file as it does from its environment."""
        variables = {user.password_variable: self.passwords[user.name] for user in self.users}
        variables[ISSUER_VARIABLE] = issuer_of(bytes.fromhex(self.issuer_seed))
        head = "".join(f"{name}: {json.dumps(value)}\n" for name, value in variables.items())
        return head + configuration(self.users)


def forget(folder: DataFolder) -> int:
    """Have all passwords of nats-server's users drawn anew at the next start; returns how many there were."""
    return folder.forget_secrets(_SECRETS)


def _seed() -> str:
    return secrets.token_hex(32)

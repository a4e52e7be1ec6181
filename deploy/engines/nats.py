"""nats-server with JetStream: its configuration, its command, its readiness."""

import asyncio
import json
import signal
from dataclasses import dataclass
from pathlib import Path

from deploy.engines.account import Account
from deploy.engines.errors import explain_os_error
from deploy.engines.folder import write_private

USER = "headwater"

_CONFIGURATION = """\
# Written by Headwater at every start of nats-server.
server_name: headwater
listen: "127.0.0.1:{port}"
# A serialized flow may be 16 MB; JSON escapes and a batch need headroom.
max_payload: 33554432
max_pending: 134217728
write_deadline: "10s"
jetstream {{
  max_memory_store: 268435456
  max_file_store: 34359738368
}}
{authorization}"""
_ONE_USER = """\
authorization {{
  users: [ {{ user: {user}, password: {password} }} ]
}}
"""


def one_user(password: str) -> str:
    """The configuration of the one user, who may do everything."""
    return _ONE_USER.format(user=USER, password=json.dumps(password))


@dataclass(slots=True, kw_only=True)
class Nats:
    """A `program.Program`."""

    binary: Path
    store: Path
    account: Account | None
    authorization: str
    """The part of its configuration that says who may log in."""
    name: str = "nats"
    death_signal: signal.Signals = signal.SIGTERM
    stop_signals: tuple[tuple[signal.Signals, float], ...] = (
        (signal.SIGTERM, 5.0),
        (signal.SIGKILL, 2.0),
    )

    async def prepare(self) -> None:
        """Make the folder of the store."""
        try:
            self.store.mkdir(exist_ok=True, mode=0o700)
            if self.account is not None and not self.account.owns(self.store):
                # Also for files that an older Headwater's engines made as `nobody`.
                self.account.take(self.store)
        except OSError as error:
            raise explain_os_error(error, path=self.store, wanted="create") from None

    def before_start(self, port: int) -> None:
        """Write the configuration for this port."""
        text = _CONFIGURATION.format(
            port=port,
            authorization=self.authorization,
        )
        write_private(self._configuration, text, owner=self.account)

    def command(self, port: int) -> list[str]:
        """The server; the store is named for `spawn.end_orphan`, the rest is in the file."""
        return [
            str(self.binary),
            *("--config", str(self._configuration)),
            *("--store_dir", str(self.store)),
        ]

    async def is_ready(self, port: int, pid: int) -> bool:
        """The greeting comes once JetStream has recovered its streams."""
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    greeting = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
        return greeting.startswith(b"INFO ") and b'"jetstream":true' in greeting

    @property
    def _configuration(self) -> Path:
        return self.store.with_name("nats.conf")

"""Three nats-server nodes that are one cluster, with the users and permissions of production; each can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.engines.programs import nats_server_binary
from deploy.nats_users import ISSUER_VARIABLE, configuration, users
from services.gateway.agent_login import Issuer
from tests.support.engines import make_folder
from tests.support.eventually import eventually
from tests.support.guarded_nats import ISSUER_SEED, password_of
from tests.support.ports import free_port

# 10 GiB: what the declared streams reserve on each node.
_CONFIGURATION = """\
server_name: {name}
listen: "127.0.0.1:{port}"
max_payload: 33554432
jetstream {{ store_dir: {store}, max_file_store: 10737418240, max_memory_store: 268435456 }}
cluster {{
  name: headwater
  listen: "127.0.0.1:{route}"
  routes: [{routes}]
}}
include "./users.conf"
"""
UP_WITHIN = 60.0


@dataclass(slots=True, kw_only=True)
class Node:
    """One server, started again on the same port and store after each kill."""

    name: str
    port: int
    folder: Path
    variables: Mapping[str, str]
    process: Process | None = None

    @property
    def log(self) -> Path:
        """What it said since it was started first."""
        return self.folder / "log"

    async def start(self) -> None:
        """Start it; `until_up` waits."""
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *(str(nats_server_binary(None)), "--config", str(self.folder / "nats.conf")),
                env=os.environ | self.variables,
                stdout=output,
                stderr=output,
            )

    async def until_up(self) -> None:
        """Return when it lets clients in."""
        await eventually(self._greets, timeout=UP_WITHIN, pause=0.1)

    async def kill(self) -> None:
        """As a power cut would."""
        if self.process is not None:
            if self.process.returncode is None:
                self.process.kill()
            await self.process.wait()
            self.process = None

    async def _greets(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, self.log.read_text()[-4000:]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        greeting = await reader.readline()
        writer.close()
        return b'"jetstream":true' in greeting


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsCluster:
    """The nodes. `url` names them all, as a deployment would."""

    nodes: tuple[Node, ...]

    def url(self, user: str) -> str:
        """The setting of one of its users: the log-in once, and every node."""
        places = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"nats://{user}:{password_of(user)}@{places}"

    def url_of(self, node: Node, user: str) -> str:
        """The address of one node alone."""
        return f"nats://{user}:{password_of(user)}@127.0.0.1:{node.port}"


@asynccontextmanager
async def nats_cluster(size: int = 3) -> AsyncIterator[NatsCluster]:
    """A running cluster; gone afterwards."""
    everybody = users()
    variables = {
        user.password_variable: json.dumps(password_of(user.name)) for user in everybody
    } | {ISSUER_VARIABLE: Issuer(ISSUER_SEED).public}
    ports = [(free_port(), free_port()) for _ in range(size)]
    routes = ", ".join(json.dumps(f"nats://127.0.0.1:{route}") for _, route in ports)
    nodes: list[Node] = []
    for number, (port, route) in enumerate(ports):
        folder, name = make_folder(), f"node-{number}"
        (folder / "users.conf").write_text(configuration(everybody))
        (folder / "nats.conf").write_text(
            _CONFIGURATION.format(
                name=name,
                port=port,
                route=route,
                routes=routes,
                store=json.dumps(str(folder / "store")),
            )
        )
        nodes.append(Node(name=name, port=port, folder=folder, variables=variables))
    cluster = NatsCluster(nodes=tuple(nodes))
    try:
        for node in nodes:
            await node.start()
        for node in nodes:
            await node.until_up()
        yield cluster
    finally:
        for node in nodes:
            await node.kill()
            shutil.rmtree(node.folder, ignore_errors=True)

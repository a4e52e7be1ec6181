"""Bring NATS to the current streams and durable consumers of `libs/contracts/streams.py`. `python -m deploy.provision`.

The only creator: services never declare one, because two different declarations would overwrite each other. Idempotent:
existing ones are updated in place and keep their messages. A durable that is no longer declared is removed, because on
a work queue it would keep its share of the messages for ever. So are the streams of earlier releases in
`streams.RETIRED`, and no others: each had hints only, and services of that release judge no run without it.

Temporary problems (an election in a cluster, nodes that are still starting, a lost connection) are waited for. Others
are reported stream by stream, and the rest is made all the same; services whose streams or durables are missing say so
on `/ready`.
"""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.engines import EngineError
from deploy.say import complain
from libs.contracts.streams import ALL, RETIRED, Durable, Retention, Stream
from libs.contracts.subjects import inbox_of
from libs.runtime.nats.address import NatsAddress, nats_address
from libs.runtime.settings import NatsUrl

_POLL = 0.2  # seconds between two tries to reach NATS
_AGAIN = 1.0  # seconds between two tries to make what a cluster cannot provide yet
_NO_PEERS = 10005  # nats-server's code: too few nodes, or too little room on them
_UNAVAILABLE = 503
_GIB = 1 << 30
# Seconds; nats-py waits for ever when the server's certificate is not trusted.
_CONNECT_WITHIN = 5.0


class ProvisionSettings(BaseSettings):
    """The settings of the provisioner."""

    model_config = SettingsConfigDict(env_prefix="HEADWATER_", frozen=True, extra="ignore")

    nats_url: NatsUrl = Field(
        description="nats://user:password@host:port, with more nodes of a cluster as ,host:port"
    )
    nats_tls_ca: str | None = Field(default=None, description="CA file when NATS speaks TLS")
    nats_replicas: int = Field(default=1, ge=1, le=5, description="3 on a cluster of three")
    provision_wait: timedelta = Field(
        default=timedelta(seconds=60), description="how long NATS may take to come up"
    )


async def provision(
    url: str,
    *,
    streams: Iterable[Stream] = ALL,
    replicas: int = 1,
    wait: timedelta = timedelta(seconds=60),
    tls_ca: str | None = None,
) -> None:
    """Create or update every stream and durable. Raises `EngineError` when it cannot, and names what is missing."""
    wanted = tuple(streams)
    address = nats_address(url)
    deadline = asyncio.get_running_loop().time() + wait.total_seconds()
    while True:
        client = await _connect(address, deadline=deadline, tls_ca=tls_ca)
        try:
            failures = await _attempt(client, wanted, replicas)
        finally:
            await _close(client)
        if not failures:
            return
        passes = all(map(_passes, failures.values()))
        if not passes or asyncio.get_running_loop().time() > deadline:
            raise EngineError(_refusal(failures, wanted, replicas))
        await asyncio.sleep(_AGAIN)


async def _attempt(
    client: Client, streams: Sequence[Stream], replicas: int
) -> dict[str, BaseException]:
    """Make everything possible; returns the errors, by stream."""
    js = client.jetstream(timeout=10)
    outcomes = await asyncio.gather(
        *(_provision(js, stream, replicas) for stream in streams), return_exceptions=True
    )
    retired = await asyncio.gather(*(_retire(js, name) for name in RETIRED), return_exceptions=True)
    names = (*(stream.name for stream in streams), *RETIRED)
    failures = {
        name: outcome
        for name, outcome in zip(names, (*outcomes, *retired), strict=True)
        if isinstance(outcome, BaseException)
    }
    for error in failures.values():
        if not isinstance(error, nats.errors.Error | TimeoutError | OSError):
            raise error
    return failures


def _passes(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, nats.js.errors.APIError):
        return error.code == _UNAVAILABLE or error.err_code == _NO_PEERS
    return True


def _refusal(failures: dict[str, BaseException], streams: Sequence[Stream], replicas: int) -> str:
    said = "; ".join(f"{name}: {error or type(error).__name__}" for name, error in failures.items())
    text = f"NATS refuses what Headwater needs: {said}."
    if any(getattr(error, "err_code", None) == _NO_PEERS for error in failures.values()):
        room = sum(max(stream.max_bytes, 0) for stream in streams) / _GIB
        text += (
            f" Each of {replicas} nodes needs room for {room:.2f} GiB and more (max_file_store of its jetstream block);"
            " HEADWATER_NATS_REPLICAS is how many copies are kept."
        )
    if kept := [name for name in RETIRED if name in failures]:
        # Requests that permissions forbid get no answer.
        text += (
            f" {' and '.join(kept)} must go: agents of any tenant could write into it. The present nats-users.conf in"
            " nats-server lets the provisioner remove it."
        )
    there = sum(stream.name not in failures for stream in streams)
    return f"{text} {there} of {len(streams)} streams are there; mend this and provision again."


def stream_config(stream: Stream, *, replicas: int = 1) -> StreamConfig:
    """The declaration in nats-py's types."""
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=_RETENTION[stream.retention],
        # Normally the newest messages matter most: a full stream drops its oldest instead of refusing a write.
        discard=DiscardPolicy.NEW if stream.refuses_when_full else DiscardPolicy.OLD,
        max_age=stream.max_age.total_seconds(),
        max_bytes=stream.max_bytes,
        max_msgs_per_subject=stream.max_msgs_per_subject,
        duplicate_window=stream.duplicate_window.total_seconds(),
        storage=StorageType.MEMORY if stream.memory else StorageType.FILE,
        allow_direct=True,
        num_replicas=replicas,
    )


def consumer_config(durable: Durable) -> ConsumerConfig:
    """The declaration in nats-py's types."""
    return ConsumerConfig(
        durable_name=durable.name,
        filter_subject=durable.filter,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=durable.ack_wait.total_seconds(),
        max_ack_pending=durable.max_ack_pending,
        # Unlimited here: `durable.max_deliver` is counted by the Bus, which puts poison messages into the DLQ. The
        # broker would only stop delivering, and would count the deliveries of an outage too.
        max_deliver=-1,
    )


_RETENTION = {
    Retention.LIMITS: RetentionPolicy.LIMITS,
    Retention.WORK_QUEUE: RetentionPolicy.WORK_QUEUE,
}


async def _provision(js: JetStreamContext, stream: Stream, replicas: int) -> None:
    config = stream_config(stream, replicas=replicas)
    try:
        await js.stream_info(stream.name)
    except nats.js.errors.NotFoundError:
        await js.add_stream(config)
    else:
        await js.update_stream(config)
    declared = {durable.name for durable in stream.durables}
    for name in await _durables(js, stream.name):
        if name not in declared:
            await js.delete_consumer(stream.name, name)
    for durable in stream.durables:
        await js.add_consumer(stream.name, consumer_config(durable))  # creates or updates


async def _retire(js: JetStreamContext, name: str) -> None:
    try:
        await js.stream_info(name)
    except nats.js.errors.NotFoundError:
        return
    await js.delete_stream(name)


async def _durables(js: JetStreamContext, stream: str) -> list[str]:
    return [
        info.config.durable_name
        for info in await js.consumers_info(stream)
        if info.config.durable_name
    ]


async def _connect(address: NatsAddress, *, deadline: float, tls_ca: str | None) -> Client:
    options: dict[str, Any] = address.options()
    if tls_ca is not None:
        try:
            options["tls"] = ssl.create_default_context(cafile=tls_ca)
        except OSError as error:
            msg = f"HEADWATER_NATS_TLS_CA: {tls_ca} cannot be used ({error.strerror or error})."
            raise EngineError(msg) from None
    while True:
        client = Client()
        try:
            async with asyncio.timeout(_CONNECT_WITHIN):
                await client.connect(
                    name="headwater-provision",
                    inbox_prefix=inbox_of("provision"),
                    **options,
                    connect_timeout=2,
                    allow_reconnect=False,
                    # The waiting is done here; nats-py would try 60 times with 2 s between, and log each.
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    error_cb=_ignore,
                )
        except (
            nats.errors.NoServersError,
            OSError,
            TimeoutError,
            nats.errors.TimeoutError,
        ) as error:
            if asyncio.get_running_loop().time() > deadline:
                msg = f"NATS at {address.hosts} does not answer ({error}); start it or correct HEADWATER_NATS_URL."
                raise EngineError(msg) from None
            await _close(client)
            await asyncio.sleep(_POLL)
        except nats.errors.Error as error:
            await _close(client)
            msg = f"NATS at {address.hosts} refuses the connection ({error}); correct HEADWATER_NATS_URL."
            raise EngineError(msg) from None
        else:
            return client


async def _close(client: Client) -> None:
    """Close a connection that may be half open; that can hang too."""
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await client.close()


async def _ignore(_: Exception) -> None:
    """Errors are raised too."""


def main() -> None:
    """Provision what the environment names."""
    try:
        settings = ProvisionSettings()
    except ValidationError as error:
        complain(error)
    try:
        asyncio.run(
            provision(
                settings.nats_url,
                replicas=settings.nats_replicas,
                wait=settings.provision_wait,
                tls_ca=settings.nats_tls_ca,
            )
        )
    except EngineError as error:
        complain(error)
    print(f"provisioned {len(ALL)} streams")  # noqa: T201 - the answer of a command


if __name__ == "__main__":
    main()

"""The gateway's settings."""

import ipaddress
import re
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from libs.runtime.nats.address import nats_address
from libs.runtime.settings import PingSettings
from services.gateway.oidc_settings import SingleSignOnSettings

PEPPER_BYTES = 16
_SEED = re.compile(r"[0-9a-fA-F]{64}")


class GatewaySettings(SingleSignOnSettings, PingSettings):
    """HTTP, limits and the read-only role, each with unit, default and reason."""

    reader_postgres_url: str = Field(
        description="postgresql:// URL of the read-only role that compiled queries run as"
    )
    reader_pool_size: int = Field(default=8, ge=1, description="root fields of queries run at once")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=4200, ge=0, le=65535, description="Prefect Server's port")
    body_limit: int = Field(
        default=16 << 20, ge=1024,
        description="bytes; clients send log batches of 4 MB and whole flows",
    )  # fmt: skip
    answer_limit: int = Field(
        default=32 << 20, ge=64 << 10,
        description="bytes of the answers to one request; of all that wait to be taken, three times as much is kept",
    )  # fmt: skip
    connections: int = Field(
        default=8_000, ge=64,
        description="connections open at once; fewer where the system allows few file descriptors",
    )  # fmt: skip
    connections_per_address: int = Field(
        default=1_000, ge=0,
        description="connections of one address that have shown no valid key yet; 0: no such limit, for a proxy,"
        " whose address all clients share",
    )  # fmt: skip
    document_cache: int = Field(
        default=2000,
        ge=1,
        description="GraphQL documents kept in each cache: parsed, compiled, and as plans of mutations",
    )
    document_cache_bytes: int = Field(
        default=32 << 20, ge=1 << 20,
        description="estimated bytes of each of these caches; the least recently used goes first",
    )  # fmt: skip
    cors_origins: list[str] | None = Field(
        default=None,
        description="origins of web pages that may call, as JSON; None: all, and only those of this machine while keys"
        " are off",
    )
    auth: Literal["required", "off"] = Field(
        default="required",
        description="API keys; `off` is accepted on a loopback address only",
    )
    key_pepper: SecretStr = Field(
        description="secret that API keys are hashed and secrets sealed with; 16 characters or more"
    )
    bootstrap_key: SecretStr | None = Field(
        default=None,
        description="text of the first administrator's key, made when there is no key at all",
    )
    nats_issuer_seed: SecretStr | None = Field(
        default=None,
        description="64 hexadecimal digits; the key that agents' log-ins to NATS are signed with. None: they need users"
        " in nats-server's configuration",
    )
    nats_public_url: str = Field(
        default="",
        description="where agents reach NATS, without a log-in: nats://host:port, tls://h1:4222,h2:4222. The API tells"
        " it to agents. Empty: it tells nothing, and agents need the address",
    )
    nats_login_lifetime: timedelta = Field(
        default=timedelta(minutes=2),
        description="how long a log-in of an agent to NATS is valid; then it shows its key again, so a revoked key"
        " stays connected for this long at most",
    )
    log_copies_tick: timedelta = Field(
        default=timedelta(seconds=0.5),
        description="how often to check which log lines the ledger has stored; most are stored within a second",
    )
    bulk_tick: timedelta = Field(
        default=timedelta(seconds=5),
        description="how often to take over bulk requests of gateways that have died, and to delete old ones",
    )
    bulk_retention: timedelta = Field(
        default=timedelta(days=7),
        description="how long results of bulk requests can be read, and a repeated request key is recognised",
    )
    public_url: str = Field(
        default="",
        description="where people reach this gateway, with the path that a proxy puts before, if any:"
        " https://hw.example.com/tools/hw. Empty: at the root, wherever they came from",
    )
    event_streams: int = Field(
        default=2_000, ge=1, description="event streams open at once; each is one connection",
    )  # fmt: skip
    event_streams_per_key: int = Field(
        default=100, ge=1,
        description="event streams of one key, or of one tenant while keys are off; a browser needs one for all pages",
    )  # fmt: skip
    event_window: int = Field(
        default=20_000, ge=1,
        description="events kept for clients that reconnect; at 100/s this is three minutes, and 10 MB",
    )  # fmt: skip
    event_tick: timedelta = Field(
        default=timedelta(seconds=0.5),
        description="how often the keys of open event streams are checked, and whether events arrive",
    )
    watched_folder: Path | None = Field(
        default=None,
        description="folder of the engines' data, if it is on this machine: the free space of its disk is reported",
    )
    health_tick: timedelta = Field(
        default=timedelta(seconds=5), description="how often PostgreSQL, NATS and the disk are checked",
    )  # fmt: skip
    queue_limit: int = Field(default=25, ge=1, le=500, description="runs handed to an agent a poll")

    @model_validator(mode="after")
    def _check_authentication(self) -> Self:
        if self.auth == "off" and not _is_loopback(self.host):
            msg = (
                f"HEADWATER_AUTH=off is only for a loopback address, and HEADWATER_HOST is {self.host}:"
                " everybody who reaches the port could do everything. Set HEADWATER_AUTH=required"
            )
            raise ValueError(msg)
        if self.auth == "off" and "*" in (self.cors_origins or ()):
            msg = (
                "HEADWATER_CORS_ORIGINS is *, and HEADWATER_AUTH=off: every web page that somebody opens here"
                " could do everything. Name the origins, or set HEADWATER_AUTH=required"
            )
            raise ValueError(msg)
        if len(self.pepper) < PEPPER_BYTES:
            msg = (
                f"HEADWATER_KEY_PEPPER must be a secret of at least {PEPPER_BYTES} characters that stays the same:"
                " API keys are hashed and secrets are sealed with it"
            )
            raise ValueError(msg)
        if self.nats_public_url and _login_in(self.nats_public_url):
            msg = "HEADWATER_NATS_PUBLIC_URL has a log-in: agents have their own, so name only the hosts"
            raise ValueError(msg)
        self._check_log_in()
        seed = self.nats_issuer_seed
        if seed is not None and not _SEED.fullmatch(seed.get_secret_value()):
            msg = "HEADWATER_NATS_ISSUER_SEED must be 64 hexadecimal digits; `make env` draws one"
            raise ValueError(msg)
        return self

    def _check_log_in(self) -> None:
        if self.oidc_issuer is None:
            return
        if self.auth == "off":
            msg = "HEADWATER_AUTH=off, so there is nothing to log in to: leave HEADWATER_OIDC_ISSUER out"
            raise ValueError(msg)
        if not self.public_url.startswith(("https://", "http://")):
            msg = (
                "HEADWATER_PUBLIC_URL is missing: with HEADWATER_OIDC_ISSUER the provider sends people back to it,"
                " for example https://hw.example.com"
            )
            raise ValueError(msg)

    @property
    def keys_required(self) -> bool:
        """Whether callers must show a key."""
        return self.auth == "required"

    @property
    def page_origins(self) -> list[str]:
        """Origins of web pages that may call; beside those of this machine, where keys are off."""
        if self.cors_origins is not None:
            return self.cors_origins
        return ["*"] if self.keys_required else []

    @property
    def pepper(self) -> bytes:
        """The secret of the keyed hash."""
        return self.key_pepper.get_secret_value().encode()


def _login_in(url: str) -> bool:
    try:
        return nats_address(url).user is not None
    except ValueError as error:
        msg = f"HEADWATER_NATS_PUBLIC_URL: {error}"
        raise ValueError(msg) from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

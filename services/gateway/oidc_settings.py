"""Settings of the log-in with OpenID Connect: none of them, or at least the issuer and the client."""

import ipaddress
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from services.gateway.roles import Role


class SingleSignOn(BaseModel):
    """What the operator said of the provider."""

    issuer: str
    client_id: str
    client_secret: SecretStr | None
    client_secret_file: Path | None
    scopes: list[str]
    name: str
    domains: dict[str, Role]
    tenant: str | None

    def secret(self) -> str | None:
        """The client's secret, read anew each time so that it can be changed; None for a public client."""
        if self.client_secret_file is None:
            kept = self.client_secret
            return None if kept is None else kept.get_secret_value()
        return self.client_secret_file.read_text().strip()


class SingleSignOnSettings(BaseModel):
    """`HEADWATER_OIDC_*`; a part of the gateway's settings."""

    oidc_issuer: str | None = Field(
        default=None,
        description="the provider's address, exactly as it calls itself: https://login.example.org. None: people log in"
        " with keys only",
    )
    oidc_client_id: str | None = Field(
        default=None, description="what the provider calls this gateway"
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None,
        description="the secret that the provider gave; None for a public client, which PKCE alone protects",
    )
    oidc_client_secret_file: Path | None = Field(
        default=None, description="file with this secret, in place of it; it is read at each log-in"
    )
    oidc_scopes: list[str] = Field(
        default=["openid", "email", "profile"],
        description="what the provider is asked for, as JSON; openid and email are needed",
    )
    oidc_name: str = Field(
        default="single sign-on", min_length=1, max_length=60,
        description="what people call the provider; on the button `Log in with ...`",
    )  # fmt: skip
    oidc_domains: dict[str, Role] = Field(
        default={},
        description="the role of people who come without an invitation, by the domain of their address, as JSON:"
        ' {"example.org": "read_only"}. Others need an invitation',
    )
    oidc_tenant: str | None = Field(
        default=None,
        description="slug of the tenant that people of these domains enter; None: the first tenant",
    )

    @field_validator(
        "oidc_issuer",
        "oidc_client_id",
        "oidc_client_secret",
        "oidc_client_secret_file",
        "oidc_tenant",
        mode="before",
    )
    @classmethod
    def _none_for_empty(cls, given: object) -> object:
        """Compose passes on as empty what the operator did not set."""
        return None if given == "" else given

    @model_validator(mode="after")
    def _check_single_sign_on(self) -> Self:
        if self.oidc_issuer is None:
            if self.oidc_client_id or self.oidc_domains:
                msg = "HEADWATER_OIDC_ISSUER is missing: the other HEADWATER_OIDC_* settings mean nothing without it"
                raise ValueError(msg)
            return self
        parts = urlsplit(self.oidc_issuer)
        if parts.scheme != "https" and not (
            parts.scheme == "http" and _is_loopback(parts.hostname)
        ):
            msg = f"HEADWATER_OIDC_ISSUER is {self.oidc_issuer}: it must begin with https://, or be on this machine"
            raise ValueError(msg)
        if not self.oidc_client_id:
            msg = "HEADWATER_OIDC_CLIENT_ID is missing: the provider knows this gateway by it"
            raise ValueError(msg)
        if not {"openid", "email"} <= set(self.oidc_scopes):
            msg = "HEADWATER_OIDC_SCOPES must have openid and email"
            raise ValueError(msg)
        secret = self.oidc_client_secret_file
        if secret is not None and not secret.is_file():
            msg = f"HEADWATER_OIDC_CLIENT_SECRET_FILE is {secret}: there is no such file"
            raise ValueError(msg)
        return self

    @property
    def single_sign_on(self) -> SingleSignOn | None:
        """All of them; None when people log in with keys only."""
        if self.oidc_issuer is None or self.oidc_client_id is None:
            return None
        return SingleSignOn(
            issuer=self.oidc_issuer,
            client_id=self.oidc_client_id,
            client_secret=self.oidc_client_secret,
            client_secret_file=self.oidc_client_secret_file,
            scopes=self.oidc_scopes,
            name=self.oidc_name,
            domains={name.lower(): role for name, role in self.oidc_domains.items()},
            tenant=self.oidc_tenant,
        )


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False

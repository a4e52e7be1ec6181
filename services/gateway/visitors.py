"""Who comes from an OpenID Connect provider. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A person that the provider vouches for: known by issuer and subject; `email` is verified."""

    issuer: str
    subject: str
    email: str
    name: str

"""Which settings of the log-in with OpenID Connect fit together."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from services.gateway.oidc_settings import SingleSignOnSettings
from services.gateway.settings import GatewaySettings

GOOD: dict[str, Any] = {"oidc_issuer": "https://login.example", "oidc_client_id": "headwater"}
URLS: dict[str, Any] = {
    "postgres_url": "postgresql://gateway@127.0.0.1/hw",
    "reader_postgres_url": "postgresql://reader@127.0.0.1/hw",
    "nats_url": "nats://127.0.0.1:4222",
    "key_pepper": SecretStr("a pepper for tests"),
}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"oidc_client_id": "headwater"}, "HEADWATER_OIDC_ISSUER is missing"),
        ({"oidc_domains": {"example.org": "user"}}, "HEADWATER_OIDC_ISSUER is missing"),
        ({"oidc_issuer": "https://login.example"}, "HEADWATER_OIDC_CLIENT_ID is missing"),
        ({**GOOD, "oidc_issuer": "http://login.example"}, "must begin with https://"),
        ({**GOOD, "oidc_issuer": "login.example"}, "must begin with https://"),
        ({**GOOD, "oidc_scopes": ["openid"]}, "HEADWATER_OIDC_SCOPES must have openid and email"),
        ({**GOOD, "oidc_client_secret_file": "/nowhere/at-all"}, "there is no such file"),
        ({**GOOD, "oidc_domains": {"example.org": "owner"}}, "oidc_domains"),
    ],
)
def test_what_is_missing_or_wrong_is_named(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SingleSignOnSettings(**given)


def test_without_any_of_them_people_have_keys_only() -> None:
    # As Compose passes on what is not set.
    assert SingleSignOnSettings(oidc_issuer="", oidc_client_id="").single_sign_on is None


def test_the_secret_is_one_of_a_file_or_none(tmp_path: Path) -> None:
    kept = tmp_path / "secret"
    kept.write_text("from the file\n")

    def secret(**given: Any) -> str | None:
        found = SingleSignOnSettings(**GOOD, **given).single_sign_on
        assert found is not None
        return found.secret()

    assert secret() is None
    assert secret(oidc_client_secret="itself") == "itself"
    assert secret(oidc_client_secret_file=kept) == "from the file"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"auth": "required"}, "HEADWATER_PUBLIC_URL is missing"),
        ({"auth": "off", "public_url": "https://hw.example"}, "HEADWATER_AUTH=off"),
    ],
)
def test_the_gateway_needs_keys_and_its_own_address(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        GatewaySettings(**URLS, **GOOD, **given)

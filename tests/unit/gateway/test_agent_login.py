"""What nats-server is told about an agent that shows an API key."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.containers.write_env import issuer_of
from services.gateway.agent_login import AuthRequest, Issuer, auth_request_of

SEED = bytes(range(32))
TENANT = UUID("00000000-0000-7000-8000-00000000000a")
JTI = UUID("00000000-0000-7000-8000-00000000000b")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ASKED = AuthRequest(server_id="NSERVER", user_nkey="UAGENT", name="agent", key="hw_key")


def claims(token: bytes) -> dict[str, Any]:
    """What a JWT says, once its signature is found good."""
    signed, _, signature = token.rpartition(b".")
    Ed25519PrivateKey.from_private_bytes(SEED).public_key().verify(decoded(signature), signed)
    found: dict[str, Any] = orjson.loads(decoded(signed.split(b".")[1]))
    return found


def decoded(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def encoded(value: object) -> bytes:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=")


def test_an_agent_gets_its_tenants_subjects_until_its_log_in_ends() -> None:
    answer = claims(
        Issuer(SEED).admit(ASKED, TENANT, jti=JTI, now=NOW, until=NOW + timedelta(minutes=2))
    )
    user = claims(answer["nats"]["jwt"].encode())

    assert (answer["aud"], answer["sub"]) == ("NSERVER", "UAGENT")
    assert (user["aud"], user["sub"], user["exp"] - user["iat"]) == ("$G", "UAGENT", 120)
    allowed = [*user["nats"]["pub"]["allow"], *user["nats"]["sub"]["allow"]]
    assert allowed
    assert all(str(TENANT) in subject for subject in allowed)


def test_who_is_turned_away_gets_a_reason_and_no_permission() -> None:
    answer = claims(Issuer(SEED).refuse(ASKED, "no", jti=JTI, now=NOW))

    assert answer["nats"] == {"type": "authorization_response", "version": 2, "error": "no"}


def test_an_answer_that_was_changed_does_not_verify() -> None:
    answer = Issuer(SEED).refuse(ASKED, "no", jti=JTI, now=NOW)
    header, payload, signature = answer.split(b".")

    with pytest.raises(InvalidSignature):
        claims(b".".join((header, payload.swapcase(), signature)))


@pytest.mark.parametrize("option", ["auth_token", "pass"])
def test_the_key_is_the_token_or_the_password(option: str) -> None:
    asked = {
        "server_id": {"id": "NSERVER"},
        "user_nkey": "UAGENT",
        "client_info": {"name": "agent"},
        "connect_opts": {option: "hw_key"},
    }

    assert auth_request_of(b"e30." + encoded({"nats": asked}) + b".e30") == ASKED


@pytest.mark.parametrize("request_", [b"", b"a.b.c", b"..", b"e30.e30.e30", b"e30.W10.e30"])
def test_what_is_no_request_is_refused_by_name(request_: bytes) -> None:
    with pytest.raises(ValueError, match="no request of nats-server"):
        auth_request_of(request_)


@pytest.mark.parametrize("seed", [SEED, bytes(32), b"\xff" * 32, b"headwater" * 3 + b"seeds"])
def test_the_environment_file_names_the_key_that_the_gateway_signs_with(seed: bytes) -> None:
    assert issuer_of(seed) == Issuer(seed).public

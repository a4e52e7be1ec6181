"""Where a browser may be sent, and who is vouched for by a provider."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.gateway.single_sign_on.domain import (
    ATTEMPT_LASTS,
    SENTENCES,
    Attempt,
    FailedError,
    Failure,
    domain_of,
    safe_path,
    visitor_of,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN: dict[str, Any] = {"sub": "7", "email": "ann@example.org", "email_verified": True}


@pytest.mark.parametrize(
    "path", ["/", "/default/runs", "/default/runs?state=Failed&a=//b", "/accept?x=1"]
)
def test_a_path_of_ours_is_kept(path: str) -> None:
    assert safe_path(path) == path


@pytest.mark.parametrize(
    "given",
    [
        None, "", "runs", "https://evil.example", "//evil.example", "///evil.example", "/\\evil.example",
        "\\\\evil.example", "/\t/evil.example", "/a\r\nset-cookie: x=1", " /runs", "javascript:alert(1)",
        "/session/sso", "/" + "a" * 1_000, "/ümlaut",
    ],
)  # fmt: skip
def test_anything_else_is_the_first_page(given: str | None) -> None:
    assert safe_path(given) == "/"


@pytest.mark.parametrize(
    ("changed", "failure"),
    [
        ({"sub": None}, Failure.BAD_ANSWER),
        ({"sub": ""}, Failure.BAD_ANSWER),
        ({"sub": "x" * 256}, Failure.BAD_ANSWER),
        ({"email": None}, Failure.UNVERIFIED),
        ({"email": "ann"}, Failure.UNVERIFIED),
        ({"email": "a@b@c"}, Failure.UNVERIFIED),
        ({"email": "ann @example.org"}, Failure.UNVERIFIED),
        ({"email_verified": False}, Failure.UNVERIFIED),
        ({"email_verified": "true"}, Failure.UNVERIFIED),
        ({"email_verified": 1}, Failure.UNVERIFIED),
        ({"email_verified": None}, Failure.UNVERIFIED),
    ],
)
def test_who_is_not_vouched_for_is_refused(changed: dict[str, Any], failure: Failure) -> None:
    with pytest.raises(FailedError) as refused:
        visitor_of("https://login.example", ANN | changed)

    assert refused.value.failure is failure


@pytest.mark.parametrize(
    ("name", "called"),
    [("Ann Example", "Ann Example"), (None, "ann@example.org"), ("a\nb", "ann@example.org"), (" ", "ann@example.org")],
)  # fmt: skip
def test_a_person_is_called_as_the_provider_says(name: str | None, called: str) -> None:
    assert visitor_of("https://login.example", ANN | {"name": name}).name == called


def test_a_domain_is_what_is_after_the_at_sign() -> None:
    assert domain_of("ann@Example.ORG") == "example.org"


def test_an_attempt_ends_exactly_at_its_time() -> None:
    attempt = Attempt(
        state="s", nonce="n", verifier="v", return_to="/", ends=(NOW + ATTEMPT_LASTS).timestamp()
    )

    assert Attempt.of(attempt.as_json()) == attempt
    assert not attempt.is_over(NOW + ATTEMPT_LASTS - timedelta(seconds=1))
    assert attempt.is_over(NOW + ATTEMPT_LASTS)


def test_every_failure_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Failure)

"""No opened secret in what is kept."""

from base64 import b64encode
from urllib.parse import quote

import pytest

from services.automations.domain.redaction import redacted

URL = "https://hooks.example.com/services/T0AAAAAAAAAA/B0BBBBBBBBBBB/cCcCcCcCcCcCcCcCcC?key=dDdDdDdDdD"
TOKEN = 'to"ken with/odd+letters'


@pytest.mark.parametrize(
    "echo",
    [
        f"you called {URL}",
        "POST /services/T0AAAAAAAAAA/B0BBBBBBBBBBB/cCcCcCcCcCcCcCcCcC?key=dDdDdDdDdD not found",
        "no such hook cCcCcCcCcCcCcCcCcC",
        quote(URL, safe=""),
        "/services/T0AAAAAAAAAA/B0BBBBBBBBBBB/cCcCcCcCcCcCcCcCcC",
    ],
)
def test_an_address_with_a_credential_is_not_kept(echo: str) -> None:
    found = redacted(echo, [URL])

    assert "cCcCcCcC" not in found
    assert "[secret]" in found


def test_other_spellings_of_a_secret_are_not_kept_either() -> None:
    for spelling in (
        TOKEN,
        quote(TOKEN, safe=""),
        TOKEN.replace('"', '\\"'),
        b64encode(TOKEN.encode()).decode(),
    ):
        assert redacted(f"<{spelling}>", [TOKEN]) == "<[secret]>"


def test_what_is_no_secret_stays() -> None:
    assert (
        redacted("400 from hooks.example.com: no", [URL, "no", ""])
        == "400 from hooks.example.com: no"
    )

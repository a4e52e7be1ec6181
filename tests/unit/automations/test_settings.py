"""Settings of deliveries that are refused at the start, with a sentence that names the variable."""

import pytest
from pydantic import ValidationError

from libs.runtime.settings import sentence_of
from services.automations.delivery.settings import DeliverySettings


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ALLOWED_NETWORKS", "10.0.0.1/8", "has host bits set"),
        ("ALLOWED_NETWORKS", "10.0.0.0/8;1.2.3.4", "does not appear to be"),
        ("MAIL_SERVER", "mail.example.com:25", "must be smtp://"),
        ("MAIL_SERVER", "smtp://user:hunter2@", "must be smtp://"),
        ("TIMEOUT", "PT31S", "less than or equal"),
        ("LEASE", "PT29S", "another worker would send"),
        ("PAGERDUTY_URL", "events.pagerduty.com", "pattern"),
    ],
)
def test_what_cannot_work_is_said_and_no_password_with_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"HEADWATER_DELIVERY_{name}", value)

    with pytest.raises(ValidationError) as refused:
        DeliverySettings()

    sentence = sentence_of(refused.value)
    assert f"HEADWATER_DELIVERY_{name}" in sentence
    assert said in sentence
    assert "hunter2" not in sentence


def test_an_empty_mail_server_is_none_and_a_set_one_is_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADWATER_DELIVERY_MAIL_SERVER", "")
    assert DeliverySettings().mail() is None

    monkeypatch.setenv("HEADWATER_DELIVERY_MAIL_SERVER", "smtps://me%40x.org:p%3Aw@mail.x.org")
    server = DeliverySettings().mail()

    assert server is not None
    assert (server.host, server.port, server.tls) == ("mail.x.org", 465, True)
    assert (server.user, server.password) == ("me@x.org", "p:w")
    assert "p:w" not in repr(server)

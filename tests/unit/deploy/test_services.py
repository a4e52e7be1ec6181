"""What a person reads who sets a service wrongly."""

import pytest

from deploy.engines import Endpoints, EngineError
from deploy.local.services import InProcess, Surroundings
from libs.contracts.services import SERVICES

PEPPER = "a pepper for tests"


def services(host: str = "127.0.0.1") -> InProcess:
    endpoints = Endpoints(
        postgres_host="127.0.0.1",
        postgres_port=1,
        postgres_password="-",
        postgres_socket=None,
        nats_port=1,
        nats_password="-",
    )
    return InProcess(
        Surroundings(
            endpoints=endpoints,
            passwords=dict.fromkeys((*SERVICES, "reader"), "-"),
            host=host,
            port=4200,
            keys={"auth": "off", "key_pepper": PEPPER},
        )
    )


async def test_settings_that_a_service_refuses_are_said_in_its_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADWATER_LAZARUS_AFTER", "PT1M")

    with pytest.raises(EngineError, match=r"^HEADWATER_LAZARUS_AFTER: 60 s must be at least 240 s"):
        await services()._start("lazarus")


async def test_they_are_said_without_the_secrets_among_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(EngineError) as refused:
        await services(host="0.0.0.0")._start("gateway")  # noqa: S104 - refused, and so the test

    assert str(refused.value).startswith("HEADWATER_AUTH=off is only for a loopback address")
    said = "".join(capsys.readouterr()) + str(refused.getrepr(chain=True))
    assert PEPPER[:8] not in said

"""What `/health` and `/ready` say, for whoever starts processes and whoever sends them requests."""

import httpx
import pytest

from libs.runtime.http import Probe, health_app


class FixedProbe(Probe):
    """A probe that answers what it was given."""

    def __init__(
        self,
        *,
        failed: list[str] | None = None,
        unready: list[str] | None = None,
        degraded: list[str] | None = None,
    ) -> None:
        self._failed, self._unready = failed or [], unready or []
        self._degraded = degraded or []

    def failed(self) -> list[str]:
        return self._failed

    async def unready(self) -> list[str]:
        return self._unready

    async def degraded(self) -> list[str]:
        return self._degraded


async def asked(probe: Probe, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(health_app(probe))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get(path)


@pytest.mark.parametrize(
    ("probe", "status", "body"),
    [
        (FixedProbe(), 200, b'{"ready":true,"degraded":false,"reasons":[]}'),
        # A proxy looks for these words in this order.
        (FixedProbe(degraded=["NATS"]), 200, b'{"ready":true,"degraded":true,"reasons":["NATS"]}'),
        (
            FixedProbe(unready=["a"], degraded=["b"]),
            503,
            b'{"ready":false,"degraded":false,"reasons":["a"]}',
        ),
    ],
)
async def test_a_degraded_service_is_ready_and_says_why(
    probe: Probe, status: int, body: bytes
) -> None:
    answer = await asked(probe, "/ready")

    assert (answer.status_code, answer.content) == (status, body)


async def test_a_service_that_cannot_recover_is_to_be_started_anew() -> None:
    well, ill = (
        await asked(FixedProbe(), "/health"),
        await asked(FixedProbe(failed=["loop"]), "/health"),
    )

    assert (well.status_code, well.json()) == (200, {"status": "ok"})
    assert (ill.status_code, ill.json()) == (503, {"status": "failed", "reasons": ["loop"]})


async def test_metrics_are_in_prometheus_own_form() -> None:
    answer = await asked(FixedProbe(), "/metrics")

    assert answer.status_code == 200
    assert "# HELP headwater_" in answer.text

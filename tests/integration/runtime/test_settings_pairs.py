"""Any two settings of a service, each very small or very large: they are refused by name, or the service runs."""

import itertools
import re
from datetime import timedelta
from functools import partial
from types import UnionType
from typing import Any, get_args

import pytest
from annotated_types import Ge, Le
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from libs.contracts import subjects
from libs.contracts.services import SERVICES
from libs.runtime.service import Service
from libs.runtime.settings import sentence_of
from services.runs.dispatch.settings import DispatchSettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.running import running
from tests.support.services import build, settings_of

NOT_WALKED = {"health_port", "port", "nats_connect_timeout"}
"""Addresses, and what only a start without NATS waits for."""

PLACES: dict[str, dict[str, Any]] = {
    name: {"postgres_url": "postgresql://x", "nats_url": "nats://x"} for name in SERVICES
}
PLACES["gateway"] |= {
    "reader_postgres_url": "postgresql://x", "auth": "off", "key_pepper": "a pepper for tests", "port": 0,
}  # fmt: skip

Choice = tuple[str, Any]
"""A variable without HEADWATER_ and its value: "DISPATCH_RENEW", 0.2 s."""


def choices(name: str) -> list[list[Choice]]:
    """The small and the large value of each number and duration of a service."""
    found = [_extremes("", field, info) for field, info in settings_of(name).model_fields.items()]
    if name == "runs":
        found += [
            _extremes("DISPATCH_", field, info)
            for field, info in DispatchSettings.model_fields.items()
        ]
    return [each for each in found if each]


def _extremes(prefix: str, field: str, info: FieldInfo) -> list[Choice]:
    kinds = (
        get_args(info.annotation) if isinstance(info.annotation, UnionType) else (info.annotation,)
    )
    if field in NOT_WALKED:
        return []
    variable = prefix + field.upper()
    if timedelta in kinds:
        most = next((m.le for m in info.metadata if isinstance(m, Le)), timedelta(days=1))
        return [(variable, timedelta(seconds=0.2)), (variable, most)]
    if int in kinds or float in kinds:
        least: Any = next((m.ge for m in info.metadata if isinstance(m, Ge)), None)
        if least is None:
            least = 1  # above 0, where a bound excludes it
        most = next(
            (m.le for m in info.metadata if isinstance(m, Le)),
            20 if "POOL" in variable else 100_000,
        )
        return [(variable, least), (variable, most)]
    return []


def made(name: str, chosen: list[Choice], patch: pytest.MonkeyPatch, **places: Any) -> Any:
    """The settings of a service whose variables are set so."""
    with patch.context() as context:
        for variable, value in chosen:
            text = f"PT{value.total_seconds()}S" if isinstance(value, timedelta) else str(value)
            context.setenv(f"HEADWATER_{variable}", text)
        if name == "runs":
            DispatchSettings()
        return settings_of(name)(**PLACES[name] | places)


@pytest.mark.parametrize("name", SERVICES)
def test_two_settings_that_do_not_fit_are_refused_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {variable for each in choices(name) for variable, _ in each}
    for one, other in itertools.combinations(choices(name), 2):
        for pair in itertools.product(one, other):
            try:
                made(name, list(pair), monkeypatch)
            except ValidationError as refused:
                said = sentence_of(refused)
                named = set(re.findall(r"HEADWATER_([A-Z_]+)", said)) & known
                assert named & {variable for variable, _ in pair}, (pair, said)
                assert len(named) >= 2 or "should be" in said, (pair, said)


def rounds(name: str, patch: pytest.MonkeyPatch) -> list[list[Choice]]:
    """Settings that are accepted, in which every pair occurs that may occur at all: few, each of many variables."""
    extremes = choices(name)
    waiting = {
        frozenset(pair)
        for one, other in itertools.combinations(extremes, 2)
        for pair in itertools.product(one, other)
        if _accepted(name, list(pair), patch)
    }
    found = []
    while waiting:
        chosen: list[Choice] = sorted(min(waiting, key=sorted), key=str)
        for each in extremes:
            if each[0][0] in {variable for variable, _ in chosen}:
                continue
            fitting = [choice for choice in each if _accepted(name, [*chosen, choice], patch)]
            if fitting:
                chosen.append(max(fitting, key=lambda c: _new(waiting, chosen, c)))
        found.append(chosen)
        waiting -= {frozenset(pair) for pair in itertools.combinations(chosen, 2)}
    return found


def _new(waiting: set[frozenset[Choice]], chosen: list[Choice], choice: Choice) -> int:
    return sum(frozenset((choice, other)) in waiting for other in chosen)


def _accepted(name: str, chosen: list[Choice], patch: pytest.MonkeyPatch) -> bool:
    try:
        made(name, chosen, patch)
    except ValidationError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_runs_with_any_two_settings_that_are_accepted(
    stack: Stack, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: dict[str, Any] = {"postgres_url": stack.postgres_url(name), "nats_url": stack.nats_url}
    if name == "gateway":
        places["reader_postgres_url"] = stack.postgres_url("reader")
    for chosen in rounds(name, monkeypatch):
        settings = made(name, chosen, monkeypatch, **places)
        with monkeypatch.context() as patch:
            for variable, value in chosen:
                if variable.startswith("DISPATCH_"):
                    text = (
                        f"PT{value.total_seconds()}S"
                        if isinstance(value, timedelta)
                        else str(value)
                    )
                    patch.setenv(f"HEADWATER_{variable}", text)
            service = build(name, settings)
        async with running(service):
            await eventually(partial(is_ready, service), timeout=60)


async def is_ready(service: Service) -> bool:
    """Ready, where a gateway lives."""
    await service.bus.signal(subjects.SIG_SERVICE_ALIVE.at(service="gateway"))
    assert await service.unready() == []
    return True

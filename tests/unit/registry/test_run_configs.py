"""Run configs: those that the agents of real clients can read are taken, and no others."""

from typing import Any

import pytest

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.run_configs import complaint_about
from services.registry.domain.flows import read_flow
from services.registry.domain.registration import group_change_refusal
from tests.support.run_configs import BAD, GOOD
from tests.support.serialized_flows import a_flow

NO_OBJECT: list[Any] = ["LocalRun", 7, [], True]


@pytest.mark.parametrize("run_config", [None, *GOOD], ids=str)
def test_a_run_config_that_agents_can_read_is_taken(run_config: dict[str, Any] | None) -> None:
    assert complaint_about(run_config) is None


@pytest.mark.parametrize(("run_config", "reason"), BAD, ids=lambda value: str(value)[:60])
def test_one_that_they_could_not_read_is_refused_with_its_field(
    run_config: dict[str, Any], reason: str
) -> None:
    assert complaint_about(run_config) == reason
    assert read_flow(a_flow(run_config=run_config)) == Refused(
        code=Code.FLOW_MALFORMED, fields={"reason": reason}
    )
    assert group_change_refusal({"run_config": run_config}) == Refused(
        code=Code.INVALID, fields={"reason": reason}
    )


@pytest.mark.parametrize("value", NO_OBJECT, ids=str)
def test_what_is_no_object_is_no_run_config(value: Any) -> None:
    assert complaint_about(value) == "run_config: an object is expected"

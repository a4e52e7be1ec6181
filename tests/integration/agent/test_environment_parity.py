"""A run's process is given what the real LocalAgent of the same version would give it."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.agent.environment import Surroundings, parse_version, variables
from libs.agent.wire import ClaimedRun
from tests.support.prefect_client import PrefectClient

pytestmark = [pytest.mark.client, pytest.mark.slow]

RUN = UUID("5c1cba35-8c53-4e5b-8d0d-5d1a2b3c4d5e")
FLOW = UUID("6c1cba35-8c53-4e5b-8d0d-5d1a2b3c4d5e")
URL = "http://127.0.0.1:4999"

LOCAL_AGENT = """
    import os
    import types
    from unittest.mock import patch

    from prefect.agent.local import LocalAgent
    from prefect.run_configs import LocalRun

    agent = LocalAgent(
        labels=["gpu"],
        env_vars={{"FROM_AGENT": "1", "SHARED": "agent"}},
        import_paths=["/somewhere/else"],
        hostname_label=False,
    )
    run = types.SimpleNamespace(id="{run}", flow=types.SimpleNamespace(id="{flow}"))
    config = LocalRun(env={{"FROM_RUN": "2", "SHARED": "run"}}, working_dir={folder!r})
    with patch.dict(os.environ, {{"HOME": "/root", "PYTHONPATH": "/mine"}}, clear=True):
        os.environ["PYTHONPATH"] = "/mine"
        answer(agent.populate_env_vars(run, run_config=config))
"""


@pytest.mark.parametrize("folder", ["/", None], ids=["a working folder", "no working folder"])
async def test_the_environment_is_local_agents(tmp_path: Path, folder: str | None) -> None:
    client = await PrefectClient.installed("1.4.1", url=URL, home=tmp_path / "home")

    theirs: dict[str, str] = await client.answer(
        LOCAL_AGENT.format(run=RUN, flow=FLOW, folder=folder)
    )
    config: dict[str, Any] = {
        "type": "LocalRun",
        "env": {"FROM_RUN": "2", "SHARED": "run"},
        "working_dir": folder,
    }
    ours = variables(
        ClaimedRun(
            flow_run_id=RUN, lease_token=RUN, attempt=1, lease=5, name="n", flow_id=FLOW,
            flow_name="f", run_config=config,
        ),
        Surroundings(
            api_url=URL,
            labels=("gpu",),
            given={"FROM_AGENT": "1", "SHARED": "agent"},
            import_paths=("/somewhere/else",),
            fences=False,
        ),
        inherited={"HOME": "/root", "PYTHONPATH": "/mine"},
        here=tmp_path / "home",
        prefect=parse_version("1.4.1"),
    )  # fmt: skip

    # The one addition: how Prefect ends its records, by which they are told from other output.
    assert ours.pop("PREFECT__LOGGING__FORMAT").startswith("[%(asctime)s] ")
    assert ours == theirs

"""What is said of run configs is what the real client finds."""

from pathlib import Path

import pytest

from libs.contracts.run_configs import complaint_about
from tests.support.prefect_client import PrefectClient
from tests.support.run_configs import BAD, GOOD


@pytest.mark.client
@pytest.mark.slow
async def test_the_client_itself_takes_and_refuses_the_same(tmp_path: Path) -> None:
    client = await PrefectClient.installed(
        "1.4.1", url="http://127.0.0.1:9", home=tmp_path / "home"
    )
    asked = [*GOOD, *(run_config for run_config, _ in BAD)]

    taken = await client.answer(
        f"""
        from prefect.serialization.run_config import RunConfigSchema

        def can_be_read(run_config):
            try:
                RunConfigSchema().load(run_config)
            except Exception:
                return False
            return True

        answer([can_be_read(run_config) for run_config in {asked!r}])
        """
    )

    differently = [
        run_config
        for run_config, theirs in zip(asked, taken, strict=True)
        if theirs is not (complaint_about(run_config) is None)
    ]
    assert differently == []

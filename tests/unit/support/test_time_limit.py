"""A test that takes too long is reported by that, whatever the limit breaks into."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SLOW_TO_DRAW = """
import signal
from hypothesis import given, settings, strategies as st

waited = []

@st.composite
def slowly(draw):
    first = draw(st.integers())
    if not waited:
        waited.append(True)
        signal.pause()  # until the limit strikes, between two draws
    return first, draw(st.integers())

@settings(deadline=None, database=None)
@given(slowly())
def test_slow(drawn):
    assert drawn
"""


async def test_a_limit_that_strikes_between_two_draws_is_no_finding_of_hypothesis(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_slow.py").write_text(SLOW_TO_DRAW)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-ptests.support.time_limit", "-pno:cacheprovider"),
        *("-o", "timeout=1", "-o", "addopts=", "--rootdir", str(tmp_path), "test_slow.py"),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()

    assert process.returncode == 1, said
    assert "OutOfTime: test_slow.py::test_slow took longer than 1 s" in said
    assert "Flaky" not in said


def test_a_unit_test_may_take_a_third_of_what_one_with_engines_may(
    request: pytest.FixtureRequest,
) -> None:
    marker = request.node.get_closest_marker("timeout")

    assert marker is not None
    assert marker.args == (float(request.config.getini("timeout")) / 3,)

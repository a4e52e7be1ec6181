"""What `libs/runtime/http_protocol.py` and `http_websocket.py` extend in uvicorn, which promises nothing about it.

A release that changes it fails here. Then: read what it changed, run tests/integration/runtime/test_http*.py, write the
new digest here and the new bound in pyproject.toml.
"""

import hashlib
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.websockets import websockets_sansio_impl

ROOT = Path(__file__).parents[3]
BOUNDS = "uvicorn>=0.54,<0.55"
DIGESTS = {
    "HttpToolsProtocol": "18fdf324b11b",
    "RequestResponseCycle": "e67d470d435d",
    "WebSocketsSansIOProtocol": "0bbcec989384",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_a_class_that_is_extended_is_as_it_was_when_it_was_read(name: str) -> None:
    module = websockets_sansio_impl if name.startswith("WebSockets") else httptools_impl
    source = inspect.getsource(getattr(module, name))
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]

    assert digest == DIGESTS[name], f"uvicorn {version('uvicorn')} has another {name} ({digest})"


def test_the_uvicorn_that_was_read_is_the_one_that_is_wanted() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert BOUNDS in project["dependencies"]

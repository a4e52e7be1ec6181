"""What Headwater relies on in nats-py that nats-py does not promise: its private members.

A release that changes one of them fails here, before it fails at night. Then: read what it changed, see whether the
module that uses it (`libs/runtime/nats`, `libs/agent/link.py`) still holds, run
tests/integration/runtime and tests/faults/test_nats_cluster.py, and write the new digest here. A release of another
minor version needs new bounds in both pyproject.toml besides.
"""

import ast
import hashlib
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.protocol.parser import Parser

ROOT = Path(__file__).parents[3]
BOUNDS = ">=2.16,<2.17"
METHODS: dict[Callable[..., Any], str] = {
    Client._attempt_reconnect: "2bbc96e0f2f7",
    Client._build_message: "13cbe7b7f8cb",
    Client._close: "9a92d3aca1b2",
    Client._connect_command: "1999c01f55c9",
    Client._connect_to_server: "1356d992325f",
    Client._flush_pending: "317c8d7ef54b",
    Client._flusher: "43957ffb357d",
    Client._init_request_sub: "14571cd9117e",
    Client._ping_interval: "e681a6d18db6",
    Client._process_connect_init: "e1ed2da075c8",
    Client._process_err: "ceb70f44e38f",
    Client._process_headers: "fe656f61147d",
    Client._process_info: "ecca7bb93130",
    Client._process_msg: "6cff75947e97",
    Client._process_op_err: "d4257cb1203c",
    Client._process_pong: "ee4c4d01a16d",
    Client._read_loop: "b44b9401f436",
    Client._remove_sub: "0791939ce078",
    Client._request_new_style: "78cc35ce5ad4",
    Client._select_next_server: "c278559f8a14",
    Client._send_unsubscribe: "457a4657eeb1",
    Client.connect: "a333807745c3",
    Client.drain: "693331a842ab",
    Client.flush: "b410d7515bcc",
    Parser.parse: "7d6165f1766c",
    Parser.reset: "0f304f3f8691",
    TcpTransport.connect: "96c97f9bad05",
    TcpTransport.connect_tls: "6688ffffefa2",
}
ATTRIBUTES = {
    # of a client
    "_current_server",
    "_error_cb",
    "_flush_queue",
    "_flusher_task",
    "_inbox_prefix",
    "_nuid",
    "_pending",
    "_max_payload",
    "_max_pending_size",
    "_pending_data_size",
    "_ping_interval_task",
    "_pongs",
    "_ps",
    "_reading_task",
    "_reconnection_task",
    "_resp_map",
    "_resp_sub_prefix",
    "_server_info",
    "_server_pool",
    "_status",
    "_transport",
    # of a TCP transport
    "_io_writer",
    # of a subscription
    "_id",
    "_pending_queue",
    # of a message
    "_ackd",
    "_sid",
}
NAMESAKES = {"_client", "_deliver", "_drain", "_js", "_start", "_stream", "_timeout"}
"""Names of ours that nats-py has too, for something else."""
_IMPORT = re.compile(r"^\s*(?:import nats|from nats|from libs\.runtime\.(?:bus|nats)[. ])", re.M)
_SOURCES = (
    "aio/client.py",
    "aio/msg.py",
    "aio/subscription.py",
    "aio/transport.py",
    "js/client.py",
    "js/manager.py",
    "protocol/parser.py",
)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__qualname__)
def test_a_method_that_is_overridden_or_called_is_as_it_was_when_it_was_read(
    method: Callable[..., Any],
) -> None:
    digest = hashlib.sha256(inspect.getsource(method).encode()).hexdigest()[:12]

    assert digest == METHODS[method], (
        f"nats-py {version('nats-py')} has another {method.__qualname__} ({digest}); see the top of this file"
    )


def test_everything_private_that_is_used_is_listed_and_still_there() -> None:
    theirs = set(_private_names(Path(nats.__file__).parent / file for file in _SOURCES))
    used = {name for path in _who_uses_nats() for name in _names_in(path)} & theirs
    listed = ATTRIBUTES | {method.__name__ for method in METHODS if method.__name__[0] == "_"}

    assert theirs >= ATTRIBUTES, "gone from nats-py"
    assert used - NAMESAKES - listed == set(), "list it here, with a digest if it is a method"
    assert ATTRIBUTES - used == set(), "no longer used: take it off the list"


def test_both_packages_want_the_nats_py_that_was_read() -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    agents = tomllib.loads((ROOT / "libs" / "agent" / "pyproject.toml").read_text())["project"]
    wanted = [
        *ours["dependencies"],
        *ours["optional-dependencies"]["dev"],
        *agents["dependencies"],
    ]
    bounds = {
        text.partition(">=")[1] + text.partition(">=")[2]
        for text in wanted
        if text.startswith("nats-py")
    }

    assert bounds == {BOUNDS}
    assert version("nats-py").split(".")[:2] == ["2", "16"]


def _who_uses_nats() -> Iterator[Path]:
    for folder in ("libs", "services", "deploy"):
        for path in (ROOT / folder).rglob("*.py"):
            if _IMPORT.search(path.read_text()):
                yield path


def _names_in(path: Path) -> Iterator[str]:
    """Attributes that are touched there, and functions that are defined."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def _private_names(paths: Iterator[Path]) -> Iterator[str]:
    """Private methods and attributes of these modules' classes."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            name = ""
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                name = node.name
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                name = node.attr
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = node.target.id
            if name.startswith("_") and not name.startswith("__"):
                yield name

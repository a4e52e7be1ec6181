"""Where the answer to an agent's request may go."""

from uuid import UUID

import pytest

from libs.contracts.agent_access import is_answerable

OURS, THEIRS = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize("rest", ["x", "x.y.17", "AbC123.9"])
def test_an_inbox_of_the_asking_tenant_is_answered(rest: str) -> None:
    assert is_answerable(OURS, f"_INBOX.agent.{OURS}.{rest}")


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "x",
        f"_INBOX.agent.{OURS}",
        f"_INBOX.agent.{OURS}.",
        f"_INBOX.agent.{THEIRS}.x",
        f"_INBOX.agent.{THEIRS}._INBOX.agent.{OURS}.x",
        f"hw.beat.{THEIRS}.{OURS}",
        f"$JS.API.STREAM.DELETE._INBOX.agent.{OURS}.x",
        f"_INBOX.agent.{OURS}.*",
        f"_INBOX.agent.{OURS}.>",
        f"_INBOX.agent.{OURS}.a b",
        f"_INBOX.agent.{OURS}.a\tb",
        f"_INBOX.agent.{OURS}x.y",
    ],
)
def test_nothing_else_is(reply: str) -> None:
    assert not is_answerable(OURS, reply)

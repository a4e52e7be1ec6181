"""Headwater's GraphQL API, called with a plain HTTP client."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from deploy.demo.failure import DemoFailedError


class Refused(DemoFailedError):  # noqa: N818 - an answer, and here sometimes the wanted one
    """The API answered with errors."""


class Unreachable(DemoFailedError):  # noqa: N818 - a condition that waiting may end
    """No answer, or not from a GraphQL server."""


class Api:
    """One GraphQL endpoint."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return `data`; raise Refused with the messages if there are errors."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - the scheme is ours, always http
            f"{self.url}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as response:  # noqa: S310 - as above
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise Refused(
                f"HTTP {error.code}: {error.read(500).decode(errors='replace')}"
            ) from error
        except (OSError, ValueError) as error:
            raise Unreachable(f"no GraphQL API answers at {self.url} ({error})") from error
        if errors := answer.get("errors"):
            raise Refused("; ".join(str(error.get("message")) for error in errors))
        data: dict[str, Any] = answer["data"]
        return data

    def answers(self) -> bool:
        """Whether a Headwater, or a similar API, is running already."""
        try:
            return bool(self.ask("query { hello }"))
        except Unreachable:
            return False

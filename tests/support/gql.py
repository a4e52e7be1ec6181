"""A GraphQL endpoint as a test asks it: data, or the errors it expects."""

from __future__ import annotations

import json
import ssl
from types import TracebackType
from typing import Any, Self

import httpx


class UnexpectedErrorsError(AssertionError):
    """The answer has errors where the test counts on data."""


class Gql:
    """One endpoint. `await gql(query, name=value)` gives `data`, and fails the test on errors."""

    def __init__(
        self,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self.url = url
        self.headers = headers or {}
        # Generous, because the suite shares its two cores with the runs that it starts.
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=90.0, verify=verify)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def __call__(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return `data` of an answer without errors."""
        answer = (await self.post({"query": query, "variables": variables})).json()
        if answer.get("errors"):
            raise UnexpectedErrorsError(
                f"{query}\n{variables}\nanswered {json.dumps(answer['errors'], indent=2)}"
            )
        data: dict[str, Any] = answer["data"]
        return data

    async def errors(self, query: str, **variables: Any) -> list[dict[str, Any]]:
        """Return the errors of an answer that the test expects to have some."""
        answer = (await self.post({"query": query, "variables": variables})).json()
        errors: list[dict[str, Any]] = answer.get("errors") or []
        assert errors, f"{query}\n{variables}\nanswered without errors: {answer}"
        return errors

    async def post(self, body: object, *, path: str = "/graphql") -> httpx.Response:
        """Send any JSON body, however wrong, and return the whole response."""
        return await self._http.post(path, json=body)

    async def answers(self) -> bool:
        """Whether the API is there and well."""
        try:
            return bool((await self("query { hello }"))["hello"])
        except (httpx.HTTPError, ValueError, UnexpectedErrorsError):
            return False

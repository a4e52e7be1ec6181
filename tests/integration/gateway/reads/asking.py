"""Asks the read path as the gateway does: recall, or parse, validate and compile; then execute and render."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    execute_sync,
    parse,
    validate,
)

from services.gateway.reads import DocumentLimits, Reader, ReadPath
from services.gateway.reads.documents import lift
from tests.integration.gateway.reads.world import A_TENANT


@dataclass(frozen=True, slots=True)
class Asker:
    """A read path with its schema and a connected reader."""

    path: ReadPath
    schema: GraphQLSchema
    reader: Reader

    async def ask(
        self,
        text: str,
        variables: Mapping[str, Any] | None = None,
        *,
        tenant: UUID = A_TENANT,
        operation_name: str | None = None,
        visible_tenants: Sequence[UUID] = (),
    ) -> dict[str, Any]:
        """The whole response."""
        plan = self.path.recall(lift(text), operation_name, variables)
        if plan is None:
            document = parse(text)
            errors = validate(self.schema, document)
            if errors:
                raise errors[0]
            plan = self.path.compile(text, document, operation_name, variables)
        answers = await self.reader.execute(plan, tenant, visible_tenants=visible_tenants)
        if plan.foreign is None:
            body = plan.render(answers)
        else:
            rest = execute_sync(self.schema, plan.foreign, variable_values=dict(variables or {}))
            body = plan.render(answers, data=rest.data, errors=rest.errors)
        answer: dict[str, Any] = orjson.loads(body)
        return answer

    async def data(
        self, text: str, variables: Mapping[str, Any] | None = None, *, tenant: UUID = A_TENANT
    ) -> dict[str, Any]:
        """The data of a response that must have no errors."""
        answer = await self.ask(text, variables, tenant=tenant)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data


def schema_of(path: ReadPath) -> GraphQLSchema:
    """The generated schema, with one field of somebody else's."""
    hello = GraphQLField(GraphQLString, resolve=lambda *_: "👋")
    schema = GraphQLSchema(
        query=GraphQLObjectType("Query", {**path.fields, "hello": hello}), types=path.types
    )
    path.use(schema)
    return schema


@asynccontextmanager
async def asking(
    url: str, *, limits: DocumentLimits | None = None, statement_timeout: float = 10.0
) -> AsyncIterator[Asker]:
    """An asker on this database, as the reader role."""
    path = ReadPath.build(limits=limits)
    schema = schema_of(path)
    reader = Reader(url, pool_size=2, statement_timeout=statement_timeout)
    # Patterns may take two seconds, in which a busy machine may not come to them; test_fair_reads.py has that limit.
    reader._boxes = {kind: replace(box, seconds=60.0) for kind, box in reader._boxes.items()}
    await reader.connect()
    try:
        yield Asker(path, schema, reader)
    finally:
        await reader.close()

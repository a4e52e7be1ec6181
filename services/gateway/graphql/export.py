"""The schema as text: committed as `services/gateway/schema.graphql`, so that a change of it shows in a review.

`make generate` writes it, `make verify` and a contract test hold it to the code.
"""

from pathlib import Path
from typing import Any

from graphql import lexicographic_sort_schema, print_schema

from services.gateway.graphql.schema import build_schema

FILE = Path(__file__).parents[1] / "schema.graphql"


def sdl() -> str:
    """The merged schema, sorted by name."""

    def nested(_table: str, _attribute: str) -> Any:
        return lambda _payload, _info: None  # a schema that is printed resolves nothing

    schema, _ = build_schema(nested, cache_size=1, cache_bytes=1)
    return print_schema(lexicographic_sort_schema(schema)) + "\n"


if __name__ == "__main__":
    FILE.write_text(sdl())

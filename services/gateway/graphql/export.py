"""What the web pages are made from: the schema as text, and which permissions each mutation needs.

Both are committed, so that a change of them shows in a review. `make generate` writes them, `make verify` and contract
tests hold them to the code.
"""

import json
from pathlib import Path
from typing import Any

from graphql import lexicographic_sort_schema, print_schema

from services.gateway.graphql.schema import build_schema
from services.gateway.permissions import MUTATIONS

FILE = Path(__file__).parents[1] / "schema.graphql"
NEEDS_FILE = Path(__file__).parents[2] / "dashboard" / "src" / "lib" / "needs.json"


def sdl() -> str:
    """The merged schema, sorted by name."""

    def nested(_table: str, _attribute: str) -> Any:
        return lambda _payload, _info: None  # a schema that is printed resolves nothing

    schema, _ = build_schema(nested, cache_size=1, cache_bytes=1)
    return print_schema(lexicographic_sort_schema(schema)) + "\n"


def needs() -> str:
    """By mutation, its permissions with a space between them: the pages hide what would be refused."""
    return (
        json.dumps(
            {name: " ".join(sorted(MUTATIONS[name])) for name in sorted(MUTATIONS)}, indent=2
        )
        + "\n"
    )


if __name__ == "__main__":
    FILE.write_text(sdl())
    NEEDS_FILE.write_text(needs())

"""The web pages hide what the server would refuse: they know the permissions that it asks for."""

from services.gateway.graphql.export import NEEDS_FILE, needs


def test_the_pages_know_what_each_mutation_needs() -> None:
    assert NEEDS_FILE.read_text() == needs(), "run `make generate` and review the diff"

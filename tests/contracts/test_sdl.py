"""The committed schema is the one that is served."""

from services.gateway.graphql.export import FILE, sdl


def test_the_committed_schema_is_the_one_that_is_served() -> None:
    assert FILE.read_text() == sdl(), "run `make generate` and review the diff"

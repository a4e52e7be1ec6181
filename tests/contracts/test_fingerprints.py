"""Messages do not change by accident."""

import json

from tests.contracts.fingerprint import FILE, fingerprints


def test_every_message_has_the_shape_that_was_reviewed() -> None:
    assert fingerprints() == json.loads(FILE.read_text()), "run `make generate` and review the diff"

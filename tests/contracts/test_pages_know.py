"""What the web pages know of the server is what the server says: permissions, and variables of messages."""

import json

from services.automations.domain.messages import KNOWN
from services.gateway.graphql.export import NEEDS_FILE, needs

SAMPLES = NEEDS_FILE.parent / "sampleEvents.json"


def test_the_pages_know_what_each_mutation_needs() -> None:
    assert NEEDS_FILE.read_text() == needs(), "run `make generate` and review the diff"


def test_the_samples_of_events_have_every_variable_that_a_message_may_name() -> None:
    shown = {name for sample in json.loads(SAMPLES.read_text()).values() for name in sample}

    # A digest alone has a count.
    assert shown == KNOWN - {"count"}

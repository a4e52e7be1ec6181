"""Templates: what is put in, what stays, and how large the result is."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.automations.domain import templates
from services.automations.domain.messages import KNOWN, values_of

TEXT = st.text(max_size=200)
LIMIT = 64 * 1024


def test_a_name_is_replaced_and_an_unknown_one_stays_as_it_is_written() -> None:
    found = templates.rendered(
        "{state} of {flow_name}, {x}, {", {"state": "Failed", "flow_name": "etl"}
    )

    assert found == "Failed of etl, {x}, {"


def test_what_is_put_in_is_not_looked_at_again() -> None:
    assert templates.rendered("{state}", {"state": "{id}", "id": "secret"}) == "{id}"


@pytest.mark.parametrize(
    "odd", ["{state.__class__}", "{state!r}", "{state:>9}", "{0}", "{state[0]}", "{{% x %}}"]
)
def test_nothing_is_evaluated(odd: str) -> None:
    assert templates.rendered(odd, {"state": "Failed"}) == odd


def test_json_stays_json_whatever_the_values_are() -> None:
    template = {"text": 'a "{state}"', "{state}": ["{state}", 1, None, {"deep": "{state}"}]}
    value = '","evil":"\\u0041\r\n{}'

    found = templates.rendered_json(template, {"state": value})

    assert orjson.loads(orjson.dumps(found)) == {
        "text": f'a "{value}"',
        value: [value, 1, None, {"deep": value}],
    }


@given(
    st.recursive(
        st.one_of(
            st.none(), st.booleans(), TEXT, st.sampled_from(["{state_message}", "{id}{id}", "{x}"])
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=5), st.dictionaries(TEXT, inner, max_size=5)
        ),
        max_leaves=30,
    ),
    TEXT,
    st.integers(min_value=0, max_value=1_000),
)
def test_no_template_and_no_value_makes_more_than_64_kib_of_valid_json(
    template: Any, unit: str, times: int
) -> None:
    found = orjson.dumps(
        templates.rendered_json(template, {"state_message": unit * times, "id": "1"})
    )

    orjson.loads(found)
    assert len(found) <= max(LIMIT, len(orjson.dumps(template)))


@given(st.text(max_size=300), st.integers(min_value=0, max_value=400))
def test_a_cut_text_fits_and_a_short_one_stays(text: str, limit: int) -> None:
    found = templates.cut(text, limit)

    assert len(orjson.dumps(found)) - 2 <= limit
    assert found == text or len(orjson.dumps(text)) - 2 > limit


def test_a_megabyte_of_state_message_leaves_the_rest_of_the_event_readable() -> None:
    event = {
        "id": "7",
        "flow_name": "etl",
        "state_message": "\x01" * 1_000_000,
        "labels": ["a" * 9000],
    }

    found = templates.shortened_json(event)

    assert len(orjson.dumps(found)) <= LIMIT
    assert (found["id"], found["flow_name"], found["labels"]) == ("7", "etl", ["a" * 9000])
    assert found["state_message"].endswith("...")


def test_a_hundred_places_share_the_room() -> None:
    found = templates.rendered("{state_message}" * 100, {"state_message": "x" * 1_000_000})

    assert len(found) <= LIMIT
    assert found.count("...") == 100


@pytest.mark.parametrize("evil", ["a\r\nX-Other: 1", "a\nb", "a\x00b", "a\x0bb", "a\x7fb"])
def test_no_value_begins_another_header(evil: str) -> None:
    found = templates.header_value(evil)

    assert all(ord(letter) >= 32 and ord(letter) != 127 for letter in found)


@pytest.mark.parametrize("evil", ["X Y", "X:Y", "X\r\nY", "", "\u00e4"])
def test_what_is_no_name_of_a_header_is_none(evil: str) -> None:
    assert templates.header_name(evil) is None


def test_a_channel_is_not_called_by_a_state_message() -> None:
    found = templates.rendered(
        "<!here> {state_message}",
        {"state_message": "<!channel> & <@U1>"},
        escape=templates.for_slack,
    )

    assert found == "<!here> &lt;!channel&gt; &amp; &lt;@U1&gt;"


def test_unknown_names_are_named_once_in_their_order() -> None:
    found = templates.unknown_names({"a": "{y} {state}", "{z}": ["{y}"]}, KNOWN)

    assert found == ["z", "y"]


def test_every_alias_is_served_beside_its_name() -> None:
    values = values_of(
        "FlowSLAFailedEvent",
        {
            "id": "1",
            "kind": "SCHEDULED_NOT_STARTED",
            "duration_seconds": 60,
            "unhealthy_agent_ids": ["a", "b"],
        },
    )
    template = "{event_id} {event_type} {flow_sla_type} {duration} {agent_ids}"

    assert (
        templates.rendered(template, values) == "1 FlowSLAFailedEvent SCHEDULED_NOT_STARTED 60 a, b"
    )

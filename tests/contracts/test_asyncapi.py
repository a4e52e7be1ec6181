"""The AsyncAPI document is the code's, and it leaves no subject out."""

from libs.contracts import asyncapi, subjects


def test_the_committed_document_is_the_one_the_code_makes() -> None:
    assert asyncapi.FILE.read_text() == asyncapi.text(), "run `make generate` and review the diff"


def test_every_subject_is_a_channel_that_says_what_it_carries() -> None:
    channels = asyncapi.document()["channels"]
    empty = {subject.template for subject in asyncapi.EMPTY}

    carried = {c["address"]: bool(c["messages"]) for c in channels.values()}

    assert carried == {s.template: s.template not in empty for s in subjects.ALL}


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = asyncapi.document()

    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [r for value in node.values() for r in references(value)]
        if isinstance(node, list):
            return [r for value in node for r in references(value)]
        return []

    for reference in references(document):
        place: object = document
        for part in reference.removeprefix("#/").split("/"):
            assert isinstance(place, dict)
            place = place[part]

"""Inputs become the declared dataclasses, in both dialects, as Strawberry itself would make them."""

from dataclasses import dataclass

from strawberry import UNSET

from services.gateway.graphql.dialect import _built, _snake


@dataclass
class Leaf:
    """An item; what may be left out has a default."""

    run_id: str
    version: int | None = UNSET


@dataclass
class Whole:
    """Every form in which a dataclass stands in another."""

    note: str | None
    one: Leaf
    some: list[Leaf]
    maybe: list[Leaf] | None = None
    names: list[str] | None = None


def test_what_is_nested_is_made_and_what_is_left_out_has_its_default_or_null() -> None:
    made = _built(Whole, _snake)(
        {
            "one": {"run_id": "a", "version": None},
            "some": [{"run_id": "b"}, {"run_id": "c", "version": 3}],
            "names": ["x"],
        }
    )

    assert made == Whole(
        one=Leaf("a", None),
        some=[Leaf("b", UNSET), Leaf("c", 3)],
        maybe=None,
        names=["x"],
        note=None,
    )


def test_a_null_in_the_place_of_a_list_stays_one() -> None:
    made = _built(Whole, _snake)({"one": {"run_id": "a"}, "some": [], "maybe": None})

    assert made.note is None
    assert made.maybe is None
    assert made.some == []


def test_the_names_are_those_of_the_dialect() -> None:
    made = _built(Leaf, lambda name: name.replace("run_id", "runId"))({"runId": "a"})

    assert made == Leaf("a", UNSET)

"""Which label sets an agent may serve."""

from services.runs.domain.queue import MAX_ENUMERATED_LABELS, servable_label_sets


def test_an_agent_without_labels_serves_runs_without() -> None:
    assert servable_label_sets([]) == [[]]


def test_an_agent_with_labels_serves_every_subset_but_the_empty_one() -> None:
    assert servable_label_sets(["a", "b"]) == [["a"], ["b"], ["a", "b"]]


def test_too_many_labels_are_not_enumerated() -> None:
    labels = [str(n) for n in range(MAX_ENUMERATED_LABELS + 1)]

    assert servable_label_sets(labels) is None
    assert len(servable_label_sets(labels[:-1]) or []) == 127

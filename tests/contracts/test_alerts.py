"""The evaluation of alert rules that tests/faults uses reads every rule, and agrees with PromQL where it is simple."""

import pytest

from tests.support.alerts import Labels, Rule, Sample, rules

RUNS: Labels = frozenset({("service", "runs"), ("event", "closed")})
GATEWAY: Labels = frozenset({("service", "gateway"), ("event", "closed")})


def scrapes(*values: float) -> list[tuple[float, Sample]]:
    """One a second, of the ledger's series; the gateway's stays at 0."""
    return [
        (float(second), {("m_total", RUNS): value, ("m_total", GATEWAY): 0.0})
        for second, value in enumerate(values)
    ]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_every_rule_can_be_read(rule: Rule) -> None:
    assert rule.parsed()


@pytest.mark.parametrize(
    ("expression", "fires"),
    [
        ("m_total > 2", [RUNS]),
        ("m_total > 3", []),
        ('m_total{event=~"closed|lost"} >= 3', [RUNS]),
        ('m_total{event="lost"} >= 0', []),
        ("increase(m_total[1s]) > 0", [RUNS]),
        ("increase(m_total[1s]) > 2", []),
        ("rate(m_total[3s]) == 1", [RUNS]),
        ("sum by (event) (rate(m_total[3s])) == 1", [frozenset({("event", "closed")})]),
    ],
)
def test_a_rule_fires_for_the_series_that_fulfil_it(expression: str, fires: list[Labels]) -> None:
    rule = Rule("x", expression, held_for=0)
    history = scrapes(0, 1, 1, 3)

    rule.look(history)

    assert rule.fires(history[-1][0]) == fires


def test_a_rule_fires_when_it_has_held_for_long_enough_without_a_break() -> None:
    rule = Rule("x", "m_total > 0", held_for=2)
    history = scrapes(1, 0, 1, 1, 1)

    fired = []
    for number in range(len(history)):
        rule.look(history[: number + 1])
        fired.append(bool(rule.fires(history[number][0])))

    assert fired == [False, False, False, False, True]

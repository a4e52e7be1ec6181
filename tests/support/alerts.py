"""What Prometheus would make of deploy/observability/alerts.yml: scrape a service, evaluate the rules, say what fires.

The subset of PromQL that the rules use: a comparison of a selector, or of `rate` or `increase` of one, or of a sum of
such, with a number. A rule that says more cannot be read, and the test of that name fails.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families

FILE = Path(__file__).parents[2] / "deploy" / "observability" / "alerts.yml"
_SELECTOR = r"(?P<metric>\w+)(?:\{(?P<matchers>[^}]*)\})?"
_EXPRESSION = re.compile(
    r"^(?:sum by \((?P<by>[^)]*)\) \()?(?:(?P<function>rate|increase)\()?"
    + _SELECTOR
    + r"(?:\[(?P<window>\w+)\])?\)*\s*(?P<comparison>==|>=|<=|>|<)\s*(?P<threshold>[\d.]+)$"
)
_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_UNITS = {"s": 1, "m": 60, "h": 3600}

Labels = frozenset[tuple[str, str]]
Sample = dict[tuple[str, Labels], float]


def seconds(text: str) -> float:
    """`15s`, `5m`."""
    return float(text[:-1]) * _UNITS[text[-1]]


@dataclass(slots=True)
class Rule:
    """One alert."""

    name: str
    expression: str
    held_for: float
    since: dict[Labels, float] = field(default_factory=dict)
    """When each series began to fulfil the expression."""

    def parsed(self) -> re.Match[str]:
        """Its parts; AssertionError where it is beyond the subset."""
        found = _EXPRESSION.match(self.expression)
        assert found is not None, f"{self.name}: cannot read {self.expression}"
        return found

    def look(self, history: list[tuple[float, Sample]]) -> None:
        """Evaluate at the newest scrape."""
        part = self.parsed()
        now, newest = history[-1]
        values = _selected(newest, part)
        if part["function"]:
            window = seconds(part["window"])
            began, oldest = next((t, s) for t, s in history if t >= now - window)
            before = _selected(oldest, part)
            span = max(now - began, 1.0) if part["function"] == "rate" else 1.0
            values = {k: (v - before.get(k, 0.0)) / span for k, v in values.items()}
        if part["by"] is not None:
            values = _summed(values, {name.strip() for name in part["by"].split(",")})
        holds = _COMPARISONS[part["comparison"]]
        true = {k for k, v in values.items() if holds(v, float(part["threshold"]))}
        self.since = {k: self.since.get(k, now) for k in true}

    def fires(self, now: float) -> list[Labels]:
        """For which series it has held long enough."""
        return [labels for labels, began in self.since.items() if now - began >= self.held_for]


def rules() -> list[Rule]:
    """Those of the services. Those of the deployment say more, and a real Prometheus reads them (tests/deploy)."""
    groups: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"]
    return [
        Rule(rule["alert"], rule["expr"], seconds(rule.get("for", "0s")))
        for group in groups
        if group["name"] == "headwater"
        for rule in group["rules"]
    ]


@dataclass(slots=True)
class Prometheus:
    """Scrapes one address and evaluates every rule at each scrape. An address has `patience` seconds to answer."""

    url: str
    patience: float = 30.0
    rules: list[Rule] = field(default_factory=rules)
    history: list[tuple[float, Sample]] = field(default_factory=list)

    async def scrape(self, now: float) -> None:
        """Look once. An address that does not answer is `up == 0`."""
        sample: Sample = {}
        try:
            async with httpx.AsyncClient(timeout=self.patience) as http:
                text = (await http.get(f"{self.url}/metrics")).raise_for_status().text
        except httpx.HTTPError:
            sample["up", frozenset({("job", "headwater")})] = 0
        else:
            sample["up", frozenset({("job", "headwater")})] = 1
            for family in text_string_to_metric_families(text):
                for item in family.samples:
                    sample[item.name, frozenset(item.labels.items())] = item.value
        self.history.append((now, sample))
        for rule in self.rules:
            rule.look(self.history)

    def firing(self) -> dict[str, list[dict[str, str]]]:
        """The alerts that fire at the last scrape, with their labels."""
        now = self.history[-1][0]
        found = {rule.name: [dict(labels) for labels in rule.fires(now)] for rule in self.rules}
        return {name: series for name, series in found.items() if series}


def _selected(sample: Sample, part: re.Match[str]) -> dict[Labels, float]:
    matchers = _MATCHER.findall(part["matchers"] or "")
    return {
        labels: value
        for (name, labels), value in sample.items()
        if name == part["metric"]
        and all(_matches(dict(labels).get(key, ""), how, text) for key, how, text in matchers)
    }


def _matches(value: str, how: str, text: str) -> bool:
    return value == text if how == "=" else re.fullmatch(text, value) is not None


def _summed(values: dict[Labels, float], by: set[str]) -> dict[Labels, float]:
    sums: dict[Labels, float] = {}
    for labels, value in values.items():
        key = frozenset((name, text) for name, text in labels if name in by)
        sums[key] = sums.get(key, 0.0) + value
    return sums

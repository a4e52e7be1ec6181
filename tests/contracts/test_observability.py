"""Dashboards, alerts and the runbook speak of metrics that exist, and every metric is set by somebody."""

import json
import re
from pathlib import Path

import yaml
from prometheus_client.metrics import MetricWrapperBase

from libs.runtime import metrics

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "observability"
NAME = re.compile(r"\bheadwater_[a-z_]+\b")
DECLARED = {k: v for k, v in vars(metrics).items() if isinstance(v, MetricWrapperBase)}


def exposed() -> set[str]:
    """The names under which Prometheus sees the metrics."""
    names = set()
    for metric in DECLARED.values():
        name, kind = metric._name, str(metric._type)
        suffixes = {
            "counter": ("_total",),
            "gauge": ("",),
            "histogram": ("_bucket", "_sum", "_count"),
        }[kind]
        names |= {name + suffix for suffix in suffixes}
    return names


def alerts() -> list[dict[str, object]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_alerts_ask_for_metrics_that_exist() -> None:
    asked = {name for rule in alerts() for name in NAME.findall(str(rule["expr"]))}

    assert asked
    assert asked <= exposed()


def test_the_dashboard_asks_for_metrics_that_exist_and_shows_them_all() -> None:
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    asked = {
        name
        for p in panels
        for target in p.get("targets", ())
        for name in NAME.findall(target["expr"])
    }
    families = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked}
    on_alerts = {
        re.sub(r"_(total|bucket|sum|count)$", "", name)
        for rule in alerts()
        for name in NAME.findall(str(rule["expr"]))
    }

    assert asked <= exposed()
    unseen = {m._name for m in DECLARED.values()} - families - on_alerts
    assert unseen <= {
        "headwater_commit_seconds",
        "headwater_tick_seconds",
        "headwater_outbox_published",
    }


def test_every_alert_has_a_section_in_the_runbook() -> None:
    runbook = (FOLDER / "runbook.md").read_text()
    sections = set(re.findall(r"^## (\w+)$", runbook, re.MULTILINE))

    assert {str(rule["alert"]) for rule in alerts()} == sections


def test_every_metric_is_set_somewhere() -> None:
    sources = "\n".join(
        path.read_text()
        for folder in ("libs", "services")
        for path in (ROOT / folder).rglob("*.py")
    )

    assert [name for name in DECLARED if f"metrics.{name}" not in sources] == []

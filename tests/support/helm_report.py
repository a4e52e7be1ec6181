"""Run by the environment of `tests/deploy/requirements.txt`, which has Helm: `helm_report.py <chart> < values.json`.

Lints and renders the chart with the values, and validates every object against the schemas of Kubernetes. Prints one
JSON object: `lint` (messages), `refused` (why Helm would not render, or null), `objects` and `invalid`.
"""

import json
import sys
from typing import Any

import helm_python as helm  # type: ignore[import-not-found] # only in that environment
import kubernetes_validate  # type: ignore[import-not-found] # as above
import yaml

_KUBERNETES = "1.34"
_OF_OTHERS = ("monitoring.coreos.com/",)
"""Kinds whose schemas Kubernetes does not bring."""


def report(path: str, values: dict[str, Any]) -> dict[str, Any]:
    """What Helm and the schemas say."""
    linted = helm.lint(path, values, strict=True, namespace="flows")
    chart = helm.Chart.load(path)
    try:
        chart.validate_schema(values)
        rendered = chart.render(values, name="hw", namespace="flows", is_install=True)
    except helm.HelmError as error:
        return {"lint": linted, "refused": str(error), "objects": [], "invalid": []}
    objects = [
        found
        for name, text in rendered.items()
        if name.endswith(".yaml")
        for found in yaml.safe_load_all(text)
        if found
    ]
    return {"lint": linted, "refused": None, "objects": objects, "invalid": _invalid(objects)}


def _invalid(objects: list[dict[str, Any]]) -> list[str]:
    complaints = []
    for each in objects:
        if each["apiVersion"].startswith(_OF_OTHERS):
            continue
        try:
            kubernetes_validate.validate(each, _KUBERNETES, strict=True)
        except Exception as error:  # its classes differ by what is wrong; each is a complaint
            complaints.append(f"{each['kind']} {each['metadata']['name']}: {error}")
    return complaints


if __name__ == "__main__":
    json.dump(report(sys.argv[1], json.load(sys.stdin)), sys.stdout)

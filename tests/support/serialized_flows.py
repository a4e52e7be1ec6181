"""Serialized flows as Core writes them: a test says only what matters to it."""

from base64 import b64encode
from collections.abc import Sequence
from gzip import compress
from itertools import pairwise
from typing import Any

import orjson

Json = dict[str, Any]


def a_task(slug: str, **fields: Any) -> Json:
    """A task as Core 1.4.1 writes it."""
    return {
        "slug": slug,
        "name": slug.rsplit("-", 1)[0],
        "type": "prefect.tasks.core.function.FunctionTask",
        "tags": [],
        "max_retries": 0,
        "retry_delay": None,
        "timeout": None,
        "trigger": {"fn": "prefect.triggers.all_successful", "kwargs": {}},
        "skip_on_upstream_skip": True,
        "cache_for": None,
        "cache_key": None,
        "cache_validator": {"fn": "prefect.engine.cache_validators.never_use", "kwargs": {}},
        "auto_generated": False,
        "inputs": {},
        "outputs": "typing.Any",
        "__version__": "1.4.1",
    } | fields


def an_edge(upstream: str, downstream: str, **fields: Any) -> Json:
    """An edge as Core 1.4.1 writes it."""
    return {
        "upstream_task": {"slug": upstream, "__version__": "1.4.1"},
        "downstream_task": {"slug": downstream, "__version__": "1.4.1"},
        "key": None,
        "mapped": False,
        "flattened": False,
        "__version__": "1.4.1",
    } | fields


def diamond() -> list[Json]:
    """The edges of a, b, c and d where d waits for both b and c; b is mapped."""
    return [
        an_edge("a", "b", mapped=True),
        an_edge("a", "c"),
        an_edge("b", "d", key="x"),
        an_edge("c", "d", key="y"),
    ]


def without_parts(serialized: Json) -> Json:
    """What Core 1.x sends first: the flow without tasks and edges."""
    return {key: value for key, value in serialized.items() if key not in ("tasks", "edges")}


def a_parameter(name: str, **fields: Any) -> Json:
    """An optional parameter as Core 1.4.1 writes it."""
    return {
        "name": name,
        "slug": name,
        "required": False,
        "default": None,
        "tags": [],
        "outputs": "typing.Any",
        "type": "prefect.core.parameter.Parameter",
        "__version__": "1.4.1",
    } | fields


def a_schedule(*clocks: Json, **fields: Any) -> Json:
    """A schedule of these clocks, or of one that fires every hour."""
    return {
        "clocks": list(clocks) or [an_interval()],
        "filters": [],
        "or_filters": [],
        "not_filters": [],
        "adjustments": [],
        "__version__": "1.4.1",
    } | fields


def an_interval(seconds: int = 3600, **fields: Any) -> Json:
    """A clock that fires every so many seconds."""
    return {
        "type": "IntervalClock",
        "interval": seconds * 1_000_000,
        "start_date": None,
        "end_date": None,
        "parameter_defaults": {},
        "labels": None,
        "__version__": "1.4.1",
    } | fields


def a_cron(expression: str = "0 9 * * 1-5", **fields: Any) -> Json:
    """A cron clock."""
    return {
        "type": "CronClock",
        "cron": expression,
        "day_or": True,
        "start_date": None,
        "end_date": None,
        "parameter_defaults": {},
        "labels": None,
        "__version__": "1.4.1",
    } | fields


def a_flow(
    name: str = "orders", *, tasks: Sequence[str] = ("extract-1", "load-1"), **fields: Any
) -> Json:
    """A flow whose tasks follow one another."""
    return {
        "name": name,
        "type": "prefect.core.flow.Flow",
        "schedule": None,
        "parameters": [],
        "tasks": [a_task(slug) for slug in tasks],
        "edges": [an_edge(upstream, downstream) for upstream, downstream in pairwise(tasks)],
        "reference_tasks": [],
        "run_config": {"type": "UniversalRun", "env": {}, "labels": []},
        "storage": {"type": "Local", "directory": "/flows", "flows": {}, "secrets": []},
        "__version__": "1.4.1",
    } | fields


def compressed(value: Any) -> str:
    """As clients compress: base64(gzip(json))."""
    return b64encode(compress(orjson.dumps(value), mtime=0)).decode()

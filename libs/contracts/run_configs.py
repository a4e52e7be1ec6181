"""Run configs that Prefect's agents can read: the `RunConfigSchema` of Core 1.4.1, which includes all earlier ones.

An agent parses the run config of each of its runs. A config that it cannot parse is an error in the agent, each time.
So such a config is refused when it is set, for a flow, a group or a run. Unknown fields are ignored.
"""

from collections.abc import Callable, Mapping
from typing import Any

_Check = tuple[str, Callable[[Any], bool]]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_whole_number(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.strip().isdecimal())


def _list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(check(item) for item in value)


_TEXT: _Check = ("a string", _is_text)
_OBJECT: _Check = ("an object", _is_object)
_TEXTS: _Check = ("a list of strings", _list_of(_is_text))
_OBJECTS: _Check = ("a list of objects", _list_of(_is_object))
_NUMBERS: _Check = ("a list of whole numbers", _list_of(_is_whole_number))
_POLICY: _Check = (
    "'Always', 'IfNotPresent' or 'Never'",
    lambda value: value in ("Always", "IfNotPresent", "Never"),
)

TYPES: dict[str, Mapping[str, _Check]] = {
    "UniversalRun": {},
    "LocalRun": {"working_dir": _TEXT},
    "DockerRun": {"image": _TEXT, "ports": _NUMBERS, "host_config": _OBJECT},
    "KubernetesRun": {
        "image_pull_secrets": _TEXTS,
        "image_pull_policy": _POLICY,
        **dict.fromkeys(
            (
                "job_template_path", "image", "cpu_limit", "cpu_request", "memory_limit", "memory_request",
                "service_account_name",
            ),
            _TEXT,
        ),
    },
    "ECSRun": dict.fromkeys(
        (
            "task_definition_path", "task_definition_arn", "image", "cpu", "memory", "task_role_arn",
            "execution_role_arn",
        ),
        _TEXT,
    ),
    "VertexRun": {
        "scheduling": _OBJECT,
        "worker_pool_specs": _OBJECTS,
        **dict.fromkeys(("image", "machine_type", "service_account", "network"), _TEXT),
    },
}  # fmt: skip
_ALONE = {
    "KubernetesRun": (("job_template", "job_template_path"),),
    "ECSRun": (
        ("task_definition", "task_definition_path", "task_definition_arn"),
        ("task_definition_arn", "image"),
    ),
}
"""At most one of these fields may be given."""


ENVIRONMENTS = frozenset(
    {
        "CloudEnvironment", "CustomEnvironment", "DaskKubernetesEnvironment", "Environment", "FargateTaskEnvironment",
        "KubernetesJobEnvironment", "LocalEnvironment", "RemoteDaskEnvironment", "RemoteEnvironment",
    }
)  # fmt: skip
"""The form before run configs: the `EnvironmentSchema` of Core 0.6 to 0.14. A user's own class is sent as
CustomEnvironment."""


def complaint_about_environment(environment: Any, *, path: str = "environment") -> str | None:
    """Why an agent could not parse this environment of a client before 0.14, as `complaint_about`. An empty one counts
    as none."""
    if not environment:
        return None
    if not isinstance(environment, dict):
        return f"{path}: an object is expected"
    kind = environment.get("type")
    if not isinstance(kind, str) or kind not in ENVIRONMENTS:
        given = "a type is expected" if kind is None else f"{kind!r:.100} is unknown to agents"
        return f"{path}.type: {given}; known are {', '.join(sorted(ENVIRONMENTS))}"
    if not _TEXTS[1](environment.get("labels", [])):
        return f"{path}.labels: a list of strings is expected; leave it out for none"
    return None


def complaint_about(run_config: Any, *, path: str = "run_config") -> str | None:
    """Why an agent could not parse this run config, as a sentence that begins with the field; None if it could.

    Null is no run config, which is fine: the next level's applies.
    """
    if run_config is None:
        return None
    if not isinstance(run_config, dict):
        return f"{path}: an object is expected"
    kind = run_config.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        given = "a type is expected" if kind is None else f"{kind!r:.100} is unknown to agents"
        return f"{path}.type: {given}; known are {', '.join(sorted(TYPES))}"
    if run_config.get("labels", []) is None:
        return f"{path}.labels: a list of strings is expected; leave it out for none"
    for field, (what, check) in {"env": _OBJECT, "labels": _TEXTS, **TYPES[kind]}.items():
        value = run_config.get(field)
        if value is not None and not check(value):
            return f"{path}.{field}: {what} is expected"
    for alternatives in _ALONE.get(kind, ()):
        given_fields = [field for field in alternatives if run_config.get(field) is not None]
        if len(given_fields) > 1:
            return f"{path}: only one of {' and '.join(given_fields)} may be given"
    return None

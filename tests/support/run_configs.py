"""Run configs that agents can read, and such that they cannot, with what is said of those."""

from typing import Any

from libs.contracts.run_configs import TYPES

GOOD: list[dict[str, Any]] = [
    *({"type": name} for name in TYPES),
    {"type": "UniversalRun", "env": None, "labels": [], "__version__": "1.4.1"},
    {"type": "LocalRun", "env": {"N": 1}, "labels": ["b", "a"], "working_dir": "/srv", "new": {}},
    {"type": "DockerRun", "image": "i", "ports": [80, "81"], "host_config": {"cpu": 1}},
    {
        "type": "KubernetesRun",
        "job_template": {"kind": "Job"},
        "image_pull_secrets": ["s"],
        "image_pull_policy": "Never",
        "cpu_limit": "2",
    },
    {"type": "ECSRun", "task_definition": {"family": "f"}, "run_task_kwargs": {"a": 1}, "image": "i"},
    {"type": "VertexRun", "scheduling": {"t": 1}, "worker_pool_specs": [{"n": 1}]},
]  # fmt: skip
KNOWN = "DockerRun, ECSRun, KubernetesRun, LocalRun, UniversalRun, VertexRun"
BAD: list[tuple[Any, str]] = [
    (
        {"type": "NoSuchRun"},
        f"run_config.type: 'NoSuchRun' is unknown to agents; known are {KNOWN}",
    ),
    ({}, f"run_config.type: a type is expected; known are {KNOWN}"),
    ({"type": "LocalRun", "env": ["A"]}, "run_config.env: an object is expected"),
    ({"type": "LocalRun", "labels": "a"}, "run_config.labels: a list of strings is expected"),
    ({"type": "LocalRun", "labels": [1]}, "run_config.labels: a list of strings is expected"),
    (
        {"type": "LocalRun", "labels": None},
        "run_config.labels: a list of strings is expected; leave it out for none",
    ),
    ({"type": "LocalRun", "working_dir": 1}, "run_config.working_dir: a string is expected"),
    (
        {"type": "DockerRun", "ports": ["http"]},
        "run_config.ports: a list of whole numbers is expected",
    ),
    ({"type": "DockerRun", "host_config": "x"}, "run_config.host_config: an object is expected"),
    ({"type": "KubernetesRun", "cpu_limit": 2}, "run_config.cpu_limit: a string is expected"),
    (
        {"type": "KubernetesRun", "image_pull_policy": "Sometimes"},
        "run_config.image_pull_policy: 'Always', 'IfNotPresent' or 'Never' is expected",
    ),
    (
        {"type": "KubernetesRun", "job_template": {}, "job_template_path": "s3://b/p"},
        "run_config: only one of job_template and job_template_path may be given",
    ),
    (
        {"type": "ECSRun", "task_definition_arn": "a", "image": "i"},
        "run_config: only one of task_definition_arn and image may be given",
    ),
    (
        {"type": "VertexRun", "worker_pool_specs": [1]},
        "run_config.worker_pool_specs: a list of objects is expected",
    ),
]

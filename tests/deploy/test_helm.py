"""The Helm chart, linted and rendered by Helm and held to the schemas of Kubernetes."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import pytest
import yaml

from libs.contracts.services import SERVICES
from tests.offline.daemon import run
from tests.offline.stand_ins import CHECKOUT
from tests.support.containers import tools

pytestmark = pytest.mark.slow

CHART = CHECKOUT / "deploy/helm/headwater"

LEAST: dict[str, Any] = {
    "existingSecret": "headwater-secrets",
    "postgres": {"host": "pg.example"},
    "nats": {"host": "nats.example"},
}
EVERYTHING: dict[str, Any] = {
    "existingSecret": "headwater-secrets",
    "image": {"repository": "registry.example/headwater", "digest": f"sha256:{'0123' * 16}"},
    "postgres": {
        "hosts": ["pg1.example", "pg2.example:5433"],
        "options": "sslmode=verify-full&sslrootcert=/etc/headwater/tls/postgres-ca.crt",
    },
    "nats": {"hosts": ["n1.example", "n2.example:4223"], "scheme": "tls", "tlsCa": "nats-ca.crt"},
    "tls": {"existingSecret": "headwater-tls"},
    "env": {"HEADWATER_DRAIN_TIMEOUT": 10},
    "services": {
        "runs": {"replicas": 1, "env": {"HEADWATER_COMMIT_BATCH": 200}},
        "gateway": {"autoscaling": {"maxReplicas": 6}},
    },
    "ingress": {"enabled": True, "host": "flows.example", "className": "nginx", "tlsSecret": "t"},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "serviceAccountName": "headwater",
    "priorityClassName": "important",
    "extraVolumes": [{"name": "ca", "configMap": {"name": "receivers-ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    "extraEnv": [
        {"name": "MAIL", "valueFrom": {"secretKeyRef": {"name": "mail", "key": "server"}}}
    ],
    "secretsVersion": "2",
    "networkPolicy": {
        "apiFrom": [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
        ],
        "metricsFrom": [{"podSelector": {}}],
        "postgresTo": [{"ipBlock": {"cidr": "10.1.0.0/16"}}],
        "natsTo": [{"podSelector": {"matchLabels": {"app": "nats"}}}],
        "egress": [{"ports": [{"port": 4318}]}],
    },
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
}

Report = dict[str, Any]


async def report_on(values: dict[str, Any]) -> Report:
    command = [
        str(tools() / "bin/python"),
        str(CHECKOUT / "tests/support/helm_report.py"),
        str(CHART),
    ]
    said = await asyncio.to_thread(run, command, stdin=json.dumps(values).encode())
    # Helm says before it that it follows the link to the alerts.
    found: Report = json.loads(said.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
async def least() -> Report:
    return await report_on(LEAST)


@pytest.fixture(scope="module")
async def everything() -> Report:
    return await report_on(EVERYTHING)


@pytest.fixture(params=["least", "everything"])
def report(request: pytest.FixtureRequest, least: Report, everything: Report) -> Report:
    return {"least": least, "everything": everything}[request.param]


def objects(report: Report, kind: str) -> dict[str, dict[str, Any]]:
    found = [each for each in report["objects"] if each["kind"] == kind]
    by_name = {each["metadata"]["name"]: each for each in found}
    assert len(by_name) == len(found), f"two {kind} of one name"
    return by_name


def pods(report: Report) -> dict[str, dict[str, Any]]:
    both = objects(report, "Deployment") | objects(report, "Job")
    return {name: each["spec"]["template"]["spec"] for name, each in both.items()}


def variables(pod: dict[str, Any]) -> dict[str, Any]:
    [container] = pod["containers"]
    names = [variable["name"] for variable in container["env"]]
    assert len(set(names)) == len(names), "a variable is set twice"
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in container["env"]}


def test_helm_lints_it_without_a_complaint(report: Report) -> None:
    # 1 is information: that there is no icon.
    assert report["lint"]["errors"] == []
    assert [m for m in report["lint"]["messages"] if m["severity"] > 1] == []


def test_every_object_is_valid_for_kubernetes(report: Report) -> None:
    assert report["refused"] is None
    assert report["objects"]
    assert report["invalid"] == []


def test_each_service_is_a_deployment_and_each_job_a_hook(report: Report) -> None:
    jobs = objects(report, "Job")

    assert set(objects(report, "Deployment")) == {f"hw-{name}" for name in SERVICES}
    assert set(jobs) == {"hw-migrate", "hw-provision"}
    for job in jobs.values():
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_every_pod_is_locked_down(report: Report) -> None:
    for name, pod in pods(report).items():
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        assert container["securityContext"]["allowPrivilegeEscalation"] is False, name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert container["resources"]["limits"]["memory"], name
        assert container["resources"]["limits"]["cpu"], name
        assert container["resources"]["requests"]["cpu"], name


def test_every_service_is_probed(report: Report) -> None:
    for name, deployment in objects(report, "Deployment").items():
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        paths = [container[f"{p}Probe"]["httpGet"]["path"] for p in ("startup", "liveness", "readiness")]  # fmt: skip
        assert paths == ["/health", "/health", "/ready"], name


def test_no_password_is_in_the_chart(report: Report) -> None:
    assert objects(report, "Secret") == {}
    for name, pod in pods(report).items():
        for variable, value in variables(pod).items():
            if "PASSWORD" in variable or variable in {"HEADWATER_KEY_PEPPER", "HEADWATER_BOOTSTRAP_KEY"}:  # fmt: skip
                assert value["secretKeyRef"]["name"] == "headwater-secrets", (name, variable)


def test_each_service_logs_in_as_itself(least: Report) -> None:
    for name in SERVICES:
        found = variables(pods(least)[f"hw-{name}"])
        place = "pg.example:5432/headwater"
        assert found["HEADWATER_POSTGRES_URL"] == f"postgresql://headwater_{name}@{place}"
        assert found["HEADWATER_POSTGRES_PASSWORD"]["secretKeyRef"]["key"] == f"postgres-{name}"
        assert found["HEADWATER_NATS_URL"] == f"nats://{name}@nats.example:4222"
        assert found["HEADWATER_NATS_PASSWORD"]["secretKeyRef"]["key"] == f"nats-{name}"


def test_only_who_needs_them_gets_the_secrets(least: Report) -> None:
    keys = {
        name: {v["secretKeyRef"]["key"] for v in variables(pod).values() if isinstance(v, dict)}
        for name, pod in pods(least).items()
    }

    assert keys["hw-runs"] == {"postgres-runs", "nats-runs"}
    assert keys["hw-provision"] == {"nats-provision"}
    assert "key-pepper" in keys["hw-gateway"]
    assert [name for name in keys if "postgres-owner" in keys[name]] == ["hw-migrate"]


def test_disruption_budgets_are_for_what_has_replicas(least: Report, everything: Report) -> None:
    assert set(objects(least, "PodDisruptionBudget")) == {f"hw-{name}" for name in SERVICES}
    assert "hw-runs" not in objects(everything, "PodDisruptionBudget")


def test_every_selector_finds_its_pods_and_no_others(least: Report) -> None:
    labels = {
        name: each["spec"]["template"]["metadata"]["labels"]
        for name, each in (objects(least, "Deployment") | objects(least, "Job")).items()
    }

    def found(selector: dict[str, str]) -> set[str]:
        return {name for name, given in labels.items() if selector.items() <= given.items()}

    for kind in ("Deployment", "PodDisruptionBudget"):
        for name, each in objects(least, kind).items():
            assert found(each["spec"]["selector"]["matchLabels"]) == {name}
    assert found(objects(least, "Service")["hw"]["spec"]["selector"]) == {"hw-gateway"}


def policy(report: Report) -> dict[str, Any]:
    [found] = objects(report, "NetworkPolicy").values()
    spec: dict[str, Any] = found["spec"]
    return spec


def ports(rule: dict[str, Any]) -> list[int]:
    return [port["port"] for port in rule["ports"]]


def test_a_policy_holds_for_every_pod_in_both_directions_unless_it_is_turned_off(
    least: Report,
) -> None:
    wanted = policy(least)["podSelector"]["matchLabels"]

    assert policy(least)["policyTypes"] == ["Ingress", "Egress"]
    for each in (objects(least, "Deployment") | objects(least, "Job")).values():
        assert wanted.items() <= each["spec"]["template"]["metadata"]["labels"].items()


async def test_the_policy_can_be_turned_off() -> None:
    report = await report_on(LEAST | {"networkPolicy": {"enabled": False}})

    assert objects(report, "NetworkPolicy") == {}


def test_pods_reach_names_postgres_and_nats_and_are_reached_at_the_api_alone(least: Report) -> None:
    assert [ports(rule) for rule in policy(least)["ingress"]] == [[4200]]
    assert [ports(rule) for rule in policy(least)["egress"]] == [[53, 53], [5432], [4222]]


def test_the_policy_is_narrowed_to_the_peers_that_are_named(everything: Report) -> None:
    into, out = policy(everything)["ingress"], policy(everything)["egress"]

    assert [ports(rule) for rule in into] == [[4200], [4201]]
    assert all(rule["from"] for rule in into)
    assert [ports(rule) for rule in out] == [[53, 53], [5432, 5433], [4222, 4223], [4318]]
    assert out[1]["to"] == [{"ipBlock": {"cidr": "10.1.0.0/16"}}]
    assert out[2]["to"] == [{"podSelector": {"matchLabels": {"app": "nats"}}}]


def test_an_image_is_named_by_its_digest_where_one_is_given(
    least: Report, everything: Report
) -> None:
    images = {
        pod["containers"][0]["image"]
        for report in (least, everything)
        for pod in pods(report).values()
    }

    assert f"registry.example/headwater@sha256:{'0123' * 16}" in images
    assert len(images) == 2


def test_prometheus_finds_every_service(everything: Report) -> None:
    [monitor] = objects(everything, "ServiceMonitor").values()
    wanted = monitor["spec"]["selector"]["matchLabels"]
    services = objects(everything, "Service")

    found = {
        name for name, each in services.items() if wanted.items() <= each["metadata"]["labels"].items()
    }  # fmt: skip

    assert found == {"hw-metrics"}
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["endpoints"][0]["port"] == services["hw-metrics"]["spec"]["ports"][0]["name"]  # fmt: skip
    # The job's name, which the alerts ask for, is the value of this label.
    label = monitor["spec"]["jobLabel"]
    assert services["hw-metrics"]["metadata"]["labels"][label] == "headwater"


def test_the_alerts_are_those_of_the_file(least: Report, everything: Report) -> None:
    shipped = yaml.safe_load((CHECKOUT / "deploy/observability/alerts.yml").read_text())
    [rule] = objects(everything, "PrometheusRule").values()

    assert rule["spec"] == shipped
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert objects(least, "PrometheusRule") == {}


def test_a_service_with_an_autoscaler_leaves_the_number_to_it(
    least: Report, everything: Report
) -> None:
    [scaler] = objects(everything, "HorizontalPodAutoscaler").values()

    assert scaler["spec"]["scaleTargetRef"]["name"] == "hw-gateway"
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 6)
    assert "replicas" not in objects(everything, "Deployment")["hw-gateway"]["spec"]
    assert objects(least, "Deployment")["hw-gateway"]["spec"]["replicas"] == 2
    assert objects(least, "HorizontalPodAutoscaler") == {}


def test_pods_are_replaced_when_secrets_are(least: Report, everything: Report) -> None:
    def version(report: Report) -> set[str]:
        return {
            each["spec"]["template"]["metadata"]["annotations"]["headwater.io/secrets"]
            for each in objects(report, "Deployment").values()
        }

    assert len(version(least)) == len(version(everything)) == 1
    assert version(least) != version(everything)


def test_what_is_yours_reaches_every_pod(everything: Report) -> None:
    for name, pod in pods(everything).items():
        [container] = pod["containers"]
        assert pod["serviceAccountName"] == "headwater", name
        assert pod["priorityClassName"] == "important", name
        assert {"name": "ca", "configMap": {"name": "receivers-ca"}} in pod["volumes"], name
        assert "/etc/ca" in [mount["mountPath"] for mount in container["volumeMounts"]], name
    for name in SERVICES:
        assert "secretKeyRef" in variables(pods(everything)[f"hw-{name}"])["MAIL"]


def test_jobs_stay_with_their_logs(report: Report) -> None:
    for job in objects(report, "Job").values():
        policy = job["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert "hook-succeeded" not in policy
        assert job["spec"]["ttlSecondsAfterFinished"] == 604_800


def test_the_ingress_takes_bodies_as_large_as_the_gateway_does(everything: Report) -> None:
    [ingress] = objects(everything, "Ingress").values()

    assert (
        ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"] == "20m"
    )


def test_tls_and_variables_reach_the_pods(everything: Report) -> None:
    pod = pods(everything)["hw-runs"]
    found = variables(pod)

    assert "@pg1.example:5432,pg2.example:5433/headwater?" in found["HEADWATER_POSTGRES_URL"]
    assert found["HEADWATER_NATS_URL"] == "tls://runs@n1.example:4222,n2.example:4223"
    assert found["HEADWATER_NATS_TLS_CA"] == "/etc/headwater/tls/nats-ca.crt"
    assert found["HEADWATER_POSTGRES_URL"].endswith(
        "/headwater?sslmode=verify-full&sslrootcert=/etc/headwater/tls/postgres-ca.crt"
    )
    assert found["HEADWATER_COMMIT_BATCH"] == "200"
    assert found["HEADWATER_DRAIN_TIMEOUT"] == "10"
    assert {"name": "tls", "secret": {"secretName": "headwater-tls"}} in pod["volumes"]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"existingSecret": ""}, "existingSecret"),
        ({"postgres": {"host": ""}}, "postgres"),
        ({"nats": {"host": ""}}, "nats"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"networkPolicy": {"enable": False}}, "enable"),
        ({"nats": {"host": "n", "scheme": "http"}}, "scheme"),
        ({"nats": {"host": "n", "replicas": 7}}, "replicas"),
        ({"services": {"runs": {"replicas": 0}}}, "replicas"),
        ({"services": {"extra": {"replicas": 1, "resources": {}}}}, "extra"),
        ({"ingress": {"enabled": True}}, "host"),
        ({"services": {"runs": {"autoscaling": {"cpuPercent": 50}}}}, "maxReplicas"),
        ({"terminationGracePeriodSeconds": 5}, "terminationGracePeriodSeconds"),
    ],
)
async def test_wrong_values_are_refused_by_name(values: dict[str, Any], named: str) -> None:
    report = await report_on(copy.deepcopy(LEAST) | values)

    assert report["refused"] is not None
    assert named in report["refused"]

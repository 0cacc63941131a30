"""The Kubernetes manifests: valid for every version that they are said to be for, and they hold what they promise.

kubectl builds what kustomize puts together; where it is missing, the manifests are held to all of this as written.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service import settings
from service.metrics import Metrics
from service.settings import Settings
from service.supervisor import SLACK_SECONDS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker/kubernetes"
README = (FOLDER / "README.md").read_text()
VERSIONS = ("1.27", "1.37")
"""The oldest version in which every field takes effect unasked, and the newest whose schemas there are.

1.27 heeds `matchLabelKeys` of a spread and `unhealthyPodEvictionPolicy` by default.
"""

Manifest = dict[str, Any]


def written(name: str) -> Manifest:
    """A manifest of the base, as it is in its file."""
    return yaml.safe_load((FOLDER / f"base/{name}.yaml").read_text())


def built(folder: Path) -> dict[str, Manifest]:
    """What kustomize makes of a folder, by kind."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    manifests = list(yaml.safe_load_all(done.stdout))
    assert len(manifests) == len({manifest["kind"] for manifest in manifests})
    return {manifest["kind"]: manifest for manifest in manifests}


def valid(manifests: Iterator[Manifest]) -> None:
    """Raises what the strict schemas of both versions refuse, unknown fields too."""
    for manifest in manifests:
        for version in VERSIONS:
            assert kubernetes_validate.validate(manifest, version, strict=True) == version


def environment(text: str) -> dict[str, str]:
    """The variables of a file of `NAME=value` lines."""
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def seconds(duration: str) -> int:
    """Of a duration in the compose file, which writes all that matter here in seconds."""
    return int(duration.removesuffix("s"))


POD = written("deployment")["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
SETTINGS = environment((FOLDER / "base/settings.env").read_text())


@pytest.fixture(scope="module")
def compose() -> Manifest:
    """The compose file's service `api` with the defaults of its variables."""
    text = (ROOT / "docker-compose.yml").read_text()
    return yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))["services"]["api"]


@pytest.mark.parametrize("name", ["deployment", "service", "budget", "autoscaler"])
def test_a_manifest_is_valid_as_written(name: str) -> None:
    valid(iter([written(name)]))


def test_every_manifest_of_the_base_is_listed() -> None:
    listed = written("kustomization")["resources"]
    assert sorted(listed) == sorted({path.name for path in (FOLDER / "base").glob("*.yaml")} - {"kustomization.yaml"})


def test_the_versions_are_those_of_the_readme() -> None:
    assert f"For Kubernetes {VERSIONS[0]} to {VERSIONS[1]}" in README


@pytest.mark.parametrize("name", ["base", "gpu"])
def test_what_kustomize_builds_is_valid(name: str) -> None:
    manifests = built(FOLDER / name)
    assert sorted(manifests) == [
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "Service",
    ]
    valid(iter(manifests.values()))


def test_the_pods_take_their_settings_from_the_map_that_is_built() -> None:
    manifests = built(FOLDER / "base")
    container = manifests["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [{"configMapRef": {"name": manifests["ConfigMap"]["metadata"]["name"]}}]
    assert manifests["ConfigMap"]["data"] == SETTINGS


def test_the_gpu_s_pods_ask_for_one_and_refuse_to_do_without() -> None:
    manifests = built(FOLDER / "gpu")
    container = manifests["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "harmonium:gpu"
    assert container["resources"]["limits"] == {**CONTAINER["resources"]["limits"], "nvidia.com/gpu": 1}
    assert manifests["ConfigMap"]["data"] == {**SETTINGS, "HARMONIUM_DEVICE": "cuda"}


def test_the_readme_s_folder_is_built_and_takes_its_models_from_a_claim(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", README, re.S | re.M)
    path = "harmonium/docker/kubernetes/base"
    assert path in example
    example = example.replace(path, os.path.relpath(FOLDER / "base", tmp_path.resolve()))
    (tmp_path / "kustomization.yaml").write_text(example)
    manifests = built(tmp_path)
    valid(iter(manifests.values()))
    pod = manifests["Deployment"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "registry.example.com/harmonium:cpu-0.1.0"
    (models,) = (volume for volume in pod["volumes"] if volume["name"] == "models")
    assert models == {"name": "models", "persistentVolumeClaim": {"claimName": "harmonium-models"}}
    assert set(manifests["ConfigMap"]["data"]) - set(SETTINGS) == {"HARMONIUM_DEFAULT_RECOMMEND"}
    assert set(manifests["ConfigMap"]["data"]) <= names()


def names() -> set[str]:
    """The variables that the service reads."""
    return {settings.variable(field) for field in Settings.model_fields}


def test_every_setting_is_one_of_the_service_and_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = yaml.safe_load((FOLDER / "gpu/kustomization.yaml").read_text())["configMapGenerator"][0]["literals"]
    for name, value in {**SETTINGS, **environment("\n".join(gpu))}.items():
        assert name in names()
        monkeypatch.setenv(name, value)
    settings.read()


def test_no_service_of_the_namespace_sets_a_setting() -> None:
    """Kubernetes would tell every pod of a Service `harmonium` by HARMONIUM_PORT=tcp://..., a port to the service."""
    assert written("service")["metadata"]["name"].upper() + "_PORT" in names()
    assert POD["enableServiceLinks"] is False


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_a_probe_asks_for_what_the_service_has(probe: str) -> None:
    get = CONTAINER[probe]["httpGet"]
    assert "get" in json.loads((ROOT / "docs/openapi.json").read_text())["paths"][get["path"]]
    assert CONTAINER["ports"] == [{"name": get["port"], "containerPort": Settings().port}]


def test_only_readiness_asks_whether_calls_can_be_answered() -> None:
    """A pod without a model or a device stays and tells why: to start it anew would not help."""
    paths = {probe: CONTAINER[probe]["httpGet"]["path"] for probe in CONTAINER if probe.endswith("Probe")}
    assert paths == {"startupProbe": "/livez", "readinessProbe": "/readyz", "livenessProbe": "/livez"}


def test_probes_are_as_the_compose_file_s_health_check(compose: Manifest) -> None:
    check, ready, startup = compose["healthcheck"], CONTAINER["readinessProbe"], CONTAINER["startupProbe"]
    assert ready["periodSeconds"] == seconds(check["interval"])
    assert ready["timeoutSeconds"] == seconds(check["timeout"])
    assert ready["failureThreshold"] == check["retries"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == seconds(check["start_period"])


def test_a_pod_has_the_time_to_drain(compose: Manifest) -> None:
    """As long as in the compose file, but for the time that a proxy needs to notice."""
    here, there = (
        Settings.model_validate({name.removeprefix("HARMONIUM_").lower(): value for name, value in told.items()})
        for told in (SETTINGS, compose["environment"])
    )
    grace = POD["terminationGracePeriodSeconds"]
    assert grace >= here.leave_seconds + here.drain_seconds + SLACK_SECONDS
    assert grace - here.leave_seconds == seconds(compose["stop_grace_period"]) - there.leave_seconds
    assert here.drain_seconds == there.drain_seconds
    assert here.leave_seconds >= there.leave_seconds  # more proxies have to learn of it


def test_a_pod_has_what_the_compose_file_gives(compose: Manifest) -> None:
    assert CONTAINER["image"] == compose["image"]
    assert CONTAINER["resources"]["limits"]["memory"] == compose["mem_limit"].replace("g", "Gi")
    assert compose["volumes"] == ["models:/models:ro"]
    mounts = {mount["mountPath"]: (mount["name"], mount.get("readOnly", False)) for mount in CONTAINER["volumeMounts"]}
    assert mounts == {"/models": ("models", True), "/tmp": ("tmp", False)}
    assert compose["tmpfs"] == ["/tmp:size=64m,mode=1777"]
    (tmp,) = (volume for volume in POD["volumes"] if volume["name"] == "tmp")
    assert tmp["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}


def test_a_pod_passes_the_restricted_pod_security_standard() -> None:
    assert POD["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is False


def test_labels_and_selectors_agree() -> None:
    deployment = written("deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"] == {"matchLabels": labels}
    assert written("service")["spec"]["selector"] == labels
    assert written("budget")["spec"]["selector"] == {"matchLabels": labels}
    assert [spread["labelSelector"] for spread in POD["topologySpreadConstraints"]] == [{"matchLabels": labels}] * 2
    assert written("service")["spec"]["ports"][0]["targetPort"] == CONTAINER["ports"][0]["name"]


def test_the_autoscaler_owns_the_number_of_pods() -> None:
    deployment, autoscaler = written("deployment"), written("autoscaler")
    target = {"apiVersion": deployment["apiVersion"], "kind": "Deployment", "name": deployment["metadata"]["name"]}
    assert autoscaler["spec"]["scaleTargetRef"] == target
    assert "replicas" not in deployment["spec"]
    # Fewer would leave nobody while a node is drained.
    assert autoscaler["spec"]["minReplicas"] > written("budget")["spec"]["maxUnavailable"]


def test_the_pods_say_where_prometheus_finds_their_metrics() -> None:
    told = written("deployment")["spec"]["template"]["metadata"]["annotations"]
    assert told["prometheus.io/scrape"] == "true"
    assert told["prometheus.io/port"] == str(Settings().port)
    assert "get" in json.loads((ROOT / "docs/openapi.json").read_text())["paths"][told["prometheus.io/path"]]


def adapter() -> Manifest:
    """The rule for prometheus-adapter."""
    (rule,) = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    return rule


def test_the_autoscaler_asks_for_the_metric_that_the_adapter_makes() -> None:
    (metric,) = written("autoscaler")["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == adapter()["name"]["as"]


def test_the_adapter_asks_for_series_that_the_service_has() -> None:
    rule = adapter()
    asked = set(re.findall(r"harmonium_\w+", rule["seriesQuery"] + rule["metricsQuery"]))
    assert asked == {"harmonium_queue_depth", "harmonium_queue_limit"}
    assert asked <= {family.name for family in Metrics().collect()}


def test_the_adapter_s_query_is_the_share_of_the_fullest_queue(tmp_path: Path) -> None:
    """By Prometheus' own evaluation: two queues of pod `a`, one of pod `b`, one of a pod that nobody asked for.

    The two minutes hold four or five samples, as Prometheus' version counts; the average is the same.
    """
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    query = adapter()["metricsQuery"].replace("<<.GroupBy>>", "pod")
    query = query.replace("<<.LabelMatchers>>", 'namespace="here",pod=~"a|b"')
    series = {
        ("a", "pictures", "pixels"): ("16e6x8", "64e6x8"),
        ("a", "digits-gan.decode", "rows"): ("0 0 0 0 2000 4000 0 4000 0", "4000x8"),
        ("b", "pictures", "pixels"): ("0x8", "64e6x8"),
        ("other", "pictures", "pixels"): ("64e6x8", "64e6x8"),
    }
    given = [
        {
            "series": f'harmonium_queue_{name}{{namespace="here",pod="{pod}",queue="{queue}",unit="{unit}"}}',
            "values": values[which],
        }
        for (pod, queue, unit), values in series.items()
        for which, name in enumerate(("depth", "limit"))
    ]
    expected = [{"labels": '{pod="a"}', "value": 0.5}, {"labels": '{pod="b"}', "value": 0}]
    asked = [{"expr": query, "eval_time": "4m", "exp_samples": expected}]
    told = {"tests": [{"interval": "30s", "input_series": given, "promql_expr_test": asked}]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(told))
    done = subprocess.run(["promtool", "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()

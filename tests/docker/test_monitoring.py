"""docker/monitoring: Prometheus takes what is there, and what it asks for is what the service tells."""

import contextlib
import itertools
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from service.settings import Settings
from tests.docs.metrics import listed
from tests.processes import ROOT, running
from tests.robustness.conftest import calls
from tests.service.conftest import zoo

__all__ = ["zoo"]

FOLDER = ROOT / "docker" / "monitoring"
IMAGE = "prom/prometheus:v2.53.3"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana/dashboards/harmonium.json").read_text())
CONFIGURATION: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
COLUMNS = 24
"""Of Grafana's grid."""


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Title and expression of every query of the dashboard, with the variables that Grafana would put in."""
    values = {"job": "harmonium.*", "instance": ".+", "endpoint": ".+", "__rate_interval": "10s"}
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], re.sub(r"\$(\w+)", lambda found: values[found[1]], target["expr"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            selector = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
            assert selector is not None
            counted = f"count by ({selector[2]}) ({selector[1]})"
            yield variable["name"], re.sub(r"\$(\w+)", lambda found: values[found[1]], counted)


def have_image() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode == 0


def promtool(*arguments: str) -> None:
    if shutil.which("promtool"):
        command = ["promtool", *arguments]
    elif have_image():
        mount = f"{FOLDER}:/etc/prometheus:ro"
        inside = ["--workdir", "/etc/prometheus", "--entrypoint", "promtool"]
        command = ["docker", "run", "--rm", "--network", "none", "-v", mount, *inside, IMAGE, *arguments]
    else:
        pytest.skip(f"neither promtool nor the image {IMAGE} is there")
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_its_configuration_and_the_rules() -> None:
    promtool("check", "config", "prometheus.yml")


def test_alerts_fire_when_they_should() -> None:
    promtool("test", "rules", "alerts_test.yml")


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")}
    assert fired == {rule["alert"] for rule in RULES}


def test_every_alert_says_what_it_is() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_targets_are_the_services_of_the_compose_file() -> None:
    port = Settings.model_fields["port"].default
    found = {
        job["job_name"]: (place["names"], place["port"])
        for job in CONFIGURATION["scrape_configs"]
        for place in job.get("dns_sd_configs", [])
    }
    assert found == {"harmonium": (["api"], port), "harmonium-gpu": (["gpu"], port), "haproxy": (["proxy"], 8405)}


@pytest.mark.parametrize(
    "expression", [*(rule["expr"] for rule in RULES), *(expression for _, expression in queries())]
)
def test_expressions_name_metrics_and_labels_that_there_are(expression: str) -> None:
    """Those of the table in docs/operate.md, which is held against the service."""
    known = listed()
    for name in re.findall(r"\b(?:harmonium|process)_[a-z_]+", expression):
        assert name in known or known[re.sub(r"_(bucket|sum|count)$", "", name)].kind == "histogram", name
    labels = {"le", "job", "instance", "proxy"}.union(*(row.labels for row in known.values()))
    for group in re.findall(r"(?:by|on) \(([\w, ]+)\)", expression):
        assert set(group.split(", ")) <= labels, group
    for name, selector in re.findall(r"\b((?:harmonium|process)_[a-z_]+)\{([^}]*)\}", expression):
        row = known.get(name) or known[re.sub(r"_(bucket|sum|count)$", "", name)]
        assert set(re.findall(r"(\w+)[=!]", selector)) <= row.labels | {"job", "instance", "le"}, selector


def test_the_dashboard_is_one_that_grafana_reads() -> None:
    assert DASHBOARD["schemaVersion"] >= 36  # from then on a data source is a type and a uid
    assert DASHBOARD["uid"]
    assert "id" not in DASHBOARD  # Grafana gives it
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == source
        assert panel["type"] in ("stat", "timeseries", "heatmap", "table")
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        for target in panel["targets"]:
            assert target["datasource"] == source
            assert set(re.findall(r"\$\{?(\w+)", target["expr"])) <= names | {"__rate_interval"}
    for variable in DASHBOARD["templating"]["list"]:
        assert variable.get("datasource", source) == source


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= COLUMNS
        cells = set(
            itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))
        )
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_dashboard_shows_what_is_asked_of_it() -> None:
    """Every metric of the service itself is somewhere on it."""
    shown = " ".join(expression for _, expression in queries())
    assert {name for name in listed() if name.startswith("harmonium") and name not in shown} == set()


def test_grafana_finds_the_data_source_and_the_dashboard() -> None:
    (source,) = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert source["jsonData"]["timeInterval"] == CONFIGURATION["global"]["scrape_interval"]
    (provider,) = yaml.safe_load((FOLDER / "grafana/provisioning/dashboards/harmonium.yml").read_text())["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def prometheus(target: int, folder: Path) -> Iterator[httpx.Client]:
    """Prometheus with our configuration, but for where the service is, and scraping every second."""
    job = {"job_name": "harmonium", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
    often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    folder.mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(CONFIGURATION | {"global": often, "scrape_configs": [job]}))
    shutil.copy(FOLDER / "alerts.yml", folder)
    folder.chmod(0o755)
    port = free_port()
    command = ["docker", "run", "--detach", "--network", "host", "-v", f"{folder}:/etc/prometheus:ro", IMAGE]
    options = ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
    options.append(f"--web.listen-address=127.0.0.1:{port}")
    name = subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout.strip()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=True)


def answered(client: httpx.Client, expression: str) -> list[dict[str, Any]]:
    """The series of an instant query; none while Prometheus starts."""
    try:
        answer = client.get("/api/v1/query", params={"query": expression})
    except httpx.TransportError:
        return []
    if answer.status_code == 503:
        return []
    assert answer.status_code == 200, (expression, answer.text)
    return answer.json()["data"]["result"]


def test_every_query_of_the_dashboard_is_answered(zoo: Path, tmp_path: Path) -> None:
    if not have_image():
        pytest.skip(f"there is no Docker engine with the image {IMAGE}")
    (home := tmp_path / "home").mkdir()
    with running(zoo, home, workers="2") as service, prometheus(service.port, tmp_path / "prometheus") as client:
        asked, stop = calls(service.port), threading.Event()

        def load() -> None:
            with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=30) as caller:
                while not stop.is_set():
                    for call in asked:
                        caller.post(call.path, content=call.body, headers={"content-type": call.kind})
                    caller.post("/v1/generate", json={"count": 0})
                    caller.get("/readyz")

        caller = threading.Thread(target=load)
        caller.start()
        try:
            missing = {f"{title}: {expression}": expression for title, expression in queries()}
            end = time.monotonic() + 60
            while missing and time.monotonic() < end:
                missing = {title: expression for title, expression in missing.items() if not told(client, expression)}
            assert missing == {}
            firing = {alert["metric"]["alertname"] for alert in answered(client, "ALERTS")}
            assert firing <= {"HarmoniumSlow"}  # a machine may be busy; nothing else is the matter
            for rule in RULES:
                answered(client, rule["expr"])
        finally:
            stop.set()
            caller.join()


def told(client: httpx.Client, expression: str) -> bool:
    """Whether there is an answer, and each value of it a number."""
    series = answered(client, expression)
    return bool(series) and all(one["value"][1] != "NaN" for one in series)

"""docker-compose.yml as `docker compose` reads it: no engine is asked. `make image-check` runs it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT

HAPROXY = "haproxy:3.2"
OURS = {"api", "gpu", "train"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return configuration(ROOT, "--profile", "*")["services"]


def configuration(folder: Path, *options: str, **variables: str) -> dict[str, Any]:
    """The file as it is understood in a folder, whose `.env` counts."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("docker compose is not installed")
    command = ["docker", "compose", "--project-directory", str(folder), "-f", str(ROOT / "docker-compose.yml")]
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(folder)} | variables
    done = subprocess.run(
        [*command, *options, "config", "--format", "json"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_without_a_profile_there_is_the_api_alone(tmp_path: Path) -> None:
    assert set(configuration(tmp_path)["services"]) == {"api"}


def test_every_service_is_hardened_and_limited(services: dict[str, Any]) -> None:
    assert set(services) == OURS | {"proxy", "prometheus", "grafana"}
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["mem_limit"]) > 0, name
        assert service["pids_limit"] > 0, name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name
        assert service["restart"] == ("no" if name == "train" else "unless-stopped"), name
        assert not {"cap_add", "privileged", "network_mode", "pid", "gpus"} & set(service), name
        assert all("size=" in mounted for mounted in service.get("tmpfs", ())), name
        assert ":" in service["image"], name
        assert not service["image"].endswith(":latest"), name


def test_ports_are_published_on_this_machine_alone(services: dict[str, Any], tmp_path: Path) -> None:
    ports = {name: service["ports"][0] for name, service in services.items() if "ports" in service}
    assert {name: int(port["published"]) for name, port in ports.items()} == {
        "api": 8000, "gpu": 8001, "proxy": 8080, "prometheus": 9090, "grafana": 3000,
    }  # fmt: skip
    assert {port["host_ip"] for port in ports.values()} == {"127.0.0.1"}
    opened = configuration(tmp_path, PUBLISH_ADDRESS="0.0.0.0")["services"]["api"]["ports"]
    assert [port["host_ip"] for port in opened] == ["0.0.0.0"]


def test_settings_reach_the_service_but_for_those_that_are_fixed(tmp_path: Path) -> None:
    given = "HARMONIUM_LOG_LEVEL=debug\nHARMONIUM_PORT=9999\nHARMONIUM_HOST=127.0.0.1\nHARMONIUM_DEVICE=cuda\n"
    (tmp_path / ".env").write_text(given)
    environment = configuration(tmp_path, "--profile", "gpu")["services"]["api"]["environment"]
    assert environment["HARMONIUM_LOG_LEVEL"] == "debug"
    assert environment["HARMONIUM_PORT"] == "8000"
    assert environment["HARMONIUM_HOST"] == "0.0.0.0"
    assert environment["HARMONIUM_DEVICE"] == "cpu"


def test_limits_come_from_the_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MEMORY_LIMIT=1g\nCPU_LIMIT=1.5\nPIDS_LIMIT=64\nSTOP_GRACE=90s\n")
    api = configuration(tmp_path)["services"]["api"]
    assert (api["mem_limit"], api["cpus"], api["pids_limit"]) == (str(2**30), 1.5, 64)
    assert api["stop_grace_period"] == "1m30s"


def test_the_gpu_is_reserved_in_the_way_that_no_version_ignores(services: dict[str, Any]) -> None:
    (device,) = services["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", 1, ["gpu"])
    assert services["gpu"]["environment"]["HARMONIUM_DEVICE"] == "cuda"
    assert [name for name, service in services.items() if "deploy" in service] == ["gpu"]


def test_training_writes_where_the_service_reads(services: dict[str, Any], tmp_path: Path) -> None:
    def mounts(name: str) -> dict[str, tuple[str, bool]]:
        return {
            volume["target"]: (volume["source"], volume.get("read_only", False)) for volume in services[name]["volumes"]
        }

    assert mounts("api") == mounts("gpu") == {"/models": ("models", True)}
    assert mounts("train") == {
        "/models": ("models", False), "/app/var/runs": ("runs", False), "/data": ("data", True),
    }  # fmt: skip
    own = configuration(tmp_path, "--profile", "train", TRAIN_DATA="/srv/data")["services"]["train"]["volumes"]
    assert [(v["type"], v["source"]) for v in own if v["target"] == "/data"] == [("bind", "/srv/data")]


def test_names_of_services_that_do_not_run_stay_inside(services: dict[str, Any]) -> None:
    asking = {name for name, service in services.items() if service.get("dns") == ["127.0.0.1"]}
    assert asking == {"proxy", "prometheus", "grafana"}


def test_files_that_are_mounted_are_there(services: dict[str, Any]) -> None:
    binds = [v["source"] for s in services.values() for v in s.get("volumes", ()) if v["type"] == "bind"]
    assert len(binds) == 5
    assert [path for path in binds if not Path(path).exists()] == []


def test_haproxy_accepts_its_configuration(services: dict[str, Any]) -> None:
    assert services["proxy"]["image"] == HAPROXY
    have = shutil.which("docker") and subprocess.run(["docker", "image", "inspect", HAPROXY], capture_output=True)
    if not have or have.returncode:
        pytest.skip(f"the image {HAPROXY} is not there")
    path = "/usr/local/etc/haproxy/haproxy.cfg"
    variables = [f"--env={name}={value}" for name, value in services["proxy"]["environment"].items()]
    command = ["docker", "run", "--rm", "--network", "none", "--read-only", *variables]
    mount = ["--volume", f"{ROOT}/docker/haproxy.cfg:{path}:ro"]
    done = subprocess.run([*command, *mount, HAPROXY, "haproxy", "-c", "-f", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr

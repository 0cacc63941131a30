"""docker/.env.example: every setting of the service and of the compose file, with its default, and nothing else."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.settings import PREFIX, Settings, variable
from tests.processes import ROOT

EXAMPLE = (ROOT / "docker" / ".env.example").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()
ENTRIES = {
    name: (default, " ".join(line.removeprefix("#").strip() for line in comment.splitlines()))
    for comment, name, default in re.findall(r"^((?:# .*\n)+)#([A-Z_]+)=(.*)$", EXAMPLE, re.M)
}
"""Default and comment of each."""
FIXED = set(yaml.safe_load(COMPOSE)["services"]["api"]["environment"])
"""What the compose file decides itself."""


def seconds(shown: str) -> float:
    return float(shown.removesuffix("s"))


def test_nothing_is_set_and_everything_is_explained() -> None:
    assert [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")] == []
    assert set(re.findall(r"^#([A-Z_]+)=", EXAMPLE, re.M)) == set(ENTRIES)


def test_the_settings_are_those_of_the_service() -> None:
    shown = {name for name in ENTRIES if name.startswith(PREFIX)}
    assert shown == {variable(field) for field in Settings.model_fields} - FIXED
    told = EXAMPLE.partition("# Fixed in docker-compose.yml")[2]
    assert set(re.findall(rf"{PREFIX}[A-Z_]+", told)) == FIXED


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_a_setting_has_its_default_and_its_explanation(field: str) -> None:
    if variable(field) in FIXED:
        return
    default, comment = ENTRIES[variable(field)]
    described = Settings.model_fields[field]
    assert default == str(described.get_default(call_default_factory=True))
    assert comment == " ".join((described.description or "").strip().split("\n\n")[0].split())


def test_the_others_are_those_of_the_compose_file() -> None:
    used = re.findall(r"\$\{([A-Z_]+)(?::-([^}]*))?\}", COMPOSE)
    assert {name: default for name, (default, _) in ENTRIES.items() if not name.startswith(PREFIX)} == dict(used)
    assert len(set(used)) == len(dict(used))


def test_times_leave_room_for_what_they_wait_for() -> None:
    """Whoever kills or gives up must be more patient than the service."""
    settings = Settings.model_construct()
    leave = yaml.safe_load(COMPOSE)["services"]["api"]["environment"][variable("leave_seconds")]
    assert seconds(ENTRIES["STOP_GRACE"][0]) >= leave + settings.drain_seconds + 5
    proxy = seconds(ENTRIES["PROXY_TIMEOUT"][0])
    assert proxy > max(settings.deadline_seconds, settings.stall_seconds)
    longest = settings.deadline_seconds + settings.megapixel_seconds * settings.max_pixels / 1e6
    assert seconds(ENTRIES["PROXY_PICTURE_TIMEOUT"][0]) > longest
    services = yaml.safe_load(COMPOSE)["services"]
    assert services["proxy"]["stop_grace_period"] == services["api"]["stop_grace_period"] == "${STOP_GRACE:-35s}"
    config = (ROOT / "docker" / "haproxy.cfg").read_text()
    (whole,) = re.findall(r"timeout http-request (\w+)$", config, re.M)
    assert seconds(whole) >= settings.head_seconds + settings.body_seconds


def test_a_copy_changes_nothing(tmp_path: Path) -> None:
    """Neither as it is nor with every line in force."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("docker compose is not installed")
    (tmp_path / "copy").write_text(EXAMPLE)
    (tmp_path / "all").write_text(re.sub(r"^#(?=[A-Z_]+=)", "", EXAMPLE, flags=re.M))

    def outcome(settings: str) -> str:
        command = ["docker", "compose", "--env-file", settings, "--profile", "*", "config"]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    defaults = outcome("/dev/null")
    assert outcome(str(tmp_path / "copy")) == defaults
    assert outcome(str(tmp_path / "all")) == defaults

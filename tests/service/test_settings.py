import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from service import limits, settings
from service.settings import ROOT, Settings, WrongSetting


def test_the_defaults_are_safe() -> None:
    default = Settings()
    assert default.host == "127.0.0.1"
    assert default.folders == [ROOT / "var/models", ROOT / "models/zoo"]
    assert all(folder.is_absolute() for folder in default.folders)


def test_every_setting_is_documented_and_bounded() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert not field.is_required(), name
        if field.annotation in (int, float):
            assert field.metadata, name


def test_folders_are_separated_like_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMONIUM_MODELS", os.pathsep.join(("mine", "/abs")))
    assert settings.read().folders == [ROOT / "mine", Path("/abs")]


def test_an_empty_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMONIUM_PORT", "")
    assert settings.read().port == 8000


def test_wrong_values_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMONIUM_MAX_USERS", "0")
    monkeypatch.setenv("HARMONIUM_DEVICE", "gpu")
    monkeypatch.setenv("HARMONIUM_MODELS", os.pathsep)
    with pytest.raises(WrongSetting) as caught:
        settings.read()
    sentences = sorted(str(caught.value).removesuffix(".").split(". "))
    assert [sentence.partition(", but ")[0] for sentence in sentences] == [
        "HARMONIUM_DEVICE is 'gpu'",
        "HARMONIUM_MAX_USERS is '0'",
        f"HARMONIUM_MODELS is '{os.pathsep}'",
    ]
    assert all(sentence.partition(", but ")[2] for sentence in sentences)


def test_no_number_of_workers_is_one_per_core() -> None:
    assert Settings().processes == 1
    assert Settings(workers=3).processes == 3
    assert Settings(workers=0).processes == limits.processors()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system binds no process to processors")
def test_processors_that_are_taken_away_later_change_no_number_of_workers() -> None:
    """Memory for models is shared among those that were started."""
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("this process may use one processor only")
    told = Settings(workers=0)
    count, room = told.processes, told.model_bytes
    os.sched_setaffinity(0, {min(before)})
    try:
        assert limits.processors() == 1
        assert (told.processes, told.model_bytes) == (count, room)
    finally:
        os.sched_setaffinity(0, before)


def test_models_may_take_half_of_the_memory_shared_among_the_processes() -> None:
    available = limits.memory()
    assert available is not None
    assert Settings().model_bytes == settings.for_models(available)
    assert Settings(workers=3).model_bytes == settings.for_models(available // 3)
    assert Settings(workers=3, max_model_bytes=5).model_bytes == 5
    sizes = {512: 256, 256: 128, 128: 48, 64: 0}
    assert {size: settings.for_models(size * 2**20) // 2**20 for size in sizes} == sizes


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1

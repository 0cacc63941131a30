from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.manifest import Denoise
from models.noise import haar
from models.store import Store, verify
from service.runtime import restore, tiles
from service.runtime.clock import Clock
from service.runtime.session import NotFinite, Session
from service.runtime.turns import Turns
from tests.processes import ROOT
from tests.service.conftest import pixels
from tests.versions import denoise


def loaded(**options: Any) -> tuple[Denoise, dict[str, Session]]:
    manifest, files = denoise(**options)
    task = manifest.task(Denoise)
    assert task is not None
    return task, {graph: Session(files[f"{graph}.onnx"], "cpu") for graph in task.graphs}


TURNS = Turns(Clock(3600))


@given(
    st.integers(1, 40).map(lambda n: 4 * n),
    st.integers(1, 40).map(lambda n: 4 * n),
    st.integers(0, 4).map(lambda n: 4 * n),
    st.integers(1, 70),
)
@settings(deadline=None, max_examples=60)
def test_kept_parts_cover_the_picture_once_and_stay_on_the_grid(
    height: int, width: int, overlap: int, core: int
) -> None:
    covered = np.zeros((height, width), int)
    for tile in tiles.cut(height, width, 4, overlap, core):
        covered[tile.keep] += 1
        assert all(part.start % 4 == 0 and part.stop % 4 == 0 for part in tile.run)
        inside = tile.inside()
        assert covered[tile.run][inside].shape == covered[tile.keep].shape
        for run, keep, size in zip(tile.run, tile.keep, (height, width), strict=True):
            assert run.start == max(0, keep.start - overlap)
            assert run.stop == min(size, keep.stop + overlap)
    assert (covered == 1).all()


@pytest.mark.parametrize("shape", [(64, 64, 3), (61, 131, 3), (90, 33), (4, 200, 3), (3, 5), (1, 1), (1, 70, 3)])
@pytest.mark.parametrize("core", [8, 16, 40])
def test_tiled_equals_whole(shape: tuple[int, ...], core: int, monkeypatch: pytest.MonkeyPatch) -> None:
    task, sessions = loaded()
    picture = pixels(*shape)
    whole = restore.clean(picture, 40, 1, task, sessions, TURNS)
    over = tiles.over
    monkeypatch.setattr(tiles, "over", lambda *given: over(*given, core=core))
    tiled = restore.clean(picture, 40, 1, task, sessions, TURNS)
    assert whole.shape == picture.shape
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    if min(shape[:2]) > 8:
        assert np.abs(whole.astype(int) - picture).max() > 5  # it did something


def test_too_small_an_overlap_would_show() -> None:
    """The test above can fail: the graph does look beyond its tile."""
    task, sessions = loaded()
    picture = pixels(64, 64, 3)

    def work(tile: Any) -> Any:
        return restore.clean(tile, 40, 1, task, sessions, TURNS)

    whole, seams = work(picture), tiles.over(picture, work, 4, 0, TURNS, core=16)
    assert np.abs(seams.astype(int) - whole).max() > 1


def test_sigma_reaches_the_graph_in_units_of_full_scale() -> None:
    task, sessions = loaded()
    picture = pixels(16, 16, 3)
    image = picture.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    clean = sessions["clean"].run({"image": image, "sigma": np.array([20 / 255], np.float32)})["clean"][0]
    expected = (np.clip(clean, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
    assert np.array_equal(restore.clean(picture, 20, 1, task, sessions, TURNS), expected)


def test_grey_goes_through_its_own_graph_or_through_three_equal_channels() -> None:
    picture = pixels(16, 16)
    image = picture[None, None].astype(np.float32) / np.float32(255)
    sigma = np.array([20 / 255], np.float32)
    task, sessions = loaded(grey=True)
    own = sessions["clean_grey"].run({"image": image, "sigma": sigma})["clean"][0, 0]
    result = restore.clean(picture, 20, 1, task, sessions, TURNS)
    assert np.array_equal(result, (np.clip(own, 0, 1) * 255 + 0.5).astype(np.uint8))
    task, sessions = loaded()
    three = sessions["clean"].run({"image": np.repeat(image, 3, axis=1), "sigma": sigma})["clean"][0].mean(axis=0)
    result = restore.clean(picture, 20, 1, task, sessions, TURNS)
    assert np.abs(result - np.clip(three, 0, 1) * 255).max() <= 0.51


@pytest.mark.parametrize("max_batch", [1, 2, 4])
def test_a_grey_model_cleans_colours_channel_by_channel(max_batch: int) -> None:
    task, sessions = loaded(channels=1, max_batch=max_batch)
    picture = pixels(20, 24, 3)
    result = restore.clean(picture, 30, 1, task, sessions, TURNS)
    for channel in range(3):
        alone = restore.clean(picture[..., channel], 30, 1, task, sessions, TURNS)
        assert np.abs(result[..., channel].astype(int) - alone).max() <= 1


def test_amount_blends() -> None:
    task, sessions = loaded()
    picture = pixels(16, 16, 3)
    clean, half = (restore.clean(picture, 50, amount, task, sessions, TURNS) for amount in (1, 0.5))
    assert np.abs(half - (clean / 2 + picture / 2)).max() <= 1
    assert restore.clean(picture, 50, 0, task, sessions, TURNS) is picture
    assert restore.clean(picture, 0, 1, task, sessions, TURNS) is picture


def test_16_bit_keeps_its_depth() -> None:
    task, sessions = loaded()
    deep = pixels(16, 16).astype(np.uint16) * 257
    result = restore.clean(deep, 20, 1, task, sessions, TURNS)
    assert result.dtype == np.uint16
    assert np.abs(result / 257 - restore.clean(pixels(16, 16), 20, 1, task, sessions, TURNS)).max() <= 0.51
    assert len(np.unique(result % 257)) > 10


def test_the_noise_level_is_estimated_once_and_capped() -> None:
    task, sessions = loaded(sigma_max=30.0)
    picture = pixels(64, 64, 3)
    image = picture.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    assert restore.noise_level(picture, None, "auto", task, sessions) == pytest.approx(255 * haar(image))
    assert restore.noise_level(picture, None, 29.5, task, sessions) == 29.5
    assert restore.noise_level(picture, None, 100, task, sessions) == 30
    assert restore.noise_level(picture[:1], None, "auto", task, sessions) == 0


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 1), (600, 40, 3), (3, 1100, 3)])
def test_a_model_with_a_graph_for_it_estimates_the_noise_level_by_that(shape: tuple[int, ...]) -> None:
    task, sessions = loaded(estimate=True, sigma_max=200.0)
    picture = np.full(shape, 93, np.uint8)
    assert restore.noise_level(picture, None, "auto", task, sessions) == pytest.approx(93, rel=1e-4), (
        "a mean of float32"
    )


def test_a_level_that_is_not_finite_is_kept_from_the_caller() -> None:
    task, sessions = loaded(estimate=True)
    with pytest.raises(NotFinite, match="the noise level is not finite"):
        restore.noise_level(np.full((16, 16), 3e38, np.float32), None, "auto", task, sessions)


@pytest.mark.parametrize("name", ["photo-dae", "photo-dae-fast", "photo-restore"])
def test_a_shipped_denoiser_shows_no_seam(name: str) -> None:
    """Tiles against the whole picture, strong noise: less than one level of 255 anywhere."""
    version = Store([ROOT / "models/zoo"]).find()[name]
    found = verify(version[max(version)], name, max(version))
    task = found.manifest.task(Denoise)
    assert task is not None
    rng = np.random.default_rng(0)
    shade = np.add.outer(np.sin(np.arange(400) / 30), np.cos(np.arange(440) / 7)) / 5 + 0.5
    for graph, planes in (("clean", 3), ("clean_grey", 1)):
        session = Session(found.files[f"{graph}.onnx"], "cpu")
        picture = (shade[..., None] + rng.normal(0, 50 / 255, (400, 440, planes))).astype(np.float32)

        def work(tile: Any, session: Session = session) -> Any:
            image = np.ascontiguousarray(tile.transpose(2, 0, 1)[None])
            told = {"sigma": np.array([50 / 255], np.float32)} if task.sigma_max else {}
            clean = session.run({"image": image, **told})["clean"]
            return clean[0].transpose(1, 2, 0)

        tiled = tiles.over(picture, work, task.size_multiple, task.overlap, TURNS, core=120)
        assert 255 * np.abs(tiled - work(picture)).max() < 1


def test_a_core_is_large_beside_the_overlap_of_the_shipped_model() -> None:
    (version,) = (ROOT / "models/zoo/photo-dae").iterdir()
    (task,) = verify(version, "photo-dae", int(version.name)).manifest.tasks
    assert isinstance(task, Denoise)
    (tile,) = tiles.cut(tiles.CORE, tiles.CORE, task.size_multiple, task.overlap)
    assert tile.keep == (slice(0, tiles.CORE), slice(0, tiles.CORE))
    assert 4 * task.overlap < tiles.CORE

"""Data of one's own, from a file or a folder by one command to an answer of the service."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from models.store import Version, verify
from tests import tiny
from tests.service.conftest import serving
from tests.service.test_library import states, until
from training import __main__ as command


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings of three tastes, a table of items, pictures in two classes, and photographs."""
    home = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    rated = np.argwhere(rng.random((120, 30)) < np.where(np.arange(120)[:, None] % 3 == np.arange(30) % 3, 0.8, 0.2))
    stars = np.where(rated[:, 0] % 3 == rated[:, 1] % 3, 4.5, 2.0) + rng.integers(2, size=len(rated)) / 2
    lines = [f"u{user};0{item};{rating}" for (user, item), rating in zip(rated.tolist(), stars.tolist(), strict=True)]
    (home / "stars.csv").write_text("\n".join(["who;what;stars", *lines]))
    titles = [f"0{item},Song {item},{1990 + item},Pop|{'Rock' if item % 2 else 'Jazz'}" for item in range(30)]
    (home / "songs.csv").write_text("\n".join(["what,title,Release Year,genres", *titles]))
    for place in range(200):
        pixels = rng.integers(120, size=(40, 50, 3), dtype=np.uint8)
        pixels[10 : 20 + place % 9, 10:40, place % 2] = 250
        path = home / "signs" / ("red", "green")[place % 2] / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    (home / "trip").mkdir()
    for place in range(40):
        pixels = rng.integers(256, size=(64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(home / "trip" / f"{place}.png")
    return home


def run(home: Path, *words: str) -> None:
    family = [part for pair in ["steps=12", *tiny.overrides(words[0])] for part in ("--set", pair)]
    status = command.main(["run", *words, "--models", str(home / "zoo"), "--runs", str(home / "runs"), *family])
    assert status == 0


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[httpx.Client]:
    """A service that runs before there is any model."""
    (home / "zoo").mkdir()
    with serving(home / "zoo") as (_, client):
        yield client


def published(client: httpx.Client, home: Path, name: str) -> Version:
    """Version 1 of `name`, once the running service has found it."""
    until(client, lambda model: states(model) == {1: "live"}, name)
    version = verify(home / "zoo" / name / "1", name, 1)
    prose = (version.folder / "card.md").read_text() + version.manifest.to_bytes().decode()
    assert str(home) not in prose
    assert not any(word in prose for word in ("MovieLens", "MNIST", "BSDS", "digit ", "film"))
    assert version.manifest.credit.licence.startswith("Not stated.")
    return version


def test_own_ratings_are_served_as_the_default_without_a_restart(home: Path, client: httpx.Client) -> None:
    run(home, "movies-rbm", "--ratings", str(home / "stars.csv"), "--items", str(home / "songs.csv"),
        "--columns", "user=who,item=what", "--liked", "4.5")  # fmt: skip
    version = published(client, home, "movies-rbm")
    known = {item.id: item for item in version.items()}
    assert len(known) == 30
    assert version.manifest.summary.startswith(
        "Ranks items for anybody from a handful of ratings, and predicts ratings."
    )
    assert version.manifest.made_by.recipe == "movies-rbm"
    (task,) = version.manifest.tasks
    assert (task.rating_low, task.rating_high, task.liked) == (2.0, 5.0, 4.5)  # type: ignore[union-attr]
    assert version.manifest.metrics[0].protocol.endswith("relevant: targets rated 4.5 or more")
    ask = {
        "users": [{"ratings": [{"item": "03", "rating": 5}, {"item": "3", "rating": 2}], "liked": ["06"]}],
        "filter": {"genres": {"any": ["Jazz"]}, "release-year": {"from": 2000}},
        "count": 100,
    }
    answer = client.post("/v1/recommend", json=ask)
    assert answer.status_code == 200, answer.text
    (user,) = answer.json()["users"]
    assert answer.json()["model"] == "movies-rbm"
    assert user["unknown_items"] == ["3"], "3 is not 03"
    listed = [item["item"] for item in user["items"]]
    assert sorted(listed) == sorted(f"0{number}" for number in range(10, 30, 2))
    assert all(item["title"] == known[item["item"]].title for item in user["items"])
    assert all(2 <= item["rating"] <= 5 for item in user["items"])


def test_own_pictures_are_drawn_by_class(home: Path, client: httpx.Client) -> None:
    run(home, "digits-gan", "--pictures", str(home / "signs"), "--side", "16", "--name", "my-signs")
    version = published(client, home, "my-signs")
    assert version.manifest.made_by.recipe == "digits-gan"
    measured = [metric.name.partition(",")[0] for metric in version.manifest.metrics]
    assert (measured[0], measured[-1]) == ("Frechet distance", "accuracy of the asked class")
    assert {"kernel distance", "precision", "recall", "density", "coverage", "copying", "rarest class"} < set(measured)
    pictures = [
        client.post("/v1/generate", json={"model": "my-signs", "class": name, "seed": 1}) for name in ("red", "green")
    ]
    assert all(answer.status_code == 200 for answer in pictures), pictures[0].text
    shapes = [np.asarray(Image.open(io.BytesIO(answer.content))).shape for answer in pictures]
    assert shapes == [(16, 16, 3)] * 2
    assert client.post("/v1/generate", json={"model": "my-signs", "class": "blue"}).status_code == 422


def test_own_pictures_without_classes_are_encoded(home: Path, client: httpx.Client) -> None:
    run(home, "digits-vae", "--pictures", str(home / "signs" / "red"), "--side", "16", "--name", "my-codes")
    version = published(client, home, "my-codes")
    data = (home / "signs" / "red" / "0.png").read_bytes()
    answer = client.post(
        "/v1/encode", params={"model": "my-codes"}, content=data, headers={"content-type": "image/png"}
    )
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["encodings"][0]["mean"]) == 4
    assert version.manifest.summary == (
        "Turns a picture into 4 numbers with their uncertainty. Draws pictures from 4 numbers. "
        "Trained on 100 pictures of 16x16 pixels in colour, without classes (red)."
    )


def test_own_photographs_are_cleaned(home: Path, client: httpx.Client) -> None:
    run(home, "photo-dae", "--pictures", str(home / "trip"))
    version = published(client, home, "photo-dae")
    assert {metric.data for metric in version.manifest.metrics} == {
        "own photographs trip, held back by a hash of the pixels, centre of at most 512x512",
        "a picture of 64x64",
    }
    data = next((home / "trip").iterdir()).read_bytes()
    answer = client.post("/v1/denoise", content=data, headers={"content-type": "image/png"})
    assert answer.status_code == 200, answer.text
    assert Image.open(io.BytesIO(answer.content)).size == (64, 64)

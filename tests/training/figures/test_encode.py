from dataclasses import replace

import matplotlib.style
import numpy as np

from models.manifest import Encode
from tests import versions
from tests.training.figures.pixels import decoded
from training.data import mnist
from training.data.labelled import Pictures, Split
from training.figures import encode, plot
from training.figures.figure import Figure
from training.figures.sheet import GAP
from training.graphs import Graphs

DATA = mnist.synthetic(0, classes=("0", "1", "2"), attributes=())


def draw(data: Pictures, *, latent: int = 4, decoder: bool = True) -> dict[str, Figure]:
    manifest, files = versions.encode_and_generate(latent=latent) if decoder else versions.encode(latent=latent)
    task = manifest.task(Encode)
    assert task is not None
    graphs = Graphs({name: files[f"{name}.onnx"] for name in manifest.graphs})
    with matplotlib.style.context(["default", plot.STYLE]):
        return {figure.name: figure for figure in encode.figures(task, graphs, data)}


def test_held_out_pictures_stand_above_what_is_left_of_them() -> None:
    page = decoded(draw(DATA)["reconstructions"].png)[..., 0]
    _, files = versions.encode_and_generate()
    graphs = Graphs({name: files[f"{name}.onnx"] for name in ("encode", "decode")})
    mean = graphs.run("encode", image=DATA.test.images / np.float32(255))["mean"]
    rebuilt = np.round(graphs.run("decode", latent=mean)["image"] * 255).astype(np.uint8)
    left = page.shape[1] - 10 * (56 + GAP)
    nth = [np.flatnonzero(DATA.test.labels == label) for label in range(3)]
    order = [nth[place % 3][place // 3] for place in range(20)]
    for place, chosen in enumerate(order):
        top, start = (place // 10) * 2 * (56 + GAP), left + place % 10 * (56 + GAP)
        assert np.array_equal(page[top : top + 56 : 2, start : start + 56 : 2], DATA.test.images[chosen, 0])
        top += 56 + GAP
        assert np.array_equal(page[top : top + 56 : 2, start : start + 56 : 2], rebuilt[chosen, 0])


def test_what_there_is_decides_what_is_drawn() -> None:
    assert list(draw(DATA)) == ["reconstructions", "errors", "units"]
    assert list(draw(replace(DATA, showable=False))) == ["errors", "units"]
    assert list(draw(DATA, latent=2, decoder=False)) == ["plane"]
    assert list(draw(replace(DATA, classes=()), latent=2, decoder=False)) == []
    assert list(draw(DATA, decoder=False)) == ["units"]


def test_a_single_held_out_picture_is_enough() -> None:
    one = Split(DATA.test.images[:1], DATA.test.labels[:1])
    assert list(draw(replace(DATA, test=one))) == ["reconstructions", "errors", "units"]

"""`python -m benchmarks.denoisers FOLDER`: shipped denoisers beside DnCNN's cost and, where it is installed, BM3D.

FOLDER holds what `--data-dir` of the training does. Every picture gets the same seeded noise as in the model cards,
every method the same noisy picture and the true sigma. The seconds are those of one picture of 512 x 512, in colour and
in grey, the least of several runs, all networks in turn. DnCNN (17 layers of 64, Zhang et al. 2017) has random weights:
they cost what trained ones do. `pip install bm3d` (not free for commercial use) adds BM3D, a minute a picture. Prints
Markdown. A model card has the seconds of its own network, in the way in which it is served.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.store import Store, verify
from training.data import free_photographs
from training.data.photographs import Picture
from training.graphs import Graphs
from training.metrics.denoiser import SIDE, dncnn, least_seconds
from training.metrics.restoration import noisy, psnr, restore

SIGMAS = 15, 25, 50
Method = Callable[[NDArray[np.float32], float], NDArray[np.float32]]


def cost(denoisers: dict[str, Graphs]) -> None:
    """Seconds a megapixel, and that to DnCNN's."""
    calls: dict[str, Callable[[], Any]] = {}
    for planes, word, graph in ((3, "colour", "clean"), (1, "grey", "clean_grey")):
        image = np.random.default_rng(0).random((1, planes, SIDE, SIDE), np.float32)
        calls[f"DnCNN, {word}"] = partial(Graphs({"dncnn": dncnn(planes)}).run, "dncnn", image=image)
        for name, graphs in denoisers.items():
            told = {"sigma": np.full(1, 0.1, np.float32)} if "estimate" in graphs.sessions else {}
            calls[f"{name}, {word}"] = partial(graphs.run, graph, image=image, **told)
    found = least_seconds(calls)
    print("\n| network | seconds a megapixel | to DnCNN |\n|---|---|---|")
    for name, spent in found.items():
        base = found[f"DnCNN, {name.rpartition(', ')[2]}"]
        print(f"| {name} | {spent / SIDE**2 * 1e6:.2f} | {spent / base:.3f} |")


def quality(methods: dict[str, Method], pictures: list[Picture], title: str) -> None:
    """PSNR of every method, float noise, its sigma told."""
    print(f"\n{title}, {len(pictures)} pictures, PSNR in dB\n\n| sigma | {' | '.join(methods)} |")
    print("|---" * (len(methods) + 1) + "|")
    for sigma in SIGMAS:
        bad = [noisy(clean, sigma, index, eight_bit=False) for index, clean in enumerate(pictures)]
        means = [
            np.mean([psnr(method(image, sigma), clean) for image, clean in zip(bad, pictures, strict=True)])
            for method in methods.values()
        ]
        print(f"| {sigma} | {' | '.join(f'{mean:.2f}' for mean in means)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.denoisers", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default="models/zoo", help="folders of versions, separated like PATH")
    parser.add_argument("--pictures", type=int, default=1000, help="of each kind at most")
    options = parser.parse_args()
    found = Store([Path(part) for part in options.models.split(":")]).find()
    greatest = {name: max(folders) for name, folders in sorted(found.items()) if name.startswith("photo-")}
    versions = [verify(found[name][number], name, number) for name, number in greatest.items()]
    denoisers = {
        f"{one.manifest.name} {one.manifest.version}": Graphs(
            {file.removesuffix(".onnx"): data for file, data in one.files.items() if file.endswith(".onnx")}
        )
        for one in versions
    }
    cost(denoisers)
    methods: dict[str, Method] = {
        name: lambda image, sigma, graphs=graphs: restore(graphs, image, sigma)
        for name, graphs in denoisers.items()
        if "estimate" in graphs.sessions
    }
    try:
        bm3d = importlib.import_module("bm3d")
    except ImportError:
        print("\nBM3D is not installed.")
    else:
        methods["BM3D"] = lambda image, sigma: (bm3d.bm3d if image.ndim == 2 else bm3d.bm3d_rgb)(image, sigma / 255)
    data = free_photographs.SOURCE.load(options.folder)
    quality(methods, data.test[: options.pictures], data.test_name)
    quality(methods, data.validation[: options.pictures], data.validation_name)


if __name__ == "__main__":
    main()

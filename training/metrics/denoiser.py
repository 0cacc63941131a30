"""What a denoiser is worth and what it costs: PSNR, and seconds a megapixel beside DnCNN's and those of filters."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from models.manifest import OPSET, Baseline, Metric
from training.data.photographs import Photographs, Picture
from training.graphs import Graphs
from training.metrics import restoration

PUBLISHED = """\
What others have published for float noise at sigma 15, 25 and 50, PSNR in dB (BM3D: Dabov et al. 2007; DnCNN-B, one
network for all levels, not told: Zhang et al. 2017; FFDNet, told: Zhang et al. 2018):

| | BM3D | DnCNN-B | FFDNet |
|---|---|---|---|
| Set12 (grey) | 32.37, 29.97, 26.72 | 32.68, 30.36, 27.21 | 32.75, 30.43, 27.32 |
| CBSD68 (colour) | 33.52, 30.71, 27.38 | 33.89, 31.23, 27.92 | 33.87, 31.21, 27.96 |

Measured on the noisy inputs of Set12 that the tables of the shipped models are of, sigma told: BM3D (package bm3d
4.0.3) 32.40, 29.98, 26.78, in 67 seconds a megapixel on one core."""
"""For the cards of recipes."""
LAYERS, WIDTH = 17, 64
SIDE = 512
"""Pixels of a side of the picture that is timed, at most."""
RUNS = 5
SIGMA = 25


def evaluate(graphs: Graphs, data: Photographs) -> list[Metric]:
    """The figures of `restoration`, and what the largest picture, cut to `SIDE`, costs in colour and in grey."""
    picture = max(data.validation or data.test, key=lambda picture: picture[:SIDE, :SIDE].size)
    return [*restoration.evaluate(graphs, data), *seconds_a_megapixel(graphs, picture[:SIDE, :SIDE])]


def dncnn(planes: int) -> bytes:
    """The graph of DnCNN (Zhang et al. 2017) for `planes` channels, image [1,C,H,W] -> clean [1,C,H,W].

    Its weights are random, which cost what trained ones do. Convolutions have taken the normalisation in.
    """
    draw = np.random.default_rng(0)
    sizes = [planes, *[WIDTH] * (LAYERS - 1), planes]
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    name = "image"
    for place, (before, after) in enumerate(itertools.pairwise(sizes)):
        values = draw.normal(0, (9 * before) ** -0.5, (after, before, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"weight{place}"))
        nodes.append(helper.make_node("Conv", [name, f"weight{place}"], [f"conv{place}"], pads=[1, 1, 1, 1]))
        name = f"conv{place}"
        if place < LAYERS - 1:
            nodes.append(helper.make_node("Relu", [name], [f"relu{place}"]))
            name = f"relu{place}"
    nodes.append(helper.make_node("Sub", ["image", name], ["clean"]))
    image, clean = (
        helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, [1, planes, "H", "W"])
        for tensor in ("image", "clean")
    )
    graph = helper.make_graph(nodes, "dncnn", [image], [clean], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    return model.SerializeToString()


def least_seconds(calls: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """The least seconds of each call, all in turn, so that what disturbs one disturbs all."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(RUNS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            found[name].append(time.perf_counter() - start)
    return {name: min(spent) for name, spent in found.items()}


def seconds_a_megapixel(graphs: Graphs, picture: Picture) -> list[Metric]:
    """What a picture [H,W(,3)] costs: a figure in colour, if it has any, and one in grey."""
    grey = picture if picture.ndim == 2 else picture.mean(axis=2)
    kinds = {"colour": picture, "grey": grey} if picture.ndim == 3 else {"grey": grey}
    return [_cost(graphs, (image / 255).astype(np.float32), kind) for kind, image in kinds.items()]


def _cost(graphs: Graphs, image: restoration.Image, kind: str) -> Metric:
    planes = np.ascontiguousarray(np.atleast_3d(image).transpose(2, 0, 1)[None])
    calls: dict[str, Callable[[], Any]] = {
        "": partial(restoration.restore, graphs, image, SIGMA),
        f"DnCNN, {LAYERS} layers of {WIDTH}": partial(
            Graphs({"dncnn": dncnn(planes.shape[1])}).run, "dncnn", image=planes
        ),
        "median 5x5": partial(restoration.median, image, 5),
        "non-local means, told": partial(restoration.non_local_means, image, SIGMA),
    }
    height, width = image.shape[:2]
    found = {name: spent / (height * width) * 1e6 for name, spent in least_seconds(calls).items()}
    return Metric(
        name=f"seconds a megapixel, {kind}",
        value=found.pop(""),
        better="lower",
        samples=1,
        data=f"a picture of {width}x{height}",
        protocol=f"the least of {RUNS} runs, all in turn, {os.cpu_count()} processors; compare in a row",
        baselines=tuple(Baseline(name=name, value=spent) for name, spent in found.items()),
    )

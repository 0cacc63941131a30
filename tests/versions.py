"""Tiny model versions made by hand, ready for `Store.publish`: no torch, no data, the same bytes every time.

Each is small enough to read yet shows every property that serving must respect: padding that
adds nothing, an answer that depends on the neighbourhood and on the pixel grid, classes that
differ. Keyword arguments vary what tests vary; `facts` are further fields of the manifest
(`summary`, `created`, `credit`, `made_by`, `metrics`, `settings` for `made_by.settings`).
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from models import items as table
from models import sample
from models.items import Item
from models.manifest import OPSET, Denoise, Encode, Generate, Graph, Manifest, Recommend, Task
from models.store import Store

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the first import of onnxruntime
import onnxruntime

Built = tuple[Manifest, dict[str, bytes]]
Array = np.ndarray[Any, Any]

CREDIT = {
    "data": "Made by hand",
    "source": "tests/versions.py",
    "licence": "Apache-2.0",
    "citation": "Harmonium contributors, 2026",
}
MADE_BY = {
    "recipe": "by-hand",
    "settings": {"epochs": 1, "rate": 0.5, "fast": True, "note": None, "widths": [1, 2]},
    "seed": 7,
    "data_sha256": "0" * 64,
    "code_revision": "tests",
    "packages": {"numpy": "2"},
    "device": "cpu",
    "steps": 3,
    "seconds": 0.25,
}
METRIC = {
    "name": "accuracy",
    "value": 0.5,
    "standard_error": 0.1,
    "better": "higher",
    "samples": 10,
    "data": "Made by hand",
    "protocol": "none",
    "baselines": ({"name": "chance", "value": 0.1, "standard_error": None},),
}
TOLERANCE = 1e-4


def film_items(count: int = 40) -> tuple[Item, ...]:
    """Items "1196" and "260" first, then "1", "2", ...; the third has no attributes and a title hard to write."""
    genres = ("Action", "Adventure", "Comedy", "Drama")
    first = (
        Item("1196", "Star Wars: Episode V (1980)", 0.5, {"genres": ("Action", "Adventure"), "year": 1980.0}),
        Item("260", "Star Wars: Episode IV (1977)", 0.6, {"genres": ("Action",), "year": 1977.0}),
        Item("1", 'A "quoted", naïve | 映画', 0.01, {"genres": (), "year": None}),
    )
    rest = (
        Item(
            str(number),
            f"Film {number}",
            round(0.4 / number, 4),
            {"genres": tuple(genres[i] for i in range(4) if number >> i & 1), "year": 1960.0 + number},
        )
        for number in range(2, count)
    )
    return (*first, *rest)[:count]


def recommend(
    *,
    name: str = "movies-rbm",
    items: Sequence[Item] | None = None,
    max_batch: int = 16,
    max_ratings: int = 64,
    hidden: int = 6,
    seed: int = 1,
    explains: bool = False,
    **facts: Any,
) -> Built:
    """An RBM's mean-field step: hidden = sigmoid(sum of rated rows of W), score = hidden V + b."""
    rows = film_items() if items is None else tuple(items)
    task = Recommend.declare(
        {"score": max_batch},
        items=len(rows),
        attributes={"genres": "list", "year": "number"},
        rating_low=0.5,
        rating_high=5.0,
        liked=4.0,
        max_ratings=max_ratings,
        explains=explains,
    )
    draw = np.random.default_rng(seed)
    weights = {
        "into": draw.normal(0, 1, (len(rows), hidden)),
        "out_of": draw.normal(0, 1, (hidden, len(rows))),
        "bias": 3 + np.log([item.popularity + 0.01 for item in rows]),
    }
    constants = {name: array.astype(np.float32) for name, array in weights.items()} | {
        "nobody": np.int32(0),
        "last": np.array([-1], np.int64),
        "over_ratings": np.array([1], np.int64),
        "middle": np.float32(2.75),
        "low": np.float32(0.5),
        "width": np.float32(4.5),
    }
    rated = [
        ("Max", "item_index nobody", "row"),
        ("GreaterOrEqual", "item_index nobody", "real"),
        ("Cast", "real", "mask", {"to": onnx.TensorProto.FLOAT}),
        ("Sub", "rating middle", "centred"),
        ("Mul", "centred mask", "told"),
        ("Unsqueeze", "told last", "told_column"),
        ("Gather", "into row", "rows"),
        ("Mul", "rows told_column", "parts"),
    ]
    score = [
        *rated,
        ("ReduceSum", "parts over_ratings", "total", {"keepdims": 0}),
        ("Sigmoid", "total", "hidden"),
        ("MatMul", "hidden out_of", "free"),
        ("Add", "free bias", "score"),
        ("Sigmoid", "score", "share"),
        ("Mul", "share width", "above_low"),
        ("Add", "above_low low", "predicted_rating"),
    ]
    gain = [
        ("Unsqueeze", "total over_ratings", "total_row"),
        ("Sub", "total_row parts", "total_without"),
        ("Sigmoid", "total_without", "hidden_without"),
        ("MatMul", "hidden_without out_of", "free_without"),
        ("Sub", "free_row free_without", "gain_of_all"),
        ("Transpose", "gain_of_all", "gain_by_item", {"perm": [0, 2, 1]}),
        ("Cast", "target", "target_long", {"to": onnx.TensorProto.INT64}),
        ("Unsqueeze", "target_long last", "target_places"),
        ("GatherND", "gain_by_item target_places", "gain", {"batch_dims": 1}),
    ]
    if explains:
        score += [("Unsqueeze", "free over_ratings", "free_row"), *gain]
    files = {
        "items.csv": table.write(rows, task.attributes),
        "score.onnx": _onnx(task.graphs["score"], score, constants),
    }
    index = np.array([[0, 1, 2, -1], [3, -1, -1, -1], [-1, -1, -1, -1]], np.int32)
    inputs = {"score": {"item_index": index, "rating": np.where(index < 0, 0, 4.5).astype(np.float32)}}
    if explains:
        inputs["score"]["target"] = np.array([[4, 5]] * 3, np.int32)
    return _version(name, "rbm", [task], files, inputs, facts)


def denoise(
    *,
    name: str = "photo-dae",
    channels: int = 3,
    grey: bool = False,
    estimate: bool = False,
    blind: bool = False,
    max_batch: int = 4,
    sigma_max: float = 75.0,
    seed: int = 2,
    **facts: Any,
) -> Built:
    """A blur of 3x3, then 5x5, mixed in as sigma demands; `grey` adds `clean_grey`.

    `estimate` adds an estimator, which takes the mean of a picture for its noise level; a `blind` version takes no
    sigma and mixes all of the blur in.

    Sigma 0 gives the picture back, a constant grey picture stays as it is, channels are mixed
    unequally, and the change differs by up to 4 per cent with the pixel's place modulo 4, so
    that tiles off the grid, swapped channels and a wrong sigma all show. Sizes that are not
    multiples of 4 fail in the graph.
    """
    names = ["clean", "clean_grey"] if grey else ["clean"]
    task = Denoise.declare(
        dict.fromkeys([*names, *["estimate"] * estimate], max_batch),
        channels=channels,
        **({} if blind else {"estimator": "graph" if estimate else "haar", "sigma_max": sigma_max}),
        size_multiple=4,
        overlap=8,
    )
    draw = np.random.default_rng(seed)
    files, inputs = {}, {}
    for graph in names:
        wide = 1 if graph == "clean_grey" else channels
        small = draw.uniform(0.1, 1, (wide, wide, 3, 3)) * (0.1 + 2 * np.eye(wide))[:, :, None, None]
        large = draw.uniform(0.1, 1, (wide, wide, 5, 5)) * (0.1 + 2 * np.eye(wide))[:, :, None, None]
        constants = {
            "small": (small / small.sum((1, 2, 3), keepdims=True)).astype(np.float32),
            "large": (large / large.sum((1, 2, 3), keepdims=True)).astype(np.float32),
            "grid": draw.uniform(0.96, 1, (1, 16 * wide, 1, 1)).astype(np.float32),
            "edges": np.array([0, 0, 3, 3, 0, 0, 3, 3], np.int64),
            "each": np.array([1, 2, 3], np.int64),
            "knee": np.float32(0.05),
        }
        steps = [
            ("Pad", "image edges", "padded", {"mode": "edge"}),
            ("Conv", "padded small", "blurred"),
            ("Conv", "blurred large", "smooth"),
            ("Sub", "smooth image", "change"),
            ("SpaceToDepth", "change", "cells", {"blocksize": 4}),
            ("Mul", "cells grid", "uneven_cells"),
            ("DepthToSpace", "uneven_cells", "uneven", {"blocksize": 4}),
        ]
        if blind:
            steps.append(("Add", "image uneven", "clean"))
        else:
            steps += [
                ("Unsqueeze", "sigma each", "noise"),
                ("Add", "noise knee", "scale"),
                ("Div", "noise scale", "share"),
                ("Mul", "uneven share", "mixed_in"),
                ("Add", "image mixed_in", "clean"),
            ]
        files[f"{graph}.onnx"] = _onnx(task.graphs[graph], steps, constants)
        inputs[graph] = {
            "image": draw.uniform(0, 1, (2, wide, 8, 12)).astype(np.float32),
            **({} if blind else {"sigma": np.array([0.05, 0.2], np.float32)}),
        }
    if estimate:
        steps = [("ReduceMean", "image axes", "sigma", {"keepdims": 0})]
        constants = {"axes": np.array([1, 2, 3], np.int64)}
        files["estimate.onnx"] = _onnx(task.graphs["estimate"], steps, constants)
        inputs["estimate"] = {"image": draw.uniform(0, 1, (2, 1, 9, 7)).astype(np.float32)}
    return _version(name, "dae", [task], files, inputs, facts)


def encode(
    *, name: str = "digits-vae", latent: int = 4, background: str = "dark", max_batch: int = 32, **facts: Any
) -> Built:
    """A 28 x 28 picture's projections on `latent` orthonormal pictures."""
    task, graph, inputs = _encoder(latent, background, max_batch)
    return _version(name, "vae", [task], {"encode.onnx": graph}, {"encode": inputs}, facts)


def generate(
    *,
    name: str = "digits-gan",
    classes: int = 10,
    latent: int = 4,
    channels: int = 1,
    max_batch: int = 32,
    **facts: Any,
) -> Built:
    """The sigmoid of a mix of `latent` orthonormal pictures and, with `classes`, one picture of the class.

    The picture is not a number where the latent's first is exactly 93.25.
    """
    task, graph, inputs = _decoder(latent, classes, max_batch, channels)
    return _version(name, "gan", [task], {"decode.onnx": graph}, {"decode": inputs}, facts)


def encode_and_generate(
    *,
    name: str = "digits-vae",
    classes: int = 0,
    latent: int = 4,
    background: str = "dark",
    max_batch: int = 32,
    **facts: Any,
) -> Built:
    """One version with both `encode` and `decode`, which is what `reconstruct` needs."""
    first, encoder, pictures = _encoder(latent, background, max_batch)
    second, decoder, latents = _decoder(latent, classes, max_batch)
    files = {"encode.onnx": encoder, "decode.onnx": decoder}
    return _version(name, "vae", [first, second], files, {"encode": pictures, "decode": latents}, facts)


def publish_all(folder: Path) -> Store:
    """A store in `folder` with version 1 of `movies-rbm`, `photo-dae`, `digits-vae` and `digits-gan`."""
    store = Store([folder])
    for manifest, files in (recommend(), denoise(), encode(), generate()):
        store.publish(manifest, files)
    return store


def run(graph: bytes, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What onnxruntime answers, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _encoder(latent: int, background: str, max_batch: int) -> tuple[Encode, bytes, dict[str, Array]]:
    task = Encode.declare(
        {"encode": max_batch},
        channels=1,
        height=28,
        width=28,
        latent_size=latent,
        background=background,
        error_quantiles=(0.0, 0.01, 0.02, 0.04, 0.2),
    )
    constants = {"basis": _basis(latent), "half": np.float32(0.5), "flat": np.array([-1, 784], np.int64)}
    constants["quarter"] = np.float32(0.25)
    steps = [
        ("Sub", "image half", "centred"),
        ("Reshape", "centred flat", "row"),
        ("MatMul", "row basis", "mean"),
        ("Mul", "mean quarter", "narrow"),
        ("Sub", "narrow half", "log_variance"),
    ]
    pictures = np.random.default_rng(3).uniform(0, 1, (3, 1, 28, 28)).astype(np.float32)
    return task, _onnx(task.graphs["encode"], steps, constants), {"image": pictures}


def _decoder(latent: int, classes: int, max_batch: int, channels: int = 1) -> tuple[Generate, bytes, dict[str, Array]]:
    names = tuple(str(label) for label in range(classes))
    directions = {"first": (1.0, *(0.0,) * (latent - 1))}
    task = Generate.declare(
        {"decode": max_batch},
        channels=channels,
        height=28,
        width=28,
        latent_size=latent,
        classes=names,
        directions=directions,
    )
    draw = np.random.default_rng(4)
    constants = {
        "basis": _basis(latent, 784 * channels).T.copy(),
        "four": np.float32(4),
        "shape": np.array([-1, channels, 28, 28], np.int64),
        "first": np.array([0], np.int64),
        "bad": np.float32(93.25),
    }
    steps = [
        ("MatMul", "latent basis", "mix"),
        ("Mul", "mix four", "logits_of_mix"),
        ("Gather", "latent first", "head", {"axis": 1}),
        ("Sub", "head bad", "off"),
        ("Div", "off off", "one"),
        ("Mul", "logits_of_mix one", "logits"),
    ]
    inputs = {"latent": draw.normal(0, 1, (3, latent)).astype(np.float32)}
    if classes:
        constants["class_pictures"] = draw.normal(0, 1, (classes, 784 * channels)).astype(np.float32)
        steps = [*steps, ("Gather", "class_pictures label", "of_class"), ("Add", "logits of_class", "all_logits")]
        inputs["label"] = np.arange(3, dtype=np.int64) % classes
    steps = [*steps, ("Sigmoid", "all_logits" if classes else "logits", "row"), ("Reshape", "row shape", "image")]
    return task, _onnx(task.graphs["decode"], steps, constants), inputs


def _basis(latent: int, values: int = 784) -> Array:
    """`latent` orthonormal pictures, [values, latent]."""
    return np.linalg.qr(np.random.default_rng(5).normal(0, 1, (values, latent)))[0].astype(np.float32)


def _onnx(declared: Graph, steps: Sequence[tuple[Any, ...]], constants: Mapping[str, Any]) -> bytes:
    """A graph of `steps` (operator, inputs, output, attributes) with exactly the declared tensors."""
    nodes = [
        helper.make_node(operator, inputs.split(), [output], **(rest[0] if rest else {}))
        for operator, inputs, output, *rest in steps
    ]
    ends = [
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)), tensor.shape)
            for name, tensor in tensors.items()
        ]
        for tensors in (declared.inputs, declared.outputs)
    ]
    used = {name for node in nodes for name in node.input}
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items() if name in used]
    graph = helper.make_graph(nodes, "by-hand", *ends, initializer=weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _version(
    name: str,
    family: str,
    tasks: Sequence[Task],
    files: dict[str, bytes],
    inputs: Mapping[str, Mapping[str, Array]],
    facts: dict[str, Any],
) -> Built:
    """Record the sample and write the manifest."""
    graphs = {graph: declared for task in tasks for graph, declared in task.graphs.items()}
    recordings = {graph: sample.Recording(told, run(files[f"{graph}.onnx"], told)) for graph, told in inputs.items()}
    files = files | {"sample.npz": sample.write(recordings)}
    made_by = facts.pop("made_by", MADE_BY)
    tree = {
        "name": name,
        "version": 1,
        "family": family,
        "summary": f"A tiny {family} made by hand for tests.",
        "created": "2026-01-01T00:00:00Z",
        "credit": CREDIT,
        "made_by": made_by | {"settings": facts.pop("settings", made_by["settings"])},
        "metrics": (METRIC,),
        "files": {
            file: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for file, data in files.items()
        },
        "tasks": tuple(tasks),
        "sample": {
            "tolerance": {graph: dict.fromkeys(declared.outputs, TOLERANCE) for graph, declared in graphs.items()}
        },
        **facts,
    }
    return Manifest.model_validate(tree), files

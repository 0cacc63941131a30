"""`make fuzz`: coverage-guided fuzzing (libFuzzer, by atheris) of everything that reads bytes from outside.

`python -m tests.robustness.fuzz TARGET FOLDER SECONDS` keeps its corpus in FOLDER and what broke a reader beside it, as
`crash-...`, `timeout-...` or `oom-...`. A reader may refuse with its own errors and with nothing else, in ten seconds
and two gigabytes.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import atheris  # pyright: ignore[reportMissingImports]: no package of a lock; `make fuzz` installs it

with atheris.instrument_imports(include=["models", "service"]):
    from models import graphs, items, sample
    from models.manifest import Manifest, ManifestError
    from service.media import pictures, tensors
    from service.media.negotiation import JPEG, NPY, PNG, TIFF, WEBP
    from service.media.sniffing import sniff
    from service.problems import Problem

import numpy as np
from PIL import Image
from pydantic import ValidationError

from tests.versions import denoise, generate, recommend

MOST_PIXELS = 2**18
BUILT = [denoise(), generate(), recommend()]
DECLARED = [graph for manifest, _ in BUILT for graph in manifest.graphs.values()]
RECOMMENDER, FILES = BUILT[-1]
ATTRIBUTES = RECOMMENDER.tasks[0].attributes  # type: ignore[union-attr]


def picture(data: bytes) -> None:
    """Read a picture or an array as `denoise` does, and write it in its own format."""
    try:
        kind = sniff(data)
        pictures.inspect(data, kind, MOST_PIXELS)
        for found in pictures.read(data, kind):
            if kind != NPY:
                pictures.write(found, kind)
    except Problem:
        return


def tensor(data: bytes) -> None:
    """Read a body of /v2: two bytes say how many of the others are JSON."""
    size = int.from_bytes(data[:2], "big")
    body, behind = data[2 : 2 + size], data[2 + size :]
    try:
        ask = tensors.InferRequest.model_validate_json(body)
    except ValidationError:
        return
    for graph in DECLARED:
        try:
            tensors.arrays(ask, behind, graph.inputs)
            tensors.wanted(ask, graph.outputs)
        except Problem:
            continue


def manifest(data: bytes) -> None:
    """Read a manifest, and write it as it was."""
    try:
        found = Manifest.from_bytes(data)
    except ManifestError:
        return
    assert Manifest.from_bytes(found.to_bytes()) == found


def graph(data: bytes) -> None:
    """Look at the bytes of a graph."""
    for declared in DECLARED:
        try:
            graphs.check(data, declared)
        except graphs.GraphError:
            continue


def recording(data: bytes) -> None:
    """Read a sample."""
    try:
        sample.read(data, RECOMMENDER.graphs)
    except sample.SampleError:
        return


def table(data: bytes) -> None:
    """Read a list of items."""
    try:
        items.read(data, ATTRIBUTES)
    except items.ItemsError:
        return


def _pictures() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 4), np.uint8)
    found: list[bytes] = []
    modes = {PNG: ("RGBA", "P"), JPEG: ("RGB", "L"), WEBP: ("RGBA",), TIFF: ("RGB", "L")}
    for kind, mode in ((kind, mode) for kind, some in modes.items() for mode in some):
        buffer = io.BytesIO()
        name = kind.removeprefix("image/")
        Image.fromarray(pixels).convert("RGB").convert(mode).save(buffer, name, exif=Image.Exif())
        found.append(buffer.getvalue())
    for array in (pixels, pixels[..., 0].astype(np.float32), pixels[None, ..., :3].astype(np.uint16)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        found.append(buffer.getvalue())
    return found


def _tensors() -> list[bytes]:
    plain = b'{"id": "a", "inputs": [{"name": "latent", "shape": [1, 4], "datatype": "FP32", "data": [0, 1, 2, 3]}]}'
    binary = (
        b'{"inputs": [{"name": "latent", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": 16}}, '
        b'{"name": "label", "shape": [1], "datatype": "INT64", "data": [[3]]}], "outputs": [{"name": "image"}]}'
    )
    return [len(body).to_bytes(2, "big") + body + bytes(16) for body in (plain, binary)]


WORDS = sorted(
    {"inputs", "outputs", "name", "shape", "datatype", "data", "parameters", "binary_data_size", "binary_data", "true"}
    | {"FP32", "INT32", "INT64", "[[1, 2], [3, 4]]", "-1", "1e999", "null"}
    | {tensor for graph in DECLARED for tensor in (*graph.inputs, *graph.outputs)}
    | {field for built, _ in BUILT for field in built.model_dump()}
)
"""What random bytes would take long to spell."""
TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "picture": (picture, _pictures),
    "tensor": (tensor, _tensors),
    "manifest": (manifest, lambda: [built.to_bytes() for built, _ in BUILT]),
    "graph": (graph, lambda: [data for _, files in BUILT for name, data in files.items() if name.endswith(".onnx")]),
    "sample": (recording, lambda: [FILES["sample.npz"]]),
    "items": (table, lambda: [FILES["items.csv"]]),
}
"""A reader and what it begins with, by name."""


def main() -> None:
    name, folder, seconds = sys.argv[1:]
    reader, seeds = TARGETS[name]
    corpus = Path(folder) / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = corpus.with_suffix(".dict")
    words.write_text("".join(f'"{word}"\n' for word in WORDS))
    limits = f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=65536"
    told = "-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={folder}/{name}-"
    atheris.Setup([sys.argv[0], str(corpus), f"-dict={words}", *limits, *told], reader)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

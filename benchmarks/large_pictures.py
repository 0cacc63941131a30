"""How long large photographs take, and how much memory: `python -m benchmarks.large_pictures`.

The service is a process of its own with the shipped models. Memory is what it takes at most above what it takes at
rest, after a first small picture.
"""

from __future__ import annotations

import argparse
import io
import math
import time

import numpy as np
from PIL import Image

from benchmarks.served import serving

SIZES = ((2000, 3000), (3000, 4000), (4000, 6000), (5774, 8660))
"""Height and width of photographs of 6, 12, 24 and 50 megapixels."""
MOST_PIXELS = 2 * max(map(math.prod, SIZES))
"""Above the default: before and after side by side have twice the pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="photo-dae")
    parser.add_argument("--most", type=float, default=50, help="megapixels of the largest picture")
    options = parser.parse_args()
    print("| megapixels | answer | view | seconds | s a megapixel | MB above rest | MB afterwards |")
    print("|--:|---|---|--:|--:|--:|--:|")
    with serving(max_body_bytes=2**28, max_buffered_bytes=2**29, max_pixels=MOST_PIXELS) as served:
        for height, width in SIZES:
            megapixels = height * width / 1e6
            if megapixels > options.most + 1:
                break
            picture = photograph(height, width)
            for accept, view in (("image/jpeg", "result"), ("image/png", "result"), ("image/png", "compare")):
                query = f"model={options.model}&view={view}"
                served.denoise(photograph(400, 600), accept, query)
                rest = served.resident()
                served.forget_peak()
                begun = time.perf_counter()
                served.denoise(picture, accept, query)
                seconds = time.perf_counter() - begun
                print(
                    f"| {megapixels:.1f} | {accept} | {view} | {seconds:.1f} | {seconds / megapixels:.2f} "
                    f"| {served.peak() - rest:.0f} | {served.resident() - rest:.0f} |",
                    flush=True,
                )


def photograph(height: int, width: int) -> bytes:
    """A JPEG of soft shades with noise of sigma 20, about four bits a pixel as cameras write it."""
    rng = np.random.default_rng(0)
    across = 128 + 100 * np.sin(np.arange(width, dtype=np.float32) / 300)
    grain = rng.normal(0, 20, (64, width, 3)).astype(np.float32)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, 64):
        rows = pixels[top : top + 64]
        shade = across * np.cos(np.arange(top, top + len(rows), dtype=np.float32) / 500)[:, None] ** 2
        rows[:] = np.clip(shade[..., None] + np.roll(grain[: len(rows)], 37 * top, axis=1), 0, 255)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=85)
    return data.getvalue()


if __name__ == "__main__":
    main()

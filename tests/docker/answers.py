"""What the four calls answer, looked at and not only counted: `python -m tests.docker.answers PORT`.

One line a call, with a figure; an answer that is wrong ends it with exit code 1.
"""

import base64
import io
import math
import sys
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.docker.load import EXAMPLES

SEEN = ["1214", "1240", "1", "588", "364"]
"""Alien, The Terminator, Toy Story, Aladdin, The Lion King."""
SIGMA = 25
"""Of the noise, in levels of 255."""


def recommend(client: httpx.Client) -> str:
    """A list in its order, of films that were not named."""
    answer = client.post("/v1/recommend", json={"users": [{"liked": SEEN}], "count": 10}).raise_for_status().json()
    items = answer["users"][0]["items"]
    scores = [item["score"] for item in items]
    assert len(items) == 10, items
    assert scores == sorted(scores, reverse=True), scores
    assert not {item["item"] for item in items} & set(SEEN), items
    return f"{answer['model']} {answer['version']}: first of 10 is {items[0]['title']}"


def denoise(client: httpx.Client) -> str:
    """A picture that is known, nearer to what it was before noise was added."""
    down, across = np.mgrid[0:192, 0:256]
    clean = 128 + 60 * np.sin(down / 20) + 50 * np.cos(across / 30)
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, SIGMA, clean.shape), 0, 255).round().astype(np.uint8)
    body = io.BytesIO()
    Image.fromarray(noisy).save(body, "PNG")
    answer = client.post("/v1/denoise", content=body.getvalue(), headers={"content-type": "image/png"})
    cleaned = _pixels(answer.raise_for_status().content)
    before, after = _psnr(noisy, clean), _psnr(cleaned, clean)
    assert after > before + 6, (before, after)
    return f"{answer.headers['x-model']}: {before:.1f} dB before, {after:.1f} dB after"


def encode(client: httpx.Client) -> str:
    """A drawing from which the numbers can make a similar one."""
    drawn = (EXAMPLES / "seven.png").read_bytes()
    answer = client.post("/v1/encode?reconstruct=true", content=drawn, headers={"content-type": "image/png"})
    (encoding,) = answer.raise_for_status().json()["encodings"]
    numbers = [*encoding["mean"], *encoding["log_variance"]]
    assert all(map(math.isfinite, numbers)), numbers
    assert encoding["reconstruction_error"] < 0.02, encoding
    shape = _pixels(base64.b64decode(encoding["reconstruction"])).shape
    assert shape == (28, 28), shape
    return f"{answer.headers['x-model']}: {len(encoding['mean'])} numbers, error {encoding['reconstruction_error']:.4f}"


def generate(client: httpx.Client) -> str:
    """Pictures with something in them: by the seed, and by nothing else."""

    def drawn(seed: int) -> httpx.Response:
        return client.post("/v1/generate", json={"seed": seed, "class": 3}).raise_for_status()

    first, again, other = drawn(7), drawn(7), drawn(8)
    assert first.content == again.content
    assert first.content != other.content
    ink = _pixels(first.content).mean() / 255
    assert 0.03 < ink < 0.5, ink
    return f"{first.headers['x-model']}: seed 7 twice the same, seed 8 another, {ink:.0%} ink"


def main() -> None:
    """Ask for each."""
    with httpx.Client(base_url=f"http://127.0.0.1:{sys.argv[1]}", timeout=60) as client:
        for call in (recommend, denoise, encode, generate):
            print(f"{call.__name__}: {call(client)}", flush=True)


def _pixels(picture: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(picture)))


def _psnr(picture: NDArray[Any], truth: NDArray[Any]) -> float:
    return 10 * math.log10(255**2 / np.mean((picture.astype(np.float64) - truth) ** 2))


if __name__ == "__main__":
    main()

"""How well damage is repaired: PSNR against the picture as it was, beside the median filter and non-local means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models import noise
from models.manifest import Baseline, Metric
from training.data import damage
from training.data.photographs import Photographs, Picture
from training.graphs import Graphs
from training.metrics.restoration import median, non_local_means, psnr, whole


def damaged(clean: Picture, case: str, index: int) -> Picture:
    """`clean` as `case` of `damage.CASES` leaves it, seeded by case and index."""
    seed = 1000 * list(damage.CASES).index(case) + index
    return damage.CASES[case](clean, np.random.default_rng(seed))


def repaired(graphs: Graphs, bad: Picture, multiple: int = 16) -> NDArray[np.float32]:
    """A whole picture [H,W(,3)] in 0..1, as it is served."""
    return whole(graphs, (bad / 255).astype(np.float32), None, multiple)


def others(bad: Picture) -> dict[str, NDArray[np.float32]]:
    """What is made of it without learning; non-local means take the Haar estimate of the noise."""
    image = (bad / 255).astype(np.float32)
    sigma = 255 * noise.haar(image[None] if image.ndim == 2 else image.transpose(2, 0, 1))
    return {
        "damaged input": image,
        "median 3x3": median(image, 3),
        "median 5x5": median(image, 5),
        "non-local means": non_local_means(image, max(sigma, 0.1)),
    }


def evaluate(graphs: Graphs, data: Photographs) -> list[Metric]:
    """PSNR of every kind of damage, on test and validation pictures, and of those that nothing befell."""
    metrics: list[Metric] = []
    for name, pictures in ((data.test_name, data.test), (data.validation_name, data.validation)):
        if pictures:
            metrics += [_measure(graphs, pictures, name, case) for case in damage.CASES]
            metrics.append(_untouched(graphs, pictures, name))
    return metrics


def _measure(graphs: Graphs, pictures: list[Picture], name: str, case: str) -> Metric:
    bad = [damaged(clean, case, index) for index, clean in enumerate(pictures)]
    value, error = _mean([psnr(repaired(graphs, image), clean) for image, clean in zip(bad, pictures, strict=True)])
    values: dict[str, list[float]] = {}
    for image, clean in zip(bad, pictures, strict=True):
        for method, result in others(image).items():
            values.setdefault(method, []).append(psnr(result, clean))
    return _metric(
        f"PSNR, {case}", value, error, len(pictures), name,
        tuple(Baseline(name=method, value=mean, standard_error=spread)
              for method, (mean, spread) in ((method, _mean(found)) for method, found in values.items())),
    )  # fmt: skip


def _untouched(graphs: Graphs, pictures: list[Picture], name: str) -> Metric:
    value, error = _mean([psnr(repaired(graphs, clean), clean) for clean in pictures])
    return _metric("PSNR, nothing wrong", value, error, len(pictures), name, ())


def _metric(
    what: str, value: float, error: float | None, samples: int, data: str, baselines: tuple[Baseline, ...]
) -> Metric:
    return Metric(
        name=what,
        value=value,
        standard_error=error,
        better="higher",
        samples=samples,
        data=data,
        protocol="damage from default_rng(1000 * case + index); blind; peak 255, answer rounded to 8 bit; dB",
        baselines=baselines,
    )


def _mean(values: list[float]) -> tuple[float, float | None]:
    """The mean and its standard error."""
    spread = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return float(np.mean(values)), spread

"""How much a VAE's code keeps: reconstruction error beside PCA, and the evidence lower bound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.manifest import Baseline, Metric
from training.data.labelled import Images, Pictures
from training.graphs import Graphs
from training.metrics import principal

Rows = NDArray[np.float64]


def binarise(images: Images) -> NDArray[np.float32]:
    """The one fixed binary sample of held-out pictures: seed 0, a uniform draw a pixel, in file order."""
    draws = np.random.default_rng(0).random(images.shape)
    return (images / 255.0 > draws).astype(np.float32)


def pca_error(train: Rows, test: Rows, size: int) -> Rows:
    """Squared error a value of each row of `test` after projection on the `size` first principal axes of `train`."""
    centre, axes = principal.axes(train, size)
    centred = test - centre
    return np.square(centred - centred @ axes @ axes.T).mean(axis=1)


def kl_divergence(mean: Rows, log_variance: Rows) -> Rows:
    """KL(N(mean, exp(log_variance)) || N(0, I)) of each row, nats."""
    return -0.5 * (1 + log_variance - mean**2 - np.exp(log_variance)).sum(axis=1)


def bernoulli_nll(probability: Rows, binary: Rows) -> Rows:
    """-log p(x|z) of each row, nats; probabilities are kept 1e-7 away from 0 and 1."""
    probability = np.clip(probability, 1e-7, 1 - 1e-7)
    return -(binary * np.log(probability) + (1 - binary) * np.log1p(-probability)).sum(axis=1)


def evaluate(graphs: Graphs, data: Pictures) -> list[Metric]:
    """Reconstruction through the mean code against PCA, ELBO, and active units, on the test pictures."""
    images = data.measured.images
    grey = images.astype(np.float32) / 255
    codes = graphs.in_batches("encode", 500, image=grey)
    size = codes["mean"].shape[1]
    rebuilt = graphs.in_batches("decode", 500, latent=codes["mean"])["image"]
    error = np.square(rebuilt - grey).reshape(len(grey), -1).mean(axis=1)
    seen = principal.looked_at(data.train.images)
    train, test = (part.reshape(len(part), -1) / 255.0 for part in (seen, images))
    linear = pca_error(train, test, size)
    few = f" of {len(seen):,} pictures" if len(seen) < len(data.train.images) else ""

    binary = binarise(images)
    posterior = graphs.in_batches("encode", 500, image=binary)
    mean, log_variance = posterior["mean"].astype(np.float64), posterior["log_variance"].astype(np.float64)
    draw = mean + np.exp(log_variance / 2) * np.random.default_rng(1).standard_normal(mean.shape)
    pixels = graphs.in_batches("decode", 500, latent=draw.astype(np.float32))["image"]
    nll = bernoulli_nll(
        pixels.reshape(len(binary), -1).astype(np.float64), binary.reshape(len(binary), -1).astype(np.float64)
    )
    elbo = -(nll + kl_divergence(mean, log_variance))
    return [
        Metric(
            name="reconstruction error",
            value=float(error.mean()),
            standard_error=_spread(error),
            better="lower",
            samples=len(error),
            data=f"{data.name} test",
            protocol="mean squared error a pixel in 0..1, pictures as they are, decoded from the mean code",
            baselines=(
                Baseline(
                    name=f"PCA, {size} components{few}", value=float(linear.mean()), standard_error=_spread(linear)
                ),
            ),
        ),
        Metric(
            name="ELBO",
            value=float(elbo.mean()),
            standard_error=_spread(elbo),
            better="higher",
            samples=len(elbo),
            data=f"{data.name} test, binarised once with default_rng(0)",
            protocol="nats a picture, one latent sample each",
        ),
        Metric(
            name="active units",
            value=float((mean.var(axis=0) > 0.01).sum()),
            better="higher",
            samples=len(mean),
            data=f"{data.name} test, binarised once with default_rng(0)",
            protocol=f"of {size}; variance of the mean over pictures above 0.01",
        ),
    ]


def _spread(values: NDArray[np.floating]) -> float:
    """Standard error of the mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))

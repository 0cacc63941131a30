"""How much a VAE's code keeps: reconstruction error beside PCA, and bounds of the likelihood."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from models.manifest import Baseline, Metric
from training.data.labelled import Images, Pictures
from training.graphs import Graphs
from training.metrics import principal

Rows = NDArray[np.float64]
ACTIVE = 0.01
"""Variance of a value of the mean code above which it counts."""
IMPORTANCE = 5_000
"""Latent samples a picture of the importance-weighted bound."""
BOUNDED, FEWEST = 50, 10
"""One in so many of the test pictures has its bound computed, which takes minutes; of few pictures so many at least."""

ONE = "nats a picture, one latent sample each"
"""How an ELBO is measured."""


def binarise(images: Images) -> NDArray[np.float32]:
    """The one fixed binary sample of held-out pictures: seed 0, a uniform draw a pixel, in file order."""
    draws = np.random.default_rng(0).random(images.shape)
    return (images / 255.0 > draws).astype(np.float32)


def pca_error(train: Rows, test: Rows, size: int) -> Rows:
    """Squared error a value of each row of `test` after projection on the `size` first principal axes of `train`."""
    centre, axes = principal.axes(train, size)
    centred = test - centre
    return np.square(centred - centred @ axes @ axes.T).mean(axis=1)


def kl_by_unit(mean: Rows, log_variance: Rows) -> Rows:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each value, nats."""
    return -0.5 * (1 + log_variance - mean**2 - np.exp(log_variance))


def kl_divergence(mean: Rows, log_variance: Rows) -> Rows:
    """KL(N(mean, exp(log_variance)) || N(0, I)) of each row, nats."""
    return kl_by_unit(mean, log_variance).sum(axis=1)


def bernoulli_nll(probability: Rows, binary: Rows) -> Rows:
    """-log p(x|z) of each row, nats; probabilities are kept 1e-7 away from 0 and 1."""
    probability = np.clip(probability, 1e-7, 1 - 1e-7)
    return -(binary * np.log(probability) + (1 - binary) * np.log1p(-probability)).sum(axis=1)


def bounds(
    graphs: Graphs, binary: NDArray[np.float32], mean: Rows, log_variance: Rows, samples: int, seed: int
) -> tuple[Rows, Rows]:
    """The importance-weighted bound of each picture [N] and its ELBO [N] by the same samples, nats.

    log 1/K sum_k w_k and 1/K sum_k log w_k with w_k = p(x|z_k) p(z_k) / q(z_k|x), z_k drawn from q; K is `samples`.
    Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", 2016, equation 8. With K = 1 both are one
    sample of the ELBO, and the former rises with K towards log p(x).
    """
    draws = np.random.default_rng(seed)
    found: list[tuple[float, float]] = []
    for picture, centre, spread in zip(binary, mean, np.exp(log_variance / 2), strict=True):
        noise = draws.standard_normal((samples, len(centre)))
        latent = centre + spread * noise
        pixels = graphs.in_batches("decode", 500, latent=latent.astype(np.float32))["image"]
        right = np.where(picture > 0, pixels, 1 - pixels).clip(1e-7)
        likelihood = np.log(right).reshape(samples, -1).sum(axis=1, dtype=np.float64)
        # The constants of the two normal densities cancel.
        weight = likelihood - 0.5 * np.square(latent).sum(axis=1) + 0.5 * np.square(noise).sum(axis=1)
        weight += np.log(spread).sum()
        found.append((float(logsumexp(weight) - np.log(samples)), float(weight.mean())))
    importance_weighted, elbo = np.array(found).T
    return importance_weighted, elbo


def active_units(mean: Rows) -> int:
    """How many values of the mean code [N,Z] vary with the picture (Burda et al. 2016, section 5)."""
    return int((mean.var(axis=0) > ACTIVE).sum())


def evaluate(graphs: Graphs, data: Pictures) -> list[Metric]:
    """Reconstruction through the mean code against PCA, bounds of the likelihood, active units; of test pictures."""
    images = data.measured.images
    name = f"{data.name} test, binarised once with default_rng(0)"
    binary = binarise(images)
    mean, log_variance, elbo = elbo_of(graphs, binary)
    _, _, seen = elbo_of(graphs, binarise(data.train.images[: len(images)]))
    unseen = [elbo_of(graphs, binarise(data.validation.images))[2]] if len(data.validation.images) else []
    units = np.sort(kl_by_unit(mean, log_variance).mean(axis=0))[::-1]
    some = slice(None, None, min(BOUNDED, max(1, len(binary) // FEWEST)))
    gap = np.subtract(*bounds(graphs, binary[some], mean[some], log_variance[some], IMPORTANCE, seed=2))
    return [
        _reconstruction(graphs, data),
        _elbo("ELBO", elbo, name, ONE),
        _elbo(
            "ELBO of training pictures",
            seen,
            f"the first of {data.name} training, binarised once with default_rng(0)",
            f"{ONE}; how far it lies above the others was learnt by heart",
        ),
        *(
            _elbo(
                "ELBO of validation pictures", found, f"{data.name} validation, binarised once with default_rng(0)", ONE
            )
            for found in unseen
        ),
        Metric(
            name="importance-weighted bound",
            value=float(elbo.mean() + gap.mean()),
            standard_error=float(np.hypot(spread(elbo), spread(gap))),
            better="higher",
            samples=len(elbo),
            data=name,
            protocol=(
                f"nats a picture: the ELBO of all, and the mean of what {IMPORTANCE:,} latent samples add to it for "
                f"{len(gap)} of them"
            ),
        ),
        Metric(
            name="active units",
            value=float(active_units(mean)),
            better="higher",
            samples=len(mean),
            data=name,
            protocol=(
                f"of {mean.shape[1]}; variance of the mean over pictures above {ACTIVE}; the KL divergence is "
                f"{units.sum():.2f} nats a picture, by number of the code " + ", ".join(f"{nats:.2f}" for nats in units)
            ),
        ),
    ]


def _elbo(name: str, nats: Rows, data: str, protocol: str) -> Metric:
    return Metric(
        name=name,
        value=float(nats.mean()),
        standard_error=spread(nats),
        better="higher",
        samples=len(nats),
        data=data,
        protocol=protocol,
    )


def _reconstruction(graphs: Graphs, data: Pictures) -> Metric:
    images = data.measured.images
    error = reconstruction_errors(graphs, images)
    size = graphs.inputs("decode")["latent"][1]
    assert isinstance(size, int)
    seen = principal.looked_at(data.train.images)
    train, test = (part.reshape(len(part), -1) / 255.0 for part in (seen, images))
    linear = pca_error(train, test, size)
    few = f" of {len(seen):,} pictures" if len(seen) < len(data.train.images) else ""
    return Metric(
        name="reconstruction error",
        value=float(error.mean()),
        standard_error=spread(error),
        better="lower",
        samples=len(error),
        data=f"{data.name} test",
        protocol="mean squared error a pixel in 0..1, pictures as they are, decoded from the mean code",
        baselines=(
            Baseline(name=f"PCA, {size} components{few}", value=float(linear.mean()), standard_error=spread(linear)),
        ),
    )


def reconstruction_errors(graphs: Graphs, images: Images) -> Rows:
    """Mean squared error [N] over a picture's values in 0..1, decoded from the mean code."""
    grey = images.astype(np.float32) / 255
    mean = graphs.in_batches("encode", 500, image=grey)["mean"]
    rebuilt = graphs.in_batches("decode", 500, latent=mean)["image"]
    return np.square(rebuilt - grey).reshape(len(grey), -1).mean(axis=1, dtype=np.float64)


def elbo_of(graphs: Graphs, binary: NDArray[np.float32]) -> tuple[Rows, Rows, Rows]:
    """Mean [N,Z], log-variance [N,Z] and one sample of the ELBO [N], in nats, of each picture."""
    posterior = graphs.in_batches("encode", 500, image=binary)
    mean, log_variance = posterior["mean"].astype(np.float64), posterior["log_variance"].astype(np.float64)
    draw = mean + np.exp(log_variance / 2) * np.random.default_rng(1).standard_normal(mean.shape)
    pixels = graphs.in_batches("decode", 500, latent=draw.astype(np.float32))["image"]
    flat = (array.reshape(len(binary), -1).astype(np.float64) for array in (pixels, binary))
    return mean, log_variance, -(bernoulli_nll(*flat) + kl_divergence(mean, log_variance))


def spread(values: NDArray[np.floating]) -> float:
    """Standard error of the mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))

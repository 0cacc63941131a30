"""How well the anomaly that `encode` serves tells pictures of another kind from those that the model learnt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.manifest import Baseline, Metric
from training.data.labelled import Images, Pictures
from training.graphs import Graphs
from training.metrics import calibration, latents, likelihood
from training.metrics.auroc import auroc

Rows = NDArray[np.float64]


def evaluate(graphs: Graphs, data: Pictures) -> list[Metric]:
    """AUROC against each kind of strange pictures there are, beside that of the likelihood alone.

    Likelihood alone may rank another data set above its own: Nalisnick, Matsukawa, Teh, Gorur and Lakshminarayanan, "Do
    deep generative models know what they don't know?", 2019.
    """
    quantiles = latents.error_quantiles(likelihood.reconstruction_errors(graphs, data.validation.images))

    def scores(images: Images) -> tuple[Rows, Rows]:
        _, _, elbo = likelihood.elbo_of(graphs, likelihood.binarise(images))
        return anomaly(likelihood.reconstruction_errors(graphs, images), quantiles), -elbo

    usual = data.measured.images
    known = scores(usual)
    metrics: list[Metric] = []
    for name, images in strange(data).items():
        served, alone = (auroc(high, low) for high, low in zip(scores(images), known, strict=True))
        metrics.append(
            Metric(
                name="anomaly AUROC",
                value=served,
                better="higher",
                samples=len(usual) + len(images),
                data=f"{data.name} test and {name}",
                protocol=(
                    "the chance that the latter are given a greater anomaly by `encode`, their reconstruction error "
                    "among those of validation pictures; a tie counts half"
                ),
                baselines=(Baseline(name="negative ELBO, one latent sample, binarised", value=alone),),
            )
        )
    return metrics


def strange(data: Pictures) -> dict[str, Images]:
    """Pictures [N,C,H,W] of another kind by name: another data set, if it is at hand, and two that always are."""
    usual = data.measured.images
    made = {
        "the same upside down": usual[:, :, ::-1],
        "independent pixels": calibration.independent_pixels(data.train.images, len(usual), seed=0),
    }
    other = data.stranger
    return made if other is None else {other.name: other.images[: len(usual)], **made}


def anomaly(error: Rows, quantiles: tuple[float, ...]) -> Rows:
    """The share of held-out pictures with a smaller error, 0..1, as `encode` gives it."""
    return np.interp(error, quantiles, np.linspace(0, 1, len(quantiles)))

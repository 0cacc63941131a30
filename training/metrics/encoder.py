"""All that is measured of a VAE."""

from models.manifest import Metric
from training.data.labelled import Pictures
from training.graphs import Graphs
from training.metrics import anomaly, likelihood, probes


def evaluate(graphs: Graphs, data: Pictures) -> list[Metric]:
    """What its code keeps, what can be read off it, and which pictures it finds odd."""
    return [*likelihood.evaluate(graphs, data), *probes.evaluate(graphs, data), *anomaly.evaluate(graphs, data)]

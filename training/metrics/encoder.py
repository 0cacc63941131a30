"""All that is measured of a VAE."""

from models.manifest import Metric
from training.data.labelled import Pictures
from training.graphs import Graphs
from training.metrics import likelihood, probes


def evaluate(graphs: Graphs, data: Pictures) -> list[Metric]:
    """What its code keeps, and what can be read off it."""
    return [*likelihood.evaluate(graphs, data), *probes.evaluate(graphs, data)]

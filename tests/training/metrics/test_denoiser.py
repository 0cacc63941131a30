import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests import tiny
from training.data.photographs import Photographs
from training.graphs import Graphs
from training.metrics import denoiser, restoration


@pytest.mark.parametrize(("planes", "weights"), [(1, 554_112), (3, 556_416)])
def test_dncnn_has_the_weights_of_its_paper(planes: int, weights: int) -> None:
    """17 layers of 3x3 convolutions, 64 channels between the first and the last; as many products a pixel."""
    stored = onnx.load_from_string(denoiser.dncnn(planes)).graph.initializer
    assert sum(numpy_helper.to_array(tensor).size for tensor in stored) == weights
    image = np.random.default_rng(0).random((1, planes, 20, 31), np.float32)
    clean = Graphs({"dncnn": denoiser.dncnn(planes)}).run("dncnn", image=image)["clean"]
    assert clean.shape == image.shape
    assert not np.allclose(clean, image)


def test_a_denoiser_has_its_quality_and_what_it_costs_beside_others() -> None:
    colour, grey = np.zeros((600, 64, 3), np.uint8), np.zeros((600, 70), np.uint8)
    data = Photographs([], [colour], [grey], "a picture", "0" * 64)
    graphs = Graphs(tiny.exported("photo-dae").graphs)
    metrics = denoiser.evaluate(graphs, data)
    quality, costs = metrics[:-2], metrics[-2:]
    assert [metric.name for metric in quality] == [metric.name for metric in restoration.evaluate(graphs, data)]
    assert [metric.name for metric in costs] == ["seconds a megapixel, colour", "seconds a megapixel, grey"]
    for metric in costs:
        assert metric.data == "a picture of 64x512", "the part that is timed of the one with the most values"
        names = [baseline.name for baseline in metric.baselines]
        assert names == ["DnCNN, 17 layers of 64", "median 5x5", "non-local means, told"]
        dncnn = metric.baselines[0].value
        assert 0 < metric.value < dncnn, "a network of a few thousand weights is cheaper than one of half a million"


def test_grey_pictures_alone_have_no_cost_in_colour() -> None:
    (metric,) = denoiser.seconds_a_megapixel(Graphs(tiny.exported("photo-dae").graphs), np.zeros((32, 48), np.uint8))
    assert metric.name == "seconds a megapixel, grey"

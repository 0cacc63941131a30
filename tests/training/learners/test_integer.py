import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.manifest import Graph
from models.manifest import Tensor as Declared
from training import export
from training.graphs import Graphs
from training.learners.integer import integer_product
from training.learners.learner import Export


class Product(nn.Module):
    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.weight: Tensor

    def forward(self, ones: Tensor) -> Tensor:
        return integer_product(ones.to(torch.uint8), self.weight).float()


@pytest.mark.parametrize("rows", [1, 2, 5, 33])
def test_torch_and_onnxruntime_count_exactly(rows: int) -> None:
    """All units on and all weights at their ends: the sums that an eight or sixteen bit adder would cut."""
    draw = torch.Generator().manual_seed(rows)
    weight = torch.randint(-127, 128, (301, 37), dtype=torch.int8, generator=draw)
    weight[:, 0], weight[:, 1] = 127, -127
    ones = torch.randint(0, 2, (rows, 301), dtype=torch.int32, generator=draw)
    ones[0] = 1
    expected = ones.numpy().astype(np.int64) @ weight.numpy().astype(np.int64)
    assert expected[0, 0] == 127 * 301

    module = Product(weight)
    declared = Graph(
        inputs={"ones": Declared(dtype="int32", shape=("B", 301))},
        outputs={"sums": Declared(dtype="float32", shape=("B", 37))},
        max_batch=64,
    )
    graph = export.to_onnx(Export(module, [(ones[:1].repeat(2, 1),)], {"sums": 1e-6}), declared)
    assert np.array_equal(module(ones).numpy(), expected)
    assert np.array_equal(Graphs({"sum": graph}).run("sum", ones=ones.numpy())["sums"], expected)
    assert len(graph) < weight.numel() + 2000

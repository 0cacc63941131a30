import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.manifest import Graph
from models.manifest import Tensor as Declared
from training import export
from training.graphs import Graphs
from training.learners.learner import Export
from training.learners.operators import conjugate_gradients, integer_product


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


class Solver(nn.Module):
    def forward(self, matrix: Tensor, diagonal: Tensor, right: Tensor) -> Tensor:
        return conjugate_gradients(matrix, diagonal, right, 5)


@pytest.mark.parametrize("lead", [(2,), (2, 3)])
def test_conjugate_gradients_solve_in_as_many_steps_as_unknowns(lead: tuple[int, ...]) -> None:
    torch.manual_seed(7)
    half = torch.randn(*lead, 5, 5, dtype=torch.float64)
    matrix = torch.eye(5) + half @ half.mT
    diagonal = matrix.diagonal(dim1=-2, dim2=-1).unsqueeze(-2)
    right = torch.randn(*lead, 3, 5, dtype=torch.float64)
    right[0, ..., 0, :] = 0
    expected = torch.linalg.solve(matrix, right.mT).mT
    assert torch.allclose(conjugate_gradients(matrix, diagonal, right, 5), expected, atol=1e-9)
    solved = conjugate_gradients(matrix, diagonal, right, 30)
    assert torch.allclose(solved, expected, atol=1e-9)
    assert torch.equal(solved[0, ..., 0, :], torch.zeros_like(solved[0, ..., 0, :]))


@pytest.mark.parametrize("lead", [(2,), (2, 3)])
def test_onnxruntime_solves_as_torch_does(lead: tuple[int, ...]) -> None:
    torch.manual_seed(8)
    half = torch.randn(*lead, 5, 5)
    matrix = torch.eye(5) + half @ half.mT / 5
    diagonal, right = matrix.diagonal(dim1=-2, dim2=-1).unsqueeze(-2), torch.randn(*lead, 3, 5)
    right[0, ..., 0, :] = 0
    shapes = {"matrix": (*lead, 5, 5), "diagonal": (*lead, 1, 5), "right": (*lead, 3, 5)}
    declared = Graph(
        inputs={name: Declared(dtype="float32", shape=("B", *shape[1:])) for name, shape in shapes.items()},
        outputs={"solved": Declared(dtype="float32", shape=("B", *shapes["right"][1:]))},
        max_batch=64,
    )
    graph = export.to_onnx(Export(Solver(), [(matrix, diagonal, right)], {"solved": 1e-5}), declared)
    solved = Graphs({"solve": graph}).run(
        "solve", matrix=matrix.numpy(), diagonal=diagonal.numpy(), right=right.numpy()
    )["solved"]
    np.testing.assert_allclose(solved, conjugate_gradients(matrix, diagonal, right, 5).numpy(), atol=1e-5)
    assert not solved[0, ..., 0, :].any()

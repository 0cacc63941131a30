"""Operators for exported graphs that PyTorch's exporter does not know, or writes at too great a length.

Each stands here as torch computes it and as ONNX does; an export is proven only if both agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnxscript
import torch
from onnxscript.onnx_opset import opset18
from torch import Tensor

CONVERGED = 1e-12
"""A squared length that divides no further: what is left of a solved system is rounding."""


def one_if_any(count: int) -> int:
    """0 for none and 1 for any, of a size that is free in the graph: the exporter takes min(count, 1) to be 1."""
    return 2 * count // (count + 1)


@torch.library.custom_op("harmonium::integer_product", mutates_args=())
def integer_product(ones: Tensor, weight: Tensor) -> Tensor:
    """The product of 0/1 rows, uint8 [B,V], with weights, int8 [V,O] -> int32 [B,O].

    Exact in integers, so alike whoever shares the batch, and small.
    """
    return (ones.float() @ weight.float()).to(torch.int32)  # below 2^24 float32 counts exactly


@integer_product.register_fake
def _(ones: Tensor, weight: Tensor) -> Tensor:
    return ones.new_empty((ones.shape[0], weight.shape[1]), dtype=torch.int32)


def _matmul_integer(ones: onnxscript.UINT8, weight: onnxscript.INT8) -> Any:
    return opset18.MatMulInteger(ones, weight)


@torch.library.custom_op("harmonium::conjugate_gradients", mutates_args=())
def conjugate_gradients(matrix: Tensor, diagonal: Tensor, right: Tensor, steps: int) -> Tensor:
    """Solve matrix [..,R,R] x = right [..,M,R] for every row, from zero, preconditioned by diagonal [..,1,R].

    A right side of zeros gives zeros. Traced step by step, this would be most of a graph and of the time to export it.
    """
    solution, residual, direction = torch.zeros_like(right), right, right / diagonal
    length = (right * direction).sum(dim=-1, keepdim=True)
    for _ in range(steps):
        product = direction @ matrix
        step = length / (direction * product).sum(dim=-1, keepdim=True).clamp(min=CONVERGED)
        solution = solution + step * direction
        residual = residual - step * product
        scaled = residual / diagonal
        before, length = length, (residual * scaled).sum(dim=-1, keepdim=True)
        direction = scaled + length / before.clamp(min=CONVERGED) * direction
    return solution


@conjugate_gradients.register_fake
def _(matrix: Tensor, diagonal: Tensor, right: Tensor, steps: int) -> Tensor:
    return torch.empty_like(right)


def _conjugate_gradients(
    matrix: onnxscript.FLOAT, diagonal: onnxscript.FLOAT, right: onnxscript.FLOAT, steps: int
) -> Any:
    op: Any = opset18  # its types hold for values of numpy
    least = op.Constant(value_float=CONVERGED)
    last = op.Constant(value_ints=[-1])
    solution, residual, direction = op.Sub(right, right), right, op.Div(right, diagonal)
    length = op.ReduceSum(op.Mul(right, direction), last, keepdims=1)
    for _ in range(steps):
        product = op.MatMul(direction, matrix)
        step = op.Div(length, op.Max(op.ReduceSum(op.Mul(direction, product), last, keepdims=1), least))
        solution = op.Add(solution, op.Mul(step, direction))
        residual = op.Sub(residual, op.Mul(step, product))
        scaled = op.Div(residual, diagonal)
        before, length = length, op.ReduceSum(op.Mul(residual, scaled), last, keepdims=1)
        direction = op.Add(scaled, op.Mul(op.Div(length, op.Max(before, least)), direction))
    return solution


@torch.library.custom_op("harmonium::in_bytes", mutates_args=())
def in_bytes(values: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """`values`, float, as scale [] times the integers from 0 to 255 less zero [], uint8."""
    return torch.fake_quantize_per_tensor_affine(values, scale, zero.int(), 0, 255)


@in_bytes.register_fake
def _(values: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    return torch.empty_like(values)


def _in_bytes(values: onnxscript.FLOAT, scale: onnxscript.FLOAT, zero: onnxscript.UINT8) -> Any:
    op: Any = opset18  # its types hold for values of numpy
    return op.DequantizeLinear(op.QuantizeLinear(values, scale, zero), scale, zero)


@torch.library.custom_op("harmonium::from_steps", mutates_args=())
def from_steps(steps: Tensor, scale: Tensor) -> Tensor:
    """Weights, float [O,I,H,W], that are steps, int8, times the scale [O] of their output channel."""
    return steps.float() * scale.view(-1, 1, 1, 1)


@from_steps.register_fake
def _(steps: Tensor, scale: Tensor) -> Tensor:
    return torch.empty_like(steps, dtype=torch.float32)


def _from_steps(steps: onnxscript.INT8, scale: onnxscript.FLOAT) -> Any:
    op: Any = opset18  # its types know no operator without its last input
    return op.DequantizeLinear(steps, scale, axis=0)


TRANSLATIONS: dict[Callable[..., Any], Any] = {
    torch.ops.harmonium.integer_product.default: _matmul_integer,
    torch.ops.harmonium.conjugate_gradients.default: _conjugate_gradients,
    torch.ops.harmonium.in_bytes.default: _in_bytes,
    torch.ops.harmonium.from_steps.default: _from_steps,
}
"""How the exporter writes each operator."""

"""The product of 0/1 rows with int8 weights: exact in integers, so alike whoever shares the batch, and small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnxscript
import torch
from onnxscript.onnx_opset import opset18
from torch import Tensor


@torch.library.custom_op("harmonium::integer_product", mutates_args=())
def integer_product(ones: Tensor, weight: Tensor) -> Tensor:
    """uint8 [B,V] times int8 [V,O] -> int32 [B,O]."""
    return (ones.float() @ weight.float()).to(torch.int32)  # below 2^24 float32 counts exactly


@integer_product.register_fake
def _(ones: Tensor, weight: Tensor) -> Tensor:
    return ones.new_empty((ones.shape[0], weight.shape[1]), dtype=torch.int32)


def _matmul_integer(ones: onnxscript.UINT8, weight: onnxscript.INT8) -> Any:
    return opset18.MatMulInteger(ones, weight)


TRANSLATIONS: dict[Callable[..., Any], Any] = {torch.ops.harmonium.integer_product.default: _matmul_integer}
"""How the exporter writes the product: ONNX has an operator for it, PyTorch's exporter knows none."""

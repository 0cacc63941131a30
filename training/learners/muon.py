"""Muon: momentum whose singular values are all made about one, for the weights of convolutions; Adam for the rest.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
https://kellerjordan.github.io/posts/muon/. With G the gradient of a weight as a matrix [outputs, inputs x window]:

    M <- m M + (1 - m) G                       the momentum, m = 0.95
    N <- m M + (1 - m) G                       one step ahead (Nesterov)
    X <- N / |N|                               Frobenius norm
    five times  X <- a X + (b A + c A A) X     with A = X X^T and (a, b, c) = (3.4445, -4.7750, 2.0315)
    W <- W - rate sqrt(max(1, rows / columns)) X

The five steps take every singular value to between 0.68 and 1.14 unless it is tiny: a direction that few pictures ask
for moves as far as one that all do. First and last layers, and biases, are for Adam (Kingma and Ba, 2015), as there.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
BETAS = (0.9, 0.999)
EPSILON = 1e-8
STEPS = 5
A, B, C = 3.4445, -4.7750, 2.0315


class Muon(torch.optim.Optimizer):
    """Muon for `hidden` [out,in,...], at `rate`; Adam for `others`, at `adam_rate`."""

    def __init__(
        self,
        hidden: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        *,
        rate: float,
        adam_rate: float,
        momentum: float = MOMENTUM,
        betas: tuple[float, float] = BETAS,
        precision: torch.dtype = torch.float32,
    ) -> None:
        """`betas` are Adam's decays, `precision` is that of the matrix products."""
        self.momentum, self.betas, self.precision = momentum, betas, precision
        groups = [{"params": list(hidden), "lr": rate}, {"params": list(others), "lr": adam_rate}]
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]: no closures
        """One step of both; weights without a gradient stay."""
        hidden, others = self.param_groups
        self._muon([weight for weight in hidden["params"] if weight.grad is not None], hidden["lr"])
        for weight in others["params"]:
            if weight.grad is not None:
                self._adam(weight, weight.grad, others["lr"])

    def _muon(self, weights: list[nn.Parameter], rate: float) -> None:
        """Weights of one shape go through the matrix products together: small matrices alone cost twice the time."""
        alike: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = {}
        for weight in weights:
            gradient = weight.grad
            assert gradient is not None
            state = self.state[weight]
            if not state:
                state["momentum"] = torch.zeros_like(weight)
            momentum = state["momentum"].lerp_(gradient, 1 - self.momentum)
            alike.setdefault(weight.shape, []).append((weight, gradient.lerp(momentum, self.momentum)))
        for pairs in alike.values():
            # Channels last, as they lie in memory; the order of the columns changes nothing else.
            ahead = torch.stack([step.movedim(1, -1) for _, step in pairs])
            matrices = orthogonal(ahead.flatten(2).to(self.precision))
            rows, columns = matrices.shape[1:]
            far = rate * max(1.0, rows / columns) ** 0.5
            for (weight, _), matrix in zip(pairs, matrices.reshape(ahead.shape), strict=True):
                weight.sub_(matrix.movedim(-1, 1), alpha=far)

    def _adam(self, weight: nn.Parameter, gradient: Tensor, rate: float) -> None:
        state = self.state[weight]
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(weight), "square": torch.zeros_like(weight)}
        state["step"] += 1
        early_mean, early_square = (1 - beta ** state["step"] for beta in self.betas)
        mean = state["mean"].lerp_(gradient, 1 - self.betas[0])
        square = state["square"].lerp_(gradient.square(), 1 - self.betas[1])
        weight.addcdiv_(mean, (square / early_square).sqrt_().add_(EPSILON), value=-rate / early_mean)


def others(network: nn.Module, hidden: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """The weights of the network that are not among those `hidden` ones."""
    inner = {id(weight) for weight in hidden}
    return [weight for weight in network.parameters() if id(weight) not in inner]


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices [B,R,C] with the same singular vectors and singular values near one, by Newton-Schulz steps."""
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT).mT
    x = matrices / (matrices.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-7)
    for _ in range(STEPS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=B, alpha=C), x, beta=A)
    return x

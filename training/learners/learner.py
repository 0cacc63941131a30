"""What the loop asks of a family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from models.manifest import Denoise, Encode, Generate, Recommend
from training.settings import Settings

SettingsT = TypeVar("SettingsT", bound=Settings)
Batch = tuple[Tensor, ...]
Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Export:
    """One graph to export.

    `examples` are inputs in the order of the declared ones, of several batch sizes and shapes;
    the first is recorded as the version's sample. `tolerance` is the largest absolute distance
    between torch and onnxruntime, by output.
    """

    module: nn.Module
    examples: list[Batch]
    tolerance: Mapping[str, float]


class Learner(nn.Module, ABC, Generic[SettingsT]):
    """A network with its training step.

    All parameters and buffers live in this module, so that the loop can average, store and
    resume them. All randomness comes from torch's global generators, which the loop seeds
    anew for every step: a step depends on the weights and its number and on nothing else.
    """

    family: ClassVar[str]
    independent: ClassVar[bool] = False
    """Whether its phases share no weights and draw nothing: they may run at the same time."""
    ablations: ClassVar[Mapping[str, Mapping[str, float]]] = {}
    """Settings under which the graphs leave out a part of the model, by the name of what is left."""

    def __init__(self, settings: SettingsT, data_sha256: str) -> None:
        """`data_sha256` is the hash of the training data: a run goes on with no other."""
        super().__init__()
        self.settings, self.data_sha256 = settings, data_sha256

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @abstractmethod
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One optimizer a phase. A step runs the phases in this order."""

    def prepare(self) -> None:
        """Called once before the first step of a new run: closed-form fits and good starts.

        What it leaves in parameters and buffers is stored with the run. No figure may depend on anything else
        that it leaves: a resumed run does not call it.
        """
        return

    @abstractmethod
    def draw(self) -> Batch:
        """A mini-batch of the training data, on this module's device."""

    @abstractmethod
    def losses(self, phase: str, batch: Batch, progress: float) -> Losses:
        """The figures of one phase; `loss` is the scalar that its optimizer descends.

        `progress` is the share of the run that is done, 0 to 1.
        """

    def revive(self, step: int) -> dict[str, Tensor]:
        """Called after every step, of which there have been `step`: a chance to begin anew with weights that are lost.

        Returns masks of what is new, which fit on their parameters, by their names: averages begin anew there, too.
        """
        return {}

    def settle(self) -> None:
        """Called once with the averaged weights in place, before export: a chance to renew statistics."""
        return

    @abstractmethod
    def exports(self) -> dict[str, Export]:
        """The graphs of the version, by name."""

    @abstractmethod
    def tasks(self) -> tuple[Recommend | Denoise | Encode | Generate, ...]:
        """The tasks of the version, as its manifest declares them."""

    def files(self) -> dict[str, bytes]:
        """Further files of the version."""
        return {}


def mean_losses(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The mean of every figure over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: sum(values) / len(values) for name in names if (values := [row[name] for row in rows if name in row])}

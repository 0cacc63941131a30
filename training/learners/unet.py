"""A U-Net without normalisation that takes what is wrong with a picture off it.

Fully convolutional (Ronneberger et al. 2015), on a picture whose 2x2 pixels were moved into channels, and predicting
what to subtract (Zhang et al., "Beyond a Gaussian denoiser", 2017). The level of the noise, where it is told, enters as
one more plane (FFDNet, Zhang et al. 2018). No layer but the first has a bias (Mohan et al., "Robust and interpretable
blind image denoising via bias-free CNNs", 2020): only there does the place of a value on the scale matter.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field, ValidationInfo, field_serializer, field_validator
from torch import Tensor, nn
from torch.nn import functional

from training.learners.learner import Losses
from training.learners.muon import Muon
from training.learners.rectified import Rectified
from training.settings import Channels, NetworkSettings

FAINT = 0.1
"""Levels of 255: a crop that is as near as this counts as restored."""
PATIENCE = 100
"""Steps after which a channel that nothing has passed is taken for dead."""
SEAM = 0.02
"""Levels of 255: what lies beyond a tile's overlap may change a pixel by so much."""


Network = Literal["colour", "grey", "estimate"]
LEARN = Field(min_length=1, description="networks that learn; the others stay as in `start`")


class UNetSettings(NetworkSettings):
    """Of learners with one network for colour and one for grey."""

    batch_size: Annotated[int, Field(ge=2, description="crops a step, in colour and grey")]
    channels: Annotated[
        tuple[Channels, ...], Field(min_length=1, max_length=4, description="of each scale, fine to coarse")
    ] = (
        32,
        64,
        128,
    )
    blocks: Annotated[int, Field(ge=1, description="residual blocks on each side of a scale")] = 2
    muon_rate: Annotated[
        float, Field(gt=0, description="as learning_rate, of the convolutions between the first and the last")
    ] = 0.01
    crop: Annotated[int, Field(ge=16, multiple_of=16, description="side of a training crop, pixels")] = 96
    smallest_scale: Annotated[float, Field(gt=0, le=1, description="to which half of the crops are scaled down")] = 0.5
    grey_share: Annotated[float, Field(gt=0, lt=1, description="share of a batch that is grey")] = 0.5
    quantised: Annotated[
        bool, Field(description="all but first layer, first block and last layer in 8-bit integers")
    ] = False
    start: Annotated[
        str | None, Field(description="folder of a version whose weights a run begins with, such as models/zoo/NAME/1")
    ] = None
    learn: Annotated[tuple[Network, ...], LEARN] = ("colour", "grey")

    @field_validator("learn")  # which sees the fields above it
    @classmethod
    def _has_begun(cls, learn: tuple[Network, ...], info: ValidationInfo) -> tuple[Network, ...]:
        networks: tuple[Network, ...] = cls.model_fields["learn"].default
        if not set(learn) <= set(networks):
            raise ValueError(f"these networks can learn: {', '.join(networks)}")
        if set(learn) < set(networks) and info.data.get("start") is None:
            raise ValueError("a network that does not learn has to come from a version: set start too")
        return learn

    @field_validator("quantised")
    @classmethod
    def _has_a_middle(cls, quantised: bool, info: ValidationInfo) -> bool:
        if quantised and len(info.data.get("channels", ())) * info.data.get("blocks", 0) == 1:
            raise ValueError("the first block stays in float: set blocks=2, or another scale of channels")
        return quantised

    @field_serializer("start")
    def _without_its_place(self, start: str | None) -> str | None:
        """NAME/NUMBER is what others may know of it."""
        return start and "/".join(Path(start).parts[-2:])

    @property
    def grey_rows(self) -> int:
        """Crops of a batch that are grey: one at least, and never all."""
        return min(max(1, round(self.grey_share * self.batch_size)), self.batch_size - 1)

    @property
    def multiple(self) -> int:
        """What the sides of a picture must be multiples of."""
        return 2 ** len(self.channels)


class Block(nn.Module):
    """x + conv(relu(conv(x))), 3x3, without bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.rectified = Rectified(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.rectified(self.first(x)))

    @torch.no_grad()
    def revive(self) -> dict[str, Tensor]:
        """Draw filters for dead channels anew (He et al. 2015), so that the block computes what it did.

        Their outputs begin at zero, which has a gradient at once. Returns which entries are new, as in `Learner`.
        """
        dead = self.rectified.dead()
        first, second = self.first.weight, self.second.weight
        drawn = torch.randn(first.shape) * (2 / first[0].numel()) ** 0.5
        first[dead] = drawn.to(first)[dead]
        second[:, dead] = 0
        return {"first.weight": dead.view(-1, 1, 1, 1), "second.weight": dead.view(1, -1, 1, 1)}


class UNet(nn.Module):
    """image [B,C,H,W] in 0..1 and sigma [B] in the same units -> clean [B,C,H,W], not clipped; C is `planes`.

    H and W are multiples of `2 ** len(channels)`. Unless it is `told`, there is no sigma.
    """

    def __init__(self, planes: int, settings: UNetSettings, *, told: bool) -> None:
        super().__init__()
        self.settings = settings
        *fine, coarsest = settings.channels
        scales = list(itertools.pairwise(settings.channels))
        self.head = nn.Conv2d(4 * planes + told, settings.channels[0], 3, padding=1)
        self.down = nn.ModuleList(map(self.make_stage, fine))
        self.shrink = nn.ModuleList(self.make_shrink(a, b) for a, b in scales)
        self.bottom = self.make_stage(coarsest)
        self.grow = nn.ModuleList(self.make_grow(b, a) for a, b in scales)
        self.up = nn.ModuleList(map(self.make_stage, fine))
        self.tail = nn.Conv2d(settings.channels[0], 4 * planes, 3, padding=1, bias=False)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]: torch's stub lacks it

    def make_stage(self, channels: int) -> nn.Sequential:
        """Blocks."""
        return nn.Sequential(*(Block(channels) for _ in range(self.settings.blocks)))

    def make_shrink(self, inputs: int, outputs: int) -> nn.Module:
        """To the next coarser scale."""
        return nn.Conv2d(inputs, outputs, 2, stride=2, bias=False)

    def make_grow(self, inputs: int, outputs: int) -> nn.Module:
        """And back."""
        return nn.ConvTranspose2d(inputs, outputs, 2, stride=2, bias=False)

    @property
    def reach(self) -> int:
        """How far in pixels an input can change the output, be it ever so little.

        A 3x3 convolution adds one pixel of its scale, which is 2, 4, 8 ... pixels of the picture; the
        grid of the coarsest scale adds at most the rest of one of its pixels.
        """
        scales, blocks = len(self.settings.channels), self.settings.blocks
        far = 2 * 2  # head and tail
        for scale in range(scales):
            stages = 1 if scale == scales - 1 else 2
            far += stages * blocks * 2 * 2 ** (scale + 1)
        return far + 2**scales - 1

    def forward(self, image: Tensor, sigma: Tensor | None = None) -> Tensor:
        pixels = functional.pixel_unshuffle(image, 2)
        if sigma is not None:
            level = sigma.view(-1, 1, 1, 1) + torch.zeros_like(pixels[:, :1])
            pixels = torch.cat((pixels, level), dim=1)
        noise = self.noise(self.head(pixels), sigma)
        return image - functional.pixel_shuffle(noise.float(), 2)

    def noise(self, x: Tensor, sigma: Tensor | None) -> Tensor:
        """[B,channels[0],H/2,W/2] -> [B,4C,H/2,W/2]: all after the first layer. Of twice x it is twice as much."""
        del sigma
        return self.tail(self.inner(x))

    def inner(self, x: Tensor) -> Tensor:
        """[B,channels[0],H/2,W/2], twice: what lies between the first layer and the last."""
        skips: list[Tensor] = []
        for stage, shrink in zip(self.down, self.shrink, strict=True):
            x = stage(x)
            skips.append(x)
            x = shrink(x)
        x = self.bottom(x)
        for stage, grow, skip in zip(reversed(self.up), reversed(self.grow), reversed(skips), strict=True):
            x = stage(grow(x) + skip)
        return x

    def optimizer(self, settings: UNetSettings) -> Muon:
        """Muon for all but the first and the last layer."""
        inner = nn.ModuleList((self.down, self.shrink, self.bottom, self.grow, self.up))
        return Muon(
            inner.parameters(),
            nn.ModuleList((self.head, self.tail)).parameters(),
            rate=settings.muon_rate,
            adam_rate=settings.learning_rate,
            precision=torch.bfloat16 if settings.precision == "bfloat16" else torch.float32,
        )

    def loss(self, clean: Tensor, bad: Tensor, told: Tensor | None, *, half: bool) -> Losses:
        """The mean over the crops of their root mean square error, on the 0..255 scale; `half` is for bfloat16.

        The gradient of each crop is then of one size, however bad it is. Under a mean square error the worst
        decide, and under PSNR those with next to nothing wrong.
        """
        with torch.autocast(clean.device.type, torch.bfloat16, enabled=half):
            restored = self(bad.contiguous(memory_format=torch.channels_last), told)
        mse = (255 * (restored - clean)).square().mean(dim=(1, 2, 3))
        error = (mse + FAINT**2).sqrt()
        return {"loss": error.mean(), "psnr": (20 * torch.log10(255 / error.detach())).mean()}

    def settle(self) -> None:
        """Before evaluation and export, once the weights are final."""

    def furthest(self, multiple: int) -> int:
        """The `reach`, up to the next multiple."""
        return -(-self.reach // multiple) * multiple

    @torch.no_grad()
    def overlap(self, multiple: int, noise: float, sigma: Tensor | None) -> int:
        """The pixels, a multiple of `multiple`, by which serving must extend a tile for no seam of `SEAM` to show.

        Measured on noise of that strength, in 0..1: the stronger it is, the further the network looks. That is far
        less far than its `reach`.
        """
        most = self.furthest(multiple)
        side, planes = 16 * multiple, self.tail.out_channels // 4
        shade = torch.linspace(0, 1, side).view(1, 1, -1, 1)
        drawn = torch.randn(1, planes, side, most + side, generator=torch.Generator().manual_seed(0))
        wide = (shade + noise * drawn).to(self.tail.weight.device)
        tall = wide.transpose(-1, -2)

        def kept(overlap: int) -> Tensor:
            """What is kept of tiles that go on for `overlap` pixels to the left, to the right, upwards, downwards."""
            return torch.stack(
                [
                    self(wide[..., most - overlap :], sigma)[..., overlap:],
                    self(wide[..., : side + overlap], sigma)[..., :side],
                    self(tall[..., most - overlap :, :], sigma)[..., overlap:, :],
                    self(tall[..., : side + overlap, :], sigma)[..., :side, :],
                ]
            )

        right = kept(most)
        near = (255 * (kept(overlap) - right).abs().max() <= SEAM for overlap in range(0, most, multiple))
        return next((place * multiple for place, enough in enumerate(near) if enough), most)

"""A denoising autoencoder: noisy picture and noise level in, clean picture out.

Vincent, Larochelle, Bengio, Manzagol, "Extracting and composing robust features with denoising
autoencoders", ICML 2008: corrupt x to x~ and minimise the distance of g(f(x~)) to x. Here f and
g are the two halves of a fully convolutional U-Net (Ronneberger et al. 2015) that works on a
picture whose 2x2 pixels were moved into channels, and that predicts the noise (Zhang et al.,
"Beyond a Gaussian denoiser", 2017). The level enters as one more plane (FFDNet, Zhang et al.
2018). No layer but the first has a bias (Mohan et al., "Robust and interpretable blind image
denoising via bias-free CNNs", 2020): only where black and white cut noise off does the place of
a value on the scale matter. Grey pictures have a first and a last layer of their own: in three
equal channels their noise would look like detail.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models.manifest import Denoise
from training.data.photographs import Photographs
from training.learners.crops import Crops
from training.learners.learner import Batch, Export, Learner, Losses
from training.learners.muon import Muon
from training.learners.noise_level import NoiseLevel
from training.settings import NetworkSettings

FAINT = 0.1
"""Levels of 255: a crop that is as near as this counts as restored."""


class DaeSettings(NetworkSettings):
    channels: Annotated[
        tuple[int, ...], Field(min_length=1, max_length=4, description="of each scale, fine to coarse")
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
    contrast: Annotated[float, Field(ge=1, description="by which half of the crops are stretched at most")] = 2.0
    sigma_max: Annotated[float, Field(gt=0, description="strongest noise, on the 0..255 scale")] = 75.0
    sigma_power: Annotated[
        float, Field(gt=0, description="sigma is sigma_max times a uniform number to this power: more draws weak noise")
    ] = 1.5
    level_error: Annotated[float, Field(ge=0, lt=1, description="share by which the told sigma is off at most")] = 0.1
    grey_share: Annotated[float, Field(ge=0, le=1, description="share of a batch that is grey")] = 0.375
    clipped_share: Annotated[float, Field(ge=0, le=1, description="share of crops rounded and clipped to 8 bit")] = 0.5


class Block(nn.Module):
    """x + conv(relu(conv(x))), 3x3, without bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(functional.relu(self.first(x)))


class UNet(nn.Module):
    """image [B,C,H,W] in 0..1 and sigma [B] in the same units -> clean [B,C,H,W], not clipped; C is 1 or 3.

    H and W are multiples of `2 ** len(channels)`.
    """

    def __init__(self, channels: tuple[int, ...], blocks: int) -> None:
        super().__init__()

        def stage(width: int) -> nn.Sequential:
            return nn.Sequential(*(Block(width) for _ in range(blocks)))

        fine, coarse = channels[:-1], channels[1:]
        self.heads = nn.ModuleDict({str(c): nn.Conv2d(4 * c + 1, channels[0], 3, padding=1) for c in (1, 3)})
        self.down = nn.ModuleList(stage(width) for width in fine)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2, bias=False) for a, b in zip(fine, coarse, strict=True))
        self.bottom = stage(channels[-1])
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 2, stride=2, bias=False) for a, b in zip(fine, coarse, strict=True)
        )
        self.up = nn.ModuleList(stage(width) for width in fine)
        self.tails = nn.ModuleDict({str(c): nn.Conv2d(channels[0], 4 * c, 3, padding=1, bias=False) for c in (1, 3)})

    @property
    def reach(self) -> int:
        """How far in pixels an input can change the output: serving must give a tile that much context.

        A 3x3 convolution adds one pixel of its scale, which is 2, 4, 8 ... pixels of the picture; the
        grid of the coarsest scale adds at most the rest of one of its pixels.
        """
        scales = len(self.down) + 1
        blocks = len(self.bottom)
        far = 2 * 2  # head and tail
        for scale in range(scales):
            stages = 1 if scale == scales - 1 else 2
            far += stages * blocks * 2 * 2 ** (scale + 1)
        return far + 2**scales - 1

    def forward(self, image: Tensor, sigma: Tensor) -> Tensor:
        pixels = functional.pixel_unshuffle(image, 2)
        level = sigma.view(-1, 1, 1, 1) + torch.zeros_like(pixels[:, :1])
        kind = str(image.shape[1])
        x = self.heads[kind](torch.cat((pixels, level), dim=1))
        skips: list[Tensor] = []
        for stage, shrink in zip(self.down, self.shrink, strict=True):
            x = stage(x)
            skips.append(x)
            x = shrink(x)
        x = self.bottom(x)
        for stage, grow, skip in zip(reversed(self.up), reversed(self.grow), reversed(skips), strict=True):
            x = stage(grow(x) + skip)
        return image - functional.pixel_shuffle(self.tails[kind](x).float(), 2)


class Dae(Learner[DaeSettings]):
    """Trains a `UNet` on random crops with fresh Gaussian noise."""

    family = "denoising-autoencoder"

    def __init__(self, settings: DaeSettings, data: Photographs) -> None:
        super().__init__(settings, data.sha256)
        self.network = UNet(settings.channels, settings.blocks)
        self.noise_level = NoiseLevel()
        self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]: torch's stub lacks it
        self.crops = Crops(data.train, settings.crop, settings.smallest_scale)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        settings, network = self.settings, self.network
        muon = Muon(
            nn.ModuleList((network.down, network.shrink, network.bottom, network.grow, network.up)).parameters(),
            nn.ModuleList((network.heads, network.tails)).parameters(),
            rate=settings.muon_rate,
            adam_rate=settings.learning_rate,
            precision=torch.bfloat16 if settings.precision == "bfloat16" else torch.float32,
        )
        return {
            "denoise": muon,
            "estimate": torch.optim.Adam(self.noise_level.parameters(), lr=settings.learning_rate),
        }

    def draw(self) -> Batch:
        """Clean crops [B,C,S,S] in 0..1, noisy ones, the sigma [B] of each and the one told: in colour, then grey."""
        clean = self._stretched(self.crops.draw(self.settings.batch_size) / 255)
        grey = round(self.settings.grey_share * self.settings.batch_size)
        drawn = (*self._noisy(clean[grey:]), *self._noisy(clean[:grey].mean(dim=1, keepdim=True)))
        return tuple(part.to(self.device) for part in drawn)

    def _stretched(self, clean: Tensor) -> Tensor:
        """Half of the crops with more contrast about a random level, so that parts are all black or all white.

        Photographs have such parts, where half of clipped noise is gone; crops that are drawn by detail have few.
        """
        chosen, level, gain = torch.rand(3, len(clean), 1, 1, 1)
        gain = torch.where(chosen < 0.5, 1 + (self.settings.contrast - 1) * gain, 1.0)
        return (level + gain * (clean - level)).clamp(0, 1)

    def _noisy(self, clean: Tensor) -> Batch:
        settings, rows = self.settings, len(clean)
        sigma = settings.sigma_max / 255 * torch.rand(rows) ** settings.sigma_power
        noisy = clean + sigma.view(-1, 1, 1, 1) * torch.randn_like(clean)
        eight_bit = torch.rand(rows, 1, 1, 1) < settings.clipped_share
        noisy = torch.where(eight_bit, (noisy * 255).round().clamp(0, 255) / 255, noisy)
        told = sigma * (1 + settings.level_error * (2 * torch.rand(rows) - 1))
        return clean, noisy, sigma, told

    def losses(self, phase: str, batch: Batch, progress: float) -> Losses:
        if phase == "estimate":
            return self._estimate(batch)
        return self._denoise(batch)

    def _denoise(self, batch: Batch) -> Losses:
        """The mean over the crops of their root mean square error, on the 0..255 scale.

        The gradient of each crop is then of one size, however strong its noise. Under a mean square error the crops
        with strong noise decide, and under PSNR those with next to none.
        """
        errors: list[Tensor] = []
        psnr: dict[str, Tensor] = {}
        for name, (clean, noisy, _, told) in {"psnr": batch[:4], "psnr_grey": batch[4:]}.items():
            if len(clean):
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
                    restored = self.network(noisy.contiguous(memory_format=torch.channels_last), told)
                mse = (255 * (restored - clean)).square().mean(dim=(1, 2, 3))
                errors.append((mse + FAINT**2).sqrt())
                psnr[name] = (20 * torch.log10(255 / errors[-1].detach())).mean()
        return {"loss": torch.cat(errors).mean()} | psnr

    def _estimate(self, batch: Batch) -> Losses:
        """By which share the estimate is off, on a logarithmic scale; below one grey level it matters less."""
        _, colour, colour_sigma, _, _, grey, grey_sigma, _ = batch
        rows = torch.arange(len(colour), device=colour.device)
        planes = torch.cat((colour[rows, rows % 3].unsqueeze(1), grey))  # one channel of each crop
        sigma = torch.cat((colour_sigma, grey_sigma))
        off = (255 * self.noise_level(planes) + 1).log() - (255 * sigma + 1).log()
        return {"loss": off.abs().mean()}

    def exports(self) -> dict[str, Export]:
        multiple = 2 ** len(self.settings.channels)

        def example(rows: int, channels: int, height: int, width: int) -> Batch:
            image = torch.rand(rows, channels, height * multiple, width * multiple)
            return image, torch.linspace(0.01, self.settings.sigma_max / 255, rows)

        planes = [torch.rand(rows, 1, height, width) for rows, height, width in ((2, 40, 61), (1, 16, 16), (3, 33, 24))]
        return {
            **{
                name: Export(
                    self.network,
                    [example(rows, channels, *size) for rows, size in ((2, (4, 5)), (1, (1, 2)), (3, (9, 4)))],
                    {"clean": 1e-4},
                )
                for name, channels in (("clean", 3), ("clean_grey", 1))
            },
            "estimate": Export(self.noise_level, [(image,) for image in planes], {"sigma": 1e-4}),
        }

    def tasks(self) -> tuple[Denoise, ...]:
        multiple = 2 ** len(self.settings.channels)
        facts = {
            "channels": 3,
            "estimator": "graph",
            "sigma_max": self.settings.sigma_max,
            "size_multiple": multiple,
            "overlap": -(-self.network.reach // multiple) * multiple,
        }
        return (Denoise.declare({"clean": 4, "clean_grey": 4, "estimate": 4}, **facts),)

"""A variational autoencoder (Kingma and Welling, "Auto-encoding variational Bayes", 2013).

The encoder gives the mean mu and the log-variance of q(z|x) = N(mu, diag exp(logvar)); a draw is
z = mu + exp(logvar / 2) * eps with eps ~ N(0, I) (the reparameterisation); the decoder gives the
logits of Bernoulli pixels. The loss is the negative evidence lower bound

    -log p(x|z) + beta * KL(q(z|x) || N(0, I)),   KL = -1/2 sum(1 + logvar - mu^2 - exp(logvar))

in nats a picture, with beta rising from 0 to 1 over the first tenth of the run.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models.manifest import Encode, Generate
from training.data.labelled import Images, Pictures
from training.learners.learner import Batch, Export, Learner, Losses
from training.metrics import latents
from training.settings import NetworkSettings, TwoScales

ABOUT = """\
A convolutional variational autoencoder: a code with a diagonal Gaussian posterior and a standard normal prior, and
pixels that are independent Bernoulli variables given the code. Likelihoods are those of pictures binarised once at
random, each pixel white with the probability that its grey says, in nats a picture; in training they are drawn anew in
every step."""
"""For the cards of recipes."""
MOST_LOOKED_AT = 10_000
"""Pictures from which directions are taken."""


class VaeSettings(NetworkSettings):
    latent_size: Annotated[int, Field(ge=1, description="length of the code")] = 24
    channels: Annotated[TwoScales, Field(description="at 1/2 and 1/4 of the side")] = (32, 64)
    hidden: Annotated[int, Field(ge=1, description="units of the dense layer beside the code")] = 160
    blocks: Annotated[int, Field(ge=0, description="residual blocks at 1/4 of the side")] = 2


class Block(nn.Module):
    """x + conv(silu(conv(silu(x)))), 3x3; the last convolution starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(functional.silu(self.first(functional.silu(x))))


class Encoder(nn.Module):
    """image [B,C,H,W] in 0..1 -> mean [B,Z], log-variance [B,Z]. H and W are multiples of 4."""

    def __init__(self, settings: VaeSettings, shape: tuple[int, int, int]) -> None:
        super().__init__()
        wide, deep = settings.channels
        channels, height, width = shape
        self.body = nn.Sequential(
            nn.Conv2d(channels, wide, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(wide, deep, 4, stride=2, padding=1),
            *(Block(deep) for _ in range(settings.blocks)),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(deep * (height // 4) * (width // 4), settings.hidden),
            nn.SiLU(),
            nn.Linear(settings.hidden, 2 * settings.latent_size),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.body(image).chunk(2, dim=1)
        return mean, log_variance


class Decoder(nn.Module):
    """latent [B,Z] -> logits of the pixels [B,C,H,W]."""

    def __init__(self, settings: VaeSettings, shape: tuple[int, int, int]) -> None:
        super().__init__()
        wide, deep = settings.channels
        channels, height, width = shape[0], shape[1] // 4, shape[2] // 4
        self.body = nn.Sequential(
            nn.Linear(settings.latent_size, settings.hidden),
            nn.SiLU(),
            nn.Linear(settings.hidden, deep * height * width),
            nn.Unflatten(1, (deep, height, width)),
            *(Block(deep) for _ in range(settings.blocks)),
            nn.SiLU(),
            nn.ConvTranspose2d(deep, wide, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(wide, channels, 4, stride=2, padding=1),
        )

    def forward(self, latent: Tensor) -> Tensor:
        return self.body(latent)


class Mean(nn.Module):
    """latent [B,Z] -> image [B,C,H,W]: the mean of the pixels' distribution."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latent: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(latent))


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)) [B] in nats, in closed form (Kingma and Welling, appendix B)."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1)


def reparameterise(mean: Tensor, log_variance: Tensor) -> Tensor:
    """A draw from N(mean, exp(log_variance)) that gradients pass through."""
    return mean + (log_variance / 2).exp() * torch.randn_like(mean)


class Vae(Learner[VaeSettings]):
    """Trains encoder and decoder on pictures binarised anew at every step."""

    family = "variational-autoencoder"

    def __init__(self, settings: VaeSettings, data: Pictures) -> None:
        super().__init__(settings, data.sha256)
        self.data = data
        self.encoder = Encoder(settings, data.shape)
        self.decoder = Decoder(settings, data.shape)
        self.images = torch.from_numpy(data.train.images.copy())
        self.error_quantiles: tuple[float, ...] = ()
        self.directions: dict[str, tuple[float, ...]] = {}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"elbo": torch.optim.Adam(self.parameters(), lr=self.settings.learning_rate)}

    def draw(self) -> Batch:
        """Binary pictures [B,C,H,W]: each pixel is a Bernoulli draw with its grey value as probability."""
        rows = torch.randint(len(self.images), (self.settings.batch_size,))
        return (torch.bernoulli(self.images[rows].float() / 255).to(self.device),)

    def losses(self, phase: str, batch: Batch, progress: float) -> Losses:
        """The negative ELBO and its parts, in nats a picture."""
        (image,) = batch
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            mean, log_variance = (part.float() for part in self.encoder(image))
            logits = self.decoder(reparameterise(mean, log_variance)).float()
        nll = functional.binary_cross_entropy_with_logits(logits, image, reduction="none").sum(dim=(1, 2, 3)).mean()
        kl = kl_divergence(mean, log_variance).mean()
        return {"loss": nll + min(1.0, 10 * progress) * kl, "elbo": -(nll + kl), "kl": kl}

    def settle(self) -> None:
        """Measure the code that ships: errors of held-out pictures, and the directions of attributes."""
        held_out, seen = self.data.validation, self.data.train
        mean = self._codes(held_out.images)
        with torch.no_grad():
            rebuilt = torch.cat([torch.sigmoid(self.decoder(part)).cpu() for part in mean.split(500)]).numpy()
        errors = np.square(rebuilt - held_out.images / np.float32(255)).mean(axis=(1, 2, 3))
        self.error_quantiles = latents.error_quantiles(errors)
        images, labels = seen.images[:MOST_LOOKED_AT], seen.labels[:MOST_LOOKED_AT]
        self.directions = latents.directions(self._codes(images).cpu().numpy(), labels, images, self.data)

    @torch.no_grad()
    def _codes(self, images: Images) -> Tensor:
        """Means [N,Z] of uint8 pictures."""
        self.eval()
        parts = torch.from_numpy(images.copy()).split(500)
        return torch.cat([self.encoder(part.to(self.device).float() / 255)[0] for part in parts])

    def exports(self) -> dict[str, Export]:
        images = [torch.rand(rows, *self.data.shape) for rows in (3, 1, 8)]
        latents = [torch.randn(rows, self.settings.latent_size) for rows in (3, 1, 8)]
        return {
            "encode": Export(self.encoder, [(image,) for image in images], {"mean": 1e-3, "log_variance": 1e-3}),
            "decode": Export(Mean(self.decoder), [(latent,) for latent in latents], {"image": 1e-4}),
        }

    def tasks(self) -> tuple[Encode, Generate]:
        channels, height, width = self.data.shape
        size = self.settings.latent_size
        picture = {"channels": channels, "height": height, "width": width, "latent_size": size}
        background = "light" if np.median(self.data.train.images[:, :, 0]) > 127 else "dark"  # of the top row
        return (
            Encode.declare({"encode": 64}, background=background, error_quantiles=self.error_quantiles, **picture),
            Generate.declare({"decode": 64}, classes=(), directions=self.directions, **picture),
        )

"""photo-dae: a denoising autoencoder for photographs of any size."""

from training.data import free_photographs
from training.learners import dae
from training.learners.dae import Dae, DaeSettings
from training.metrics import denoiser
from training.recipe import Recipe

RECIPE = Recipe(
    name="photo-dae",
    summary="Removes noise from photographs of any size, its strength given or estimated.",
    source=free_photographs.SOURCE,
    learner=Dae,
    settings=DaeSettings(
        channels=(48, 96, 192),
        blocks=2,
        crop=80,
        batch_size=40,
        steps=20_000,
        learning_rate=1e-3,
        final_rate=1e-3,
        clip_norm=50.0,
        ema=0.999,
        precision="bfloat16",
    ),
    evaluate=denoiser.evaluate,
    about=dae.ABOUT + denoiser.PUBLISHED,
    not_for="Evidence: it invents plausible texture. Compression blocks, motion blur and sensor patterns stay.",
)

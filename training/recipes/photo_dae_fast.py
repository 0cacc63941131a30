"""photo-dae-fast: photo-dae with convolutions in 8-bit integers, trained on from its weights.

Begin with those or its own, by --set start=models/zoo/NAME/N. From nothing it needs the steps and rates of photo-dae.
"""

from training.data import free_photographs
from training.learners import dae
from training.learners.dae import Dae, DaeSettings
from training.metrics import denoiser
from training.recipe import Recipe

RECIPE = Recipe(
    name="photo-dae-fast",
    summary="Removes noise as photo-dae does, in half the time and about as well.",
    source=free_photographs.SOURCE,
    learner=Dae,
    settings=DaeSettings(
        channels=(48, 96, 192),
        blocks=2,
        quantised=True,
        crop=80,
        batch_size=40,
        steps=1_000,
        learning_rate=4e-5,
        muon_rate=2e-4,
        final_rate=1e-3,
        clip_norm=50.0,
        ema=0.995,
        precision="bfloat16",
    ),
    evaluate=denoiser.evaluate,
    about=dae.IN_INTEGERS + denoiser.PUBLISHED,
    not_for="Evidence: it invents plausible texture. Compression blocks, motion blur and sensor patterns stay.",
)

"""photo-dae: a denoising autoencoder for photographs of any size."""

from training.data import photographs
from training.learners.dae import Dae, DaeSettings
from training.metrics import restoration
from training.recipe import Recipe

RECIPE = Recipe(
    name="photo-dae",
    summary="Removes noise from photographs of any size, its strength given or estimated.",
    source=photographs.SOURCE,
    learner=Dae,
    settings=DaeSettings(
        channels=(32, 64, 128),
        blocks=2,
        crop=64,
        batch_size=16,
        steps=8_000,
        learning_rate=1e-3,
        clip_norm=10.0,
        ema=0.999,
    ),
    evaluate=restoration.evaluate,
    not_for="Evidence: it invents plausible texture. Compression blocks, motion blur and sensor patterns stay.",
)

"""digits-gan: a class-conditional GAN of residual blocks, for handwritten digits."""

from training.data import mnist
from training.learners.gan import ABOUT, Gan, GanSettings
from training.metrics import fidelity
from training.recipe import Recipe

RECIPE = Recipe(
    name="digits-gan",
    summary="Draws handwritten digits of the class that is asked for.",
    source=mnist.DIGITS,
    learner=Gan,
    settings=GanSettings(
        batch_size=64,
        steps=12_000,
        learning_rate=5e-4,
        warmup_steps=0,
        ema=0.999,
        precision="bfloat16",
    ),
    evaluate=fidelity.evaluate,
    about=ABOUT,
    not_for="Training data for readers of digits: what it never saw it does not draw.",
)

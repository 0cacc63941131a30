"""digits-vanilla-gan: the first generative adversarial network, two perceptrons."""

from training.data import mnist
from training.learners.vanilla_gan import ABOUT, VanillaGan, VanillaGanSettings
from training.metrics import fidelity
from training.recipe import Recipe

RECIPE = Recipe(
    name="digits-vanilla-gan",
    summary="Draws handwritten digits, of no class in particular, as generative adversarial networks did in 2014.",
    source=mnist.DIGITS,
    learner=VanillaGan,
    settings=VanillaGanSettings(
        batch_size=128,
        steps=20_000,
        learning_rate=2e-4,
        warmup_steps=0,
        ema=0.999,
    ),
    evaluate=fidelity.evaluate,
    about=ABOUT,
    not_for="Anything that digits-gan can do: it is here to show where the family began.",
)

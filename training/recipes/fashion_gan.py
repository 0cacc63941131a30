"""fashion-gan: a class-conditional GAN of residual blocks, for pictures of clothing."""

from training.data import mnist
from training.learners.gan import ABOUT, Gan, GanSettings
from training.metrics import fidelity
from training.recipe import Recipe

RECIPE = Recipe(
    name="fashion-gan",
    summary="Draws pictures of garments of the class that is asked for.",
    source=mnist.FASHION,
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
    not_for="Designing garments: it draws what Zalando sold in 2017, in 28x28 grey pixels.",
)

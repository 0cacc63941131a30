"""digits-vae: a convolutional variational autoencoder of handwritten digits."""

from training.data import mnist
from training.learners.vae import ABOUT, Vae, VaeSettings
from training.metrics import encoder
from training.recipe import Recipe

RECIPE = Recipe(
    name="digits-vae",
    summary="Turns a handwritten digit into 24 numbers with their uncertainty, and 24 numbers into a digit.",
    source=mnist.DIGITS,
    learner=Vae,
    settings=VaeSettings(
        latent_size=24,
        batch_size=128,
        steps=12_000,
        learning_rate=2e-3,
        warmup_steps=200,
        clip_norm=200.0,
        ema=0.999,
        precision="bfloat16",
    ),
    evaluate=encoder.evaluate,
    about=ABOUT,
    not_for="Reading digits: it is no classifier. It knows nothing but white digits on black.",
)

"""fashion-vae: a convolutional variational autoencoder of pictures of clothing."""

from training.data import mnist
from training.learners.vae import ABOUT, Vae, VaeSettings
from training.metrics import encoder
from training.recipe import Recipe

RECIPE = Recipe(
    name="fashion-vae",
    summary="Turns a picture of a garment into 32 numbers with their uncertainty, and 32 numbers into a picture.",
    source=mnist.FASHION,
    learner=Vae,
    settings=VaeSettings(
        latent_size=32,
        batch_size=128,
        steps=8_000,
        learning_rate=2e-3,
        warmup_steps=200,
        clip_norm=400.0,
        ema=0.999,
        precision="bfloat16",
    ),
    evaluate=encoder.evaluate,
    about=ABOUT,
    not_for="Telling garments apart: it is no classifier. It knows nothing but light garments on black, 28x28 pixels.",
)

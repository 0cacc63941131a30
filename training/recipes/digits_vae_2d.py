"""digits-vae-2d: a variational autoencoder whose latent space can be seen whole."""

from training.data import mnist
from training.learners.vae import ABOUT, Vae, VaeSettings
from training.metrics import encoder
from training.recipe import Recipe

RECIPE = Recipe(
    name="digits-vae-2d",
    summary="Places handwritten digits on a plane, and turns every point of it into a digit: to look at.",
    source=mnist.DIGITS,
    learner=Vae,
    settings=VaeSettings(
        latent_size=2,
        batch_size=128,
        steps=4_000,
        learning_rate=2e-3,
        warmup_steps=200,
        clip_norm=200.0,
        ema=0.999,
        precision="bfloat16",
    ),
    evaluate=encoder.evaluate,
    about=ABOUT,
    not_for="Finding or telling apart digits: two numbers keep too little of a picture. digits-vae has 24 of them.",
)

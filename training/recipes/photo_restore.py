"""photo-restore: an autoencoder that repairs photographs without being told what is wrong with them.

It may begin with a version of its own or of photo-dae, by --set start=models/zoo/NAME/N.
"""

from training.data import free_photographs
from training.learners.restorer import Restorer
from training.learners.unet import UNetSettings
from training.metrics import repair
from training.recipe import Recipe

RECIPE = Recipe(
    name="photo-restore",
    summary="Repairs photographs, whatever is wrong: sensor noise, dead pixels, JPEG, captions, watermarks.",
    source=free_photographs.SOURCE,
    learner=Restorer,
    settings=UNetSettings(
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
    evaluate=repair.evaluate,
    not_for=(
        "Evidence: what letters covered is invented. Taking the mark off pictures that are not yours. Blur stays, and "
        "a JPEG of quality 40 or better comes back slightly worse."
    ),
)

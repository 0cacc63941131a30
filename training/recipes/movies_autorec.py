"""movies-autorec: autoencoders that rank films and predict ratings."""

from training.data import movielens
from training.learners.autorec import AutorecSettings, MovieAutorec
from training.metrics import comparison, ranking
from training.recipe import Recipe

RECIPE = Recipe(
    name="movies-autorec",
    summary="Ranks films and predicts ratings with autoencoders: U-AutoRec, and one of its form for what is liked.",
    source=movielens.SOURCE,
    learner=MovieAutorec,
    settings=AutorecSettings(
        hidden=90,
        rating_hidden=80,
        batch_size=128,
        steps=4_000,
        learning_rate=2e-3,
        rating_learning_rate=4e-3,
        weight_decay=2.0,
        ema=0.99,
    ),
    evaluate=ranking.evaluate,
    compare=comparison.compare,
    not_for="Commercial use: the ratings' licence forbids it. Films after 2000: the data end there.",
)

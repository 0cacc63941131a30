"""movies-rbm: restricted Boltzmann machines that rank films and predict ratings."""

from training.data import movielens
from training.learners.rbm import MovieRbm, RbmSettings
from training.metrics import comparison, ranking
from training.recipe import Recipe

RECIPE = Recipe(
    name="movies-rbm",
    summary="Ranks films for anybody from a handful of ratings, and predicts ratings.",
    source=movielens.SOURCE,
    learner=MovieRbm,
    settings=RbmSettings(
        hidden=250,
        rating_hidden=100,
        batch_size=128,
        steps=800,
        learning_rate=0.03,
        rating_learning_rate=0.005,
        gibbs_steps=1,
        ema=0.98,
    ),
    evaluate=ranking.evaluate,
    compare=comparison.compare,
    not_for="Commercial use: the ratings' licence forbids it. Films after 2000: the data end there.",
)

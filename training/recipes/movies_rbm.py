"""movies-rbm: Boltzmann machines that tell what somebody will watch next, and whether they will like it."""

from training.data import movielens
from training.learners.movie_rbm import MovieRbm, MovieRbmSettings
from training.metrics import comparison, ranking
from training.recipe import Recipe

RECIPE = Recipe(
    name="movies-rbm",
    summary="Ranks films for anybody from a handful of ratings, predicts ratings, and tells which ratings were why.",
    source=movielens.SOURCE,
    learner=MovieRbm,
    settings=MovieRbmSettings(
        hidden=64,
        gibbs_steps=1,
        batch_size=250,
        steps=600,
        learning_rate=0.003,
        bias_learning_rate=0.02,
        warmup_steps=0,
        ema=0.98,
    ),
    evaluate=ranking.evaluate,
    compare=comparison.compare,
    not_for="Commercial use: the ratings' licence forbids it. Films after 2000: the data end there.",
)

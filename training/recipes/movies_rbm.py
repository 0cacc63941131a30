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
        batch_size=250,
        steps=600,
        learning_rate=0.003,
        warmup_steps=0,
        ema=0.98,
    ),
    evaluate=ranking.evaluate,
    about="""\
`score` is the logarithm of p(rated next) p(liked | rated), up to a constant: three parts in one graph.

- What is rated next, by hidden units: a restricted Boltzmann machine with a visible unit of three states (not rated,
  rated, liked) an item and Gaussian hidden units, trained by contrastive divergence (CD-k, k being
  `gibbs_steps`). The strengths of the states make it a relative of implicit matrix factorisation.
- What is rated next, by lateral weights: a ridge regression between items with two inputs an item, in closed form, kept
  in 8 bits. That is EASE with weighted users, not a Boltzmann machine's learning.
- Whether it is liked, and `rating`: a Boltzmann machine with Gaussian hidden units, that is Bayesian matrix
  factorisation with side information, sampled by Gibbs.

The first two are multiplied as experts. `--baselines` measures the model without each part.""",
    compare=comparison.compare,
    not_for="Commercial use: the ratings' licence forbids it. Films after 2000: the data end there.",
)

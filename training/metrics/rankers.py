"""Rankers that a model must beat: popularity, item neighbours, linear autoencoders, weighted factorisation.

Users enter by their history alone, so whom training never saw is ranked for like anybody. Every
matrix of items by items is held to a set size, and there is none of users by items but of those
who are ranked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from training.data.ratings import Ratings
from training.metrics import factors
from training.metrics.factors import Sparse

Scores = NDArray[np.floating]
Ranker = Callable[[Ratings], Scores]
"""From a history to scores [U,I] of all its users, the best item highest; -inf is what it cannot rank."""
MOST_BYTES = 2**29
"""Of a matrix of items by items: with more items, those with the most ratings are ranked.

Inverting it takes about four times as much."""
BLOCK = 512
"""Rows of such a matrix that are worked on at once."""


def popularity(train: Ratings, items: int, liked: float) -> Ranker:
    """By the number of users who liked it."""
    likes = np.bincount(train.item[train.rating >= liked], minlength=items).astype(np.float32)
    return lambda history: np.broadcast_to(likes, (history.users, items))


def item_knn(train: Ratings, items: int, liked: float, neighbours: int) -> Ranker:
    """The sum of the cosines between an item and those of its nearest neighbours that the user liked.

    Cosines of the columns of the 0/1 matrix of who liked what (Deshpande, Karypis, "Item-based top-N
    recommendation algorithms", ACM TOIS 2004).
    """
    kept = frequent(train, items, 1)

    def likes(ratings: Ratings) -> Sparse:
        return _matrix(ratings, items, ratings.rating >= liked)[:, kept]

    cosine = gram(likes(train))
    length = np.sqrt(np.maximum(np.diagonal(cosine), 1)).astype(np.float32)
    cosine /= length
    cosine /= length[:, None]
    np.fill_diagonal(cosine, 0)
    if neighbours < len(kept):
        for start in range(0, len(kept), BLOCK):
            rows = cosine[start : start + BLOCK]
            least = np.partition(rows, -neighbours, axis=1)[:, -neighbours, None]
            rows[rows < least] = 0
    return _linear(cosine.T, kept, items, likes)


def ease(train: Ratings, items: int, ridge: float) -> Ranker:
    """Linear autoencoder of who rated what, no item predicting itself: min |X - X B|^2 + ridge |B|^2, diag(B) = 0.

    B = I - P diag(P)^-1 with P = (X'X + ridge I)^-1 (Steck, "Embarrassingly shallow autoencoders for
    sparse data", WWW 2019).
    """
    kept = frequent(train, items, 1)

    def rated(ratings: Ratings) -> Sparse:
        return _matrix(ratings, items, np.ones(len(ratings.rating)))[:, kept]

    precision = _inverse(gram(rated(train)), ridge)
    precision /= -np.diagonal(precision).copy()
    np.fill_diagonal(precision, 0)
    return _linear(precision, kept, items, rated)


def ease_two_inputs(train: Ratings, items: int, liked: float, ridge: float) -> Ranker:
    """The same with two inputs an item, rated and liked, and one output, liked; neither input predicts its own item.

    X = [rated, liked], P = (X'X + ridge I)^-1, S = the two rows of item j. Least squares without
    constraint has the columns e - ridge P e of X's liked half; the constraint subtracts P[:,S]
    P[S,S]^-1 of its own two weights, and what stays is B_j = e_liked(j) - P[:,S] times the second
    column of P[S,S]^-1.
    """
    kept = frequent(train, items, 2)
    count = len(kept)

    def inputs(ratings: Ratings) -> Sparse:
        halves = (np.ones(len(ratings.rating)), ratings.rating >= liked)
        return sparse.hstack([_matrix(ratings, items, half)[:, kept] for half in halves], format="csr")

    precision = _inverse(gram(inputs(train)), ridge)
    diagonal = np.diagonal(precision)
    own, other, cross = diagonal[count:], diagonal[:count], np.diagonal(precision, count)
    det = own * other - cross**2
    weights = precision[:, :count] * (cross / det)
    weights -= precision[:, count:] * (other / det)
    for half in (weights[:count], weights[count:]):
        np.fill_diagonal(half, 0)
    return _linear(weights, kept, items, inputs)


def ials(
    train: Ratings,
    items: int,
    liked: float,
    rank: int,
    ridge: float,
    alpha: float,
    rated: float,
    rounds: int,
    seed: int,
) -> Ranker:
    """Factors of a matrix of all users and items that is 1 where there is a rating, and else 0.

    A zero counts once, a one alpha times if it was liked and alpha * `rated` times if not (Hu, Koren,
    Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008).
    """

    def cells(ratings: Ratings) -> factors.Cells:
        confidence = _matrix(ratings, items, alpha * np.where(ratings.rating >= liked, 1, rated))
        weight = confidence.copy()
        weight.data -= 1  # on top of the one that the penalty counts for every cell
        return weight, confidence

    def penalty(other: factors.Factors) -> factors.Factors:
        return other.T @ other + ridge * np.eye(rank, dtype=np.float32)

    start = (0.01 * np.random.default_rng(seed).random((items, rank))).astype(np.float32)
    found = factors.alternate(cells(train), start, penalty, rounds)
    return lambda history: factors.solve(cells(history), found, penalty(found)) @ found.T


def most_items(inputs: int) -> int:
    """How many items with so many inputs each fit in a matrix of inputs by inputs."""
    return int((MOST_BYTES / np.dtype(np.float32).itemsize) ** 0.5) // inputs


def frequent(train: Ratings, items: int, inputs: int) -> NDArray[np.int64]:
    """Places of so many items that have the most ratings, in order."""
    order = np.argsort(-np.bincount(train.item, minlength=items), kind="stable")
    return np.sort(order[: most_items(inputs)])


def gram(matrix: Sparse) -> NDArray[np.float32]:
    """X'X [F,F] of a sparse X [U,F]."""
    columns = matrix.T.tocsr()
    found = np.empty((matrix.shape[1], matrix.shape[1]), np.float32)
    for start in range(0, len(found), BLOCK):
        found[start : start + BLOCK] = (columns[start : start + BLOCK] @ matrix).toarray()
    return found


def _matrix(ratings: Ratings, items: int, values: NDArray[Any]) -> Sparse:
    """A value for each rating of a known item, as a matrix [U,I] that does not store zeros."""
    stored = (ratings.item >= 0) & (values != 0)
    places = ratings.user[stored].astype(np.int32), ratings.item[stored].astype(np.int32)
    return sparse.csr_array((values[stored].astype(np.float32), places), shape=(ratings.users, items))


def _inverse(matrix: NDArray[np.float32], ridge: float) -> NDArray[np.float32]:
    """(A + ridge I)^-1 of a Gram matrix, which is spent."""
    matrix[np.diag_indices_from(matrix)] += np.float32(ridge)
    return linalg.inv(matrix, overwrite_a=True, check_finite=False, assume_a="pos")


def _linear(
    weights: Scores,
    kept: NDArray[np.int64],
    items: int,
    inputs: Callable[[Ratings], Sparse],
) -> Ranker:
    """Scores x B of the items that were kept."""

    def scores(history: Ratings) -> Scores:
        found = np.full((history.users, items), -np.inf, np.float32)
        found[:, kept] = inputs(history) @ weights
        return found

    return scores

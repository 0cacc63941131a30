"""The area under the receiver operating characteristic."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def auroc(high: NDArray[np.floating], low: NDArray[np.floating]) -> float:
    """The probability that a value of `high` [N] exceeds one of `low` [M]; a tie counts half. Chance is 0.5.

    The Mann-Whitney U of their ranks over N M (Hanley and McNeil, "The meaning and use of the area under a receiver
    operating characteristic (ROC) curve", 1982).
    """
    ranks = rankdata(np.concatenate([high, low]))[: len(high)]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.items import Item
from models.manifest import Recommend
from service.runtime.ranking import Catalogue, diverse, novel
from tests.models import reproducible
from tests.versions import recommend

WORTH = np.array([1, 0.9, 0.5, 0])
UNITS = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], np.float32)
"""The second item is the first again; the third is like neither; the fourth is their opposite."""


@pytest.mark.parametrize(
    ("diversity", "listed"),
    [
        (0.0, [0, 1, 2, 3]),
        (0.25, [0, 1, 2, 3]),  # after 0: .675 - .25 = .425 for 1, .375 for 2, .25 for 3
        (0.3, [0, 2, 1, 3]),  # after 0: .33 for 1, .35 for 2, .3 for 3
        (0.5, [0, 3, 2, 1]),  # after 0: -.05 for 1, .25 for 2, .5 for 3
        (1.0, [0, 3, 2, 1]),  # the first by its place
    ],
)
def test_maximal_marginal_relevance_by_hand(diversity: float, listed: list[int]) -> None:
    assert diverse(WORTH, UNITS, diversity, 4)[0].tolist() == listed


def test_values_by_hand() -> None:
    # .5 + .5, then .25 - 0 and so on, from -.5..1 to 0..1; the last is the first again.
    _, values = diverse(WORTH, UNITS, 0.5, 4)
    assert values.tolist() == pytest.approx([(0.5 + 0.5 + 0.5) / 1.5, (0.5 + 0.5) / 1.5, 0.75 / 1.5, 0.45 / 1.5])
    assert diverse(WORTH, UNITS, 0, 4)[1].tolist() == pytest.approx(WORTH.tolist())


def test_an_item_is_compared_with_the_one_it_is_most_like() -> None:
    worth = np.array([1, 0.9, 0.8, 0.7])
    units = np.array([[1, 0, 0], [0, 1, 0], [0, 0.8, 0.6], [0.6, 0, 0.8]], np.float32)
    # Like the sum of all before them, the last two would be even.
    assert diverse(worth, units, 0.5, 4)[0].tolist() == [0, 1, 3, 2]


items = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12)


@given(items, st.sampled_from([0, 0.2, 0.5, 0.9, 1]), st.integers(0, 14))
@reproducible
def test_a_longer_list_begins_with_the_shorter(rows: list[tuple[int, int, int]], diversity: float, most: int) -> None:
    table = np.array(rows, float)  # small integers: ties are common
    units = table[:, 1:] / np.maximum(np.linalg.norm(table[:, 1:], axis=1, keepdims=True), 1)
    whole, values = diverse(table[:, 0] / 3, units, diversity, len(rows))
    assert sorted(whole.tolist()) == list(range(len(rows)))
    assert diverse(table[:, 0] / 3, units, diversity, most)[0].tolist() == whole.tolist()[:most]
    assert (np.diff(values) <= 0).all()
    assert values.min() >= 0
    assert values.max() <= 1


def catalogue(*popularity: float) -> Catalogue:
    rows = [Item(str(place), "", share, {"genres": (), "year": None}) for place, share in enumerate(popularity)]
    task = recommend()[0].task(Recommend)
    assert task is not None
    return Catalogue(rows, task)


def test_self_information_is_in_bits() -> None:
    assert catalogue(0.5, 0.125, 1, 0).information.tolist() == [1, 3, 0, 3]
    assert catalogue(0, 0).information.tolist() == [0, 0]


def test_novelty_mixes_scaled_scores_and_scaled_information() -> None:
    score, information = np.array([3, 2, -1]), np.array([1, 3, 2])
    assert novel(score, information, 0).tolist() == [1, 0.75, 0]
    assert novel(score, information, 1).tolist() == [0, 1, 0.5]
    assert novel(score, information, 0.5).tolist() == [0.5, 0.875, 0.25]


def test_what_does_not_differ_decides_nothing() -> None:
    same = np.array([2.0, 2.0])
    assert novel(same, np.array([1, 3]), 0.5).tolist() == [0, 0.5]
    assert novel(same, same, 0.5).tolist() == [0, 0]

import numpy as np
import pytest
import torch
from torch import Tensor

from models import items
from tests import tiny
from training.learners.autorec import Autoencoder, MovieAutorec, Score

LIKED = 4.0
ITEM = torch.tensor([[2, 0, 4], [1, 3, -1]], dtype=torch.int32)
RATING = torch.tensor([[5.0, 2.0, 4.0], [4.0, 1.0, 9.0]], dtype=torch.float64)


def scorer() -> Score:
    """Five items, three hidden units, random weights."""
    torch.manual_seed(0)
    ranker, rater = Autoencoder(10, 5, 3), Autoencoder(5, 5, 3)
    for machine in (ranker, rater):
        for bias in (machine.hidden_bias, machine.output_bias):
            torch.nn.init.normal_(bias)
    return Score(ranker, rater, torch.tensor([3.5, 2.0, 4.5, 3.0, 1.5]), LIKED).double()


def by_hand(score: Score, cells: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Score and predicted ratings [I] of one user, from dense vectors as the papers write them."""
    seen, off = np.zeros(10), np.zeros(5)
    mean = score.item_mean.numpy()
    for item, rating in cells.items():
        seen[item], seen[5 + item], off[item] = 1, rating >= LIKED, rating - mean[item]
    ranker, rater = (
        {name: value.detach().numpy() for name, value in machine.named_parameters()}
        for machine in (score.ranker, score.rater)
    )
    length = max(np.linalg.norm(seen), 1)
    code = np.tanh(ranker["encoder"].T @ (seen / length) + ranker["hidden_bias"])
    heard = 1 / (1 + np.exp(-(rater["encoder"].T @ off + rater["hidden_bias"])))
    return (
        ranker["decoder"] @ code + ranker["output_bias"],
        mean + rater["decoder"] @ heard + rater["output_bias"],
    )


def test_the_graph_is_the_formula() -> None:
    score = scorer()
    users = ({2: 5.0, 0: 2.0, 4: 4.0}, {1: 4.0, 3: 1.0})
    for found, expected in zip(
        zip(*score(ITEM, RATING), strict=True), (by_hand(score, user) for user in users), strict=True
    ):
        for one, other in zip(found, expected, strict=True):
            assert one.detach().numpy() == pytest.approx(other, abs=1e-12)


def test_padding_and_order_change_nothing() -> None:
    score = scorer()
    longer = torch.cat((ITEM, torch.full((2, 3), -1, dtype=torch.int32)), dim=1)
    heard = torch.cat((RATING, torch.full((2, 3), 3.0, dtype=torch.float64)), dim=1)
    order = torch.tensor([2, 0, 1])
    plain = score(ITEM, RATING)
    for other in (score(longer, heard), score(ITEM[:, order], RATING[:, order])):
        for one, two in zip(plain, other, strict=True):
            torch.testing.assert_close(one, two, atol=1e-14, rtol=0)


def test_nobody_gets_the_biases() -> None:
    score = scorer()
    nobody = torch.full((1, 1), -1, dtype=torch.int32)
    found = score(nobody, torch.zeros(1, 1, dtype=torch.float64))
    for one, other in zip(found, by_hand(score, {}), strict=True):
        assert one[0].detach().numpy() == pytest.approx(other, abs=1e-12)


# The learner.


def learner(*changes: str) -> MovieAutorec:
    found = tiny.learner("movies-autorec", *changes)
    assert isinstance(found, MovieAutorec)
    return found


def test_a_batch_holds_whole_users_and_what_of_them_is_shown() -> None:
    machine, data = learner("dropout=0.9"), tiny.twin("movies-autorec")
    count, train = len(data.items), data.train
    users: set[bytes] = set()
    for user in range(train.users):
        item, rating = train.item[train.user == user], train.rating[train.user == user]
        vector = np.zeros(3 * count, np.float32)
        vector[item], vector[count + item[rating >= LIKED]] = 1, 1
        vector[2 * count + item] = rating - machine.item_mean.numpy()[item]
        users.add(vector.tobytes())
    torch.manual_seed(0)
    units, off, kept = machine.draw()
    assert all(torch.cat((row, rest)).numpy().tobytes() in users for row, rest in zip(units, off, strict=True))
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    shares = kept.mean(dim=1)
    assert shares.min() < 0.5 < shares.max(), "each user is hidden by a share of its own"


def test_without_dropout_everything_is_shown() -> None:
    _, _, kept = learner("dropout=0").draw()
    assert kept.all()


def losses(machine: MovieAutorec, batch: tuple[Tensor, ...], phase: str) -> float:
    return machine.losses(phase, batch, 0.0)["loss"].item()


def test_only_what_is_shown_goes_in_and_all_that_is_there_counts() -> None:
    machine = learner("dropout=0")
    torch.manual_seed(0)
    units, off, kept = machine.draw()
    count = len(machine.data.items)
    for phase in ("ranking", "rating"):
        shown = losses(machine, (units, off, kept), phase)
        hidden = losses(machine, (units, off, torch.zeros_like(kept)), phase)
        assert shown != hidden
    nothing = torch.zeros_like(kept)
    with torch.no_grad():
        likelihood = torch.log_softmax(machine.ranker.decode(torch.tanh(machine.ranker.hidden_bias)), dim=0)
        guess = machine.rater.decode(torch.sigmoid(machine.rater.hidden_bias))
    liked, rated = units[:, count:].bool(), units[:, :count].bool()
    expected = -likelihood.expand(len(units), -1)[liked].mean().item()
    assert losses(machine, (units, off, nothing), "ranking") == pytest.approx(expected, rel=1e-5)
    expected = (guess - off)[rated].square().mean().item()
    assert losses(machine, (units, off, nothing), "rating") == pytest.approx(expected, rel=1e-5)


def test_training_and_the_graph_are_one_network() -> None:
    machine, data = learner("dropout=0"), tiny.twin("movies-autorec")
    torch.manual_seed(0)
    units, off, kept = machine.draw()
    count = len(data.items)
    item = units[0, :count].nonzero()[:, 0]
    score, predicted = Score(machine.ranker, machine.rater, machine.item_mean, data.liked)(
        item[None].int(), (off[0] + machine.item_mean)[item][None]
    )
    of_one = tuple(part[:1] for part in (units, off, kept))
    likelihood = torch.log_softmax(score[0], dim=0)[units[0, count:].bool()].mean()
    assert losses(machine, of_one, "ranking") == pytest.approx(-likelihood.item(), rel=1e-4)
    error = (predicted[0] - machine.item_mean - off[0])[item].square().mean()
    assert losses(machine, of_one, "rating") == pytest.approx(error.item(), rel=1e-4)


def test_the_item_table_is_that_of_the_data() -> None:
    data = tiny.twin("movies-autorec")
    assert items.read(learner().files()["items.csv"], data.attributes) == data.items

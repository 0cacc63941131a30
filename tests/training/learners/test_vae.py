import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from tests import tiny
from training.data.labelled import Pictures, Split
from training.learners import vae
from training.learners.vae import Mean, Vae, VaeSettings

MEAN = torch.tensor([[0.0, 1.3, -2.0], [0.4, 0.0, 3.0]], dtype=torch.float64)
LOG_VARIANCE = torch.tensor([[0.0, -3.0, 1.1], [0.7, 2.0, -6.0]], dtype=torch.float64)


def posterior() -> Normal:
    return Normal(MEAN, (LOG_VARIANCE / 2).exp())


def pictures(images: np.ndarray) -> Pictures:
    part = Split(images, np.zeros(len(images), np.uint8))
    return Pictures(part, part, part, ("0",), (), "by hand", "0" * 64)


def learner() -> Vae:
    found = tiny.learner("digits-vae", "precision=float32")  # what it is compared with to six digits is float32
    assert isinstance(found, Vae)
    return found


def test_kl_is_that_of_torch() -> None:
    expected = kl_divergence(posterior(), Normal(torch.zeros_like(MEAN), torch.ones_like(MEAN))).sum(dim=1)
    torch.testing.assert_close(vae.kl_divergence(MEAN, LOG_VARIANCE), expected, atol=1e-12, rtol=0)


def test_kl_is_the_integral_of_its_definition() -> None:
    grid = torch.linspace(-60, 60, 400_001, dtype=torch.float64)[:, None, None]
    log_q = posterior().log_prob(grid)
    log_p = -0.5 * (grid**2 + math.log(2 * math.pi))
    expected = torch.trapezoid(log_q.exp() * (log_q - log_p), grid, dim=0).sum(dim=1)
    torch.testing.assert_close(vae.kl_divergence(MEAN, LOG_VARIANCE), expected, atol=1e-9, rtol=0)


def test_kl_is_the_mean_over_draws() -> None:
    torch.manual_seed(6)
    count = 100_000
    draws = vae.reparameterise(MEAN.expand(count, -1, -1), LOG_VARIANCE.expand(count, -1, -1))
    parts = (posterior().log_prob(draws) + 0.5 * (draws**2 + math.log(2 * math.pi))).sum(dim=2)
    error = parts.std(dim=0) / math.sqrt(count)
    distance = (parts.mean(dim=0) - vae.kl_divergence(MEAN, LOG_VARIANCE)).abs()
    assert (distance < 4 * error).all()
    assert (error < 0.02).all()


def test_draws_have_the_mean_and_the_variance() -> None:
    torch.manual_seed(7)
    rows = 100_000
    draws = vae.reparameterise(MEAN[:1].expand(rows, -1), LOG_VARIANCE[:1].expand(rows, -1))
    variance = LOG_VARIANCE[0].exp()
    assert ((draws.mean(dim=0) - MEAN[0]).abs() < 4 * (variance / rows).sqrt()).all()
    assert ((draws.var(dim=0) / variance - 1).abs() < 4 * math.sqrt(2 / rows)).all()


def test_gradients_pass_through_a_draw() -> None:
    def value(mean: Tensor, log_variance: Tensor) -> Tensor:
        torch.manual_seed(1)  # the same noise
        return vae.reparameterise(mean, log_variance).sin().sum()

    mean, log_variance = MEAN.clone().requires_grad_(), LOG_VARIANCE.clone().requires_grad_()
    found = torch.autograd.grad(value(mean, log_variance), (mean, log_variance))
    for which, gradient in enumerate(found):
        for place in range(MEAN.numel()):
            ends = []
            for step in (1e-5, -1e-5):
                inputs = [MEAN.clone(), LOG_VARIANCE.clone()]
                inputs[which].view(-1)[place] += step
                ends.append(value(*inputs).item())
            assert gradient.view(-1)[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8)


@pytest.mark.parametrize(("progress", "beta"), [(0, 0), (0.05, 0.5), (0.1, 1), (0.6, 1), (1, 1)])
def test_the_kl_counts_more_and_more_over_the_first_tenth(progress: float, beta: float) -> None:
    machine = learner()
    torch.manual_seed(0)
    (image,) = batch = machine.draw()
    torch.manual_seed(1)
    losses = machine.losses("elbo", batch, progress)
    torch.manual_seed(1)
    mean, log_variance = machine.encoder(image)
    latent = mean + (log_variance / 2).exp() * torch.randn_like(mean)
    nll = -Bernoulli(logits=machine.decoder(latent)).log_prob(image).sum(dim=(1, 2, 3)).mean()
    kl = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(dim=1).mean()
    assert kl > 1e-3
    torch.testing.assert_close(losses["loss"], nll + beta * kl, atol=1e-3, rtol=1e-6)
    torch.testing.assert_close(losses["elbo"], -nll - kl, atol=1e-3, rtol=1e-6)
    torch.testing.assert_close(losses["kl"], kl, atol=1e-6, rtol=1e-5)


def test_pictures_are_binarised_anew_at_every_step() -> None:
    image = np.zeros((1, 1, 28, 28), np.uint8)
    image[..., 10:20], image[..., 20:] = 64, 255
    machine = Vae(VaeSettings(batch_size=200, steps=1, learning_rate=1.0), pictures(image))
    torch.manual_seed(0)
    (first,), (second,) = machine.draw(), machine.draw()
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second)
    assert not first[..., :10].any()
    assert first[..., 20:].all()
    grey, share = first[..., 10:20], 64 / 255
    assert abs(grey.mean().item() - share) < 4 * math.sqrt(share * (1 - share) / grey.numel())
    assert len(grey.flatten(1).unique(dim=0)) == 200, "each row is a draw of its own"


def test_the_served_decoder_gives_the_mean_of_the_pixels() -> None:
    machine = learner()
    torch.manual_seed(0)
    latent = torch.randn(5, 4)
    with torch.no_grad():
        assert torch.equal(Mean(machine.decoder)(latent), Bernoulli(logits=machine.decoder(latent)).mean)


def test_a_block_starts_as_the_identity() -> None:
    block, x = vae.Block(3), torch.randn(2, 3, 7, 7)
    torch.nn.init.zeros_(block.second.bias)
    assert torch.equal(block(x), x)

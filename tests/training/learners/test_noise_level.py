import pytest
import torch

from training.learners.noise_level import NoiseLevel


def network() -> NoiseLevel:
    torch.manual_seed(0)
    return NoiseLevel()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 47), (100, 33)])
def test_any_size_from_16_pixels_has_one_level(height: int, width: int) -> None:
    with torch.no_grad():
        level = network()(torch.rand(3, 1, height, width))
    assert level.shape == (3,)
    assert (level > 0).all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, 40.0])
def test_an_even_picture_has_a_finite_level_and_gradient(value: float) -> None:
    level = network()
    image = torch.full((1, 1, 32, 32), value, requires_grad=True)
    level(image).sum().backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in level.parameters())


def test_it_learns_the_level_where_clipping_hides_it() -> None:
    """Noise of 10 to 60 on a dark and on a bright ground, where half of it is cut off."""
    level = network()
    optimizer = torch.optim.Adam(level.parameters(), lr=3e-3)

    def draw() -> tuple[torch.Tensor, torch.Tensor]:
        sigma = (10 + 50 * torch.rand(32)) / 255
        ground = torch.tensor([0.0, 0.5, 1.0])[torch.randint(3, (32, 1, 1, 1))]
        return (ground + sigma.view(-1, 1, 1, 1) * torch.randn(32, 1, 32, 32)).clamp(0, 1), sigma

    def off() -> torch.Tensor:
        image, sigma = draw()
        return (level(image) / sigma).log().abs().mean()

    for _ in range(300):
        optimizer.zero_grad()
        off().backward()
        optimizer.step()
    with torch.no_grad():
        assert off() < 0.1

import pytest
import torch

from training.learners.noise_level import NoiseLevel, defaced


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

    for _ in range(1000):
        optimizer.zero_grad()
        off().backward()
        optimizer.step()
    with torch.no_grad():
        assert off() < 0.1


def test_what_hides_noise_leaves_it_as_it_was_elsewhere() -> None:
    torch.manual_seed(0)
    clean = torch.full((400, 1, 48, 48), 0.5)
    sigma = torch.full((400,), 0.05)
    found, told = defaced(clean, clean + 0.05 * torch.randn_like(clean), sigma)
    even = found == found.roll(1, dims=3)
    shown = (~even).float().mean(dim=(1, 2, 3))
    drawn = told == 0
    assert 0 < drawn.sum() < 60
    assert (told[~drawn] == sigma[~drawn]).all()
    assert (even[drawn]).all(), "a drawing of one shade is even"
    assert (shown[~drawn] > 0.1).float().mean() > 0.98, "something is left to judge by"
    assert (shown[~drawn] < 0.9).sum() > 100, "many have lost some"
    clipped = ((found <= 0) | (found >= 1)).flatten(1).any(dim=1)
    for picture in found[~drawn & ~clipped & (shown > 0.6)]:
        steps = picture[..., 1:] - picture[..., :-1]
        median = steps[steps != 0].abs().median().item()
        assert median == pytest.approx(0.05 * 0.954, rel=0.2)  # that of |N(0, 2)|


def test_an_even_part_does_not_decide() -> None:
    """Trained on noise under frames and stamps, it reads the noise beside them."""
    level = network()
    optimizer = torch.optim.Adam(level.parameters(), lr=3e-3)

    def draw() -> tuple[torch.Tensor, torch.Tensor]:
        sigma = (2 + 50 * torch.rand(32)) / 255
        clean = 0.3 + 0.4 * torch.rand(32, 1, 1, 1).expand(-1, 1, 32, 32)
        return defaced(clean, clean + sigma.view(-1, 1, 1, 1) * torch.randn_like(clean), sigma)

    for _ in range(400):
        image, sigma = draw()
        optimizer.zero_grad()
        ((255 * level(image) + 1).log() - (255 * sigma + 1).log()).abs().mean().backward()
        optimizer.step()
    framed = 0.5 + 20 / 255 * torch.randn(8, 1, 64, 64)
    framed[..., :20] = framed[..., 48:] = 0
    with torch.no_grad():
        found = 255 * level(framed)
    assert (found > 12).all()
    assert (found < 40).all()

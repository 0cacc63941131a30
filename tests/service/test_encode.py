import numpy as np
import pytest
from httpx import Client, Response
from PIL import Image

from models.manifest import Encode
from service.media.fitting import fit
from service.media.pictures import Picture
from tests import versions
from tests.service.conftest import encoded, pixels, png, refused


def digit(light: bool = False) -> np.ndarray:
    """A 28 x 28 picture of a bright bar on a dark ground, or the opposite."""
    picture = np.full((28, 28), 10, np.uint8)
    picture[4:24, 10:17] = pixels(20, 7)
    return 255 - picture if light else picture


def send(client: Client, data: bytes, kind: str = "image/png", **query: object) -> Response:
    return client.post(
        "/v1/encode", content=data, headers={"content-type": kind}, params={k: str(v) for k, v in query.items()}
    )


def test_an_encoding_is_what_the_graph_says(client: Client) -> None:
    answer = send(client, encoded(Image.fromarray(digit())))
    assert answer.status_code == 200
    assert (answer.headers["x-model"], answer.headers["x-model-version"]) == ("digits-vae", "1")
    tree = answer.json()
    assert (tree["model"], tree["version"]) == ("digits-vae", 1)
    (encoding,) = tree["encodings"]
    assert set(encoding) == {"mean", "log_variance", "inverted"}
    assert encoding["inverted"] is False
    manifest, files = versions.encode()
    assert manifest.task(Encode)
    image = digit()[None, None].astype(np.float32) / np.float32(255)
    outputs = versions.run(files["encode.onnx"], {"image": image})
    for name in ("mean", "log_variance"):
        assert encoding[name] == pytest.approx(outputs[name][0].tolist(), abs=1e-6)


def test_a_light_ground_is_inverted_if_not_told_otherwise(client: Client) -> None:
    def ask(data: bytes, **query: object) -> dict[str, object]:
        return send(client, data, **query).json()["encodings"][0]

    dark, light = (encoded(Image.fromarray(digit(light))) for light in (False, True))
    assert ask(light)["inverted"] is True
    assert ask(light)["mean"] == pytest.approx(ask(dark)["mean"], abs=1e-6)
    assert ask(light, invert="false")["inverted"] is False
    assert ask(dark, invert="true")["mean"] == ask(light, invert="false")["mean"]


def test_a_sample_is_drawn_from_the_posterior_by_seed(client: Client) -> None:
    data = encoded(Image.fromarray(digit()))
    (first,) = send(client, data, sample=7).json()["encodings"]
    noise = np.random.Generator(np.random.PCG64(7)).standard_normal(4, np.float32)
    expected = np.array(first["mean"]) + np.exp(np.array(first["log_variance"]) / 2) * noise
    assert first["sample"] == pytest.approx(expected.tolist(), abs=1e-6)
    assert send(client, data, sample=7).json()["encodings"] == [first]
    assert send(client, data, sample=8).json()["encodings"][0]["sample"] != first["sample"]


def test_pictures_of_any_kind_and_size_are_read(client: Client) -> None:
    for data in (
        png(300, 400, 3),
        png(1, 1),
        encoded(Image.new("I;16", (30, 30))),
        encoded(Image.new("RGBA", (9, 40))),
    ):
        assert send(client, data).status_code == 200
    assert send(client, encoded(Image.fromarray(digit()), "JPEG"), "image/jpeg").status_code == 200


@pytest.mark.parametrize("how", ["letterbox", "stretch"])
def test_the_right_size_and_polarity_pass_to_the_bit(how: str) -> None:
    image, inverted = fit(Picture(digit()), (1, 28, 28), how, "auto", "dark")  # type: ignore[arg-type]
    assert not inverted
    assert np.array_equal(image[0], digit().astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("white", [255, 200, 125, 60])
@pytest.mark.parametrize("light", [True, False], ids=["on-paper", "on-slate"])
def test_the_ground_is_light_or_dark_beside_what_is_drawn(white: int, light: bool) -> None:
    """Paper in a dark room is paper."""
    drawn = np.zeros((28, 28), np.uint8)
    drawn[4:24, 10:17] = round(0.8 * white)
    picture = white - drawn if light else drawn
    picture[3, 4], picture[20, 9] = 0, 255  # single pixels say nothing
    _, inverted = fit(Picture(picture), (1, 28, 28), "letterbox", "auto", "dark")
    assert inverted == light


@pytest.mark.parametrize(("level", "light"), [(250, True), (5, False)])
def test_where_nothing_is_drawn_the_level_decides(level: int, light: bool) -> None:
    noise = np.random.default_rng(0).normal(0, 4, (28, 28))
    blank = (level + noise).round().clip(0, 255).astype(np.uint8)
    _, inverted = fit(Picture(blank), (1, 28, 28), "letterbox", "auto", "dark")
    assert inverted == light


def test_letterbox_keeps_the_aspect_and_fills_with_the_ground() -> None:
    wide = np.full((10, 40), 20, np.uint8)
    wide[2:8, 4:36] = 220
    image, _ = fit(Picture(wide), (1, 28, 28), "letterbox", "auto", "dark")
    ground = np.float32(20) / np.float32(255)
    assert np.allclose(image[0, :10], ground)
    assert np.allclose(image[0, -10:], ground)
    assert image[0, 14, 14] > 0.8
    stretched, _ = fit(Picture(wide), (1, 28, 28), "stretch", "auto", "dark")
    assert stretched[0, 7, 14] > 0.8


@pytest.mark.parametrize(("ink", "light"), [(0, True), (255, False)])
def test_behind_an_icon_on_nothing_lies_what_its_ink_shows_on(ink: int, light: bool) -> None:
    alpha = np.zeros((28, 28), np.uint8)
    alpha[10:18, 10:18] = 255
    icon = Picture(np.full((28, 28), ink, np.uint8), alpha)
    image, inverted = fit(icon, (1, 28, 28), "letterbox", "auto", "dark")
    assert inverted == light
    assert np.array_equal(image[0], (alpha == 255).astype(np.float32))


def test_alpha_is_composited_on_the_grounds_own_colour() -> None:
    grey = np.full((28, 28), 60, np.uint8)
    alpha = np.full((28, 28), 255, np.uint8)
    alpha[10:18, 10:18] = 0
    grey[10:18, 10:18] = 255  # what lies under full transparency must not show
    image, _ = fit(Picture(grey, alpha), (1, 28, 28), "letterbox", "auto", "dark")
    assert np.allclose(image, 60 / 255)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"fit": "crop"}, "/fit"),
        ({"invert": "maybe"}, "/invert"),
        ({"sample": -1}, "/sample"),
        ({"sample": 2**63}, "/sample"),
        ({"reconstruct": "true"}, "/reconstruct"),
        ({"colour": "1"}, "/colour"),
    ],
)
def test_wrong_parameters_are_pointed_at(client: Client, query: dict[str, object], pointer: str) -> None:
    refused(send(client, png(8, 8), **query), 422, "invalid-fields", pointer)

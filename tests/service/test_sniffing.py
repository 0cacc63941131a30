import base64

import numpy as np
import pytest
from PIL import Image

from service.media.arrays import write
from service.media.negotiation import JPEG, NPY, PNG, TIFF, WEBP
from service.media.sniffing import sniff, unpack
from service.problems import InvalidFields, UnreadablePicture
from tests.service.conftest import encoded


@pytest.mark.parametrize(("form", "kind"), [("PNG", PNG), ("JPEG", JPEG), ("WEBP", WEBP), ("TIFF", TIFF)])
def test_a_picture_is_known_by_how_it_begins(form: str, kind: str) -> None:
    assert sniff(encoded(Image.new("L", (3, 3)), form)) == kind


def test_so_are_arrays_and_the_other_tiffs() -> None:
    assert sniff(write(np.zeros((2, 2), np.uint8))) == NPY
    assert sniff(encoded(Image.new("I;16B", (3, 3)), "TIFF")) == TIFF
    assert sniff(b"II+\0") == TIFF


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"RIFF____WAVE", b"\x89PNG", b"\xff\xd8"])
def test_nothing_else_is(data: bytes) -> None:
    with pytest.raises(UnreadablePicture, match="image/png, image/jpeg, image/tiff, application/x-npy, image/webp"):
        sniff(data)


def test_base64_is_unpacked() -> None:
    data = bytes(range(256))
    assert unpack(base64.b64encode(data).decode(), "/images/0") == data
    assert unpack("", "/images/0") == b""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("QUFB\nQUFB", "line breaks"),
        ("QUFB QUFB\n", "spaces"),
        ("Q-_=", "URL-safe"),
        ("data:image/png;base64,QQ==", "URI"),
    ],
)
def test_what_is_often_wrong_is_named(text: str, told: str) -> None:
    with pytest.raises(InvalidFields) as caught:
        unpack(text, "/images/3")
    assert told in caught.value.errors[0].detail


@pytest.mark.parametrize(
    "text",
    [
        "!",
        "a",
        "QQ",
        "QQ=",
        "QQ==QQ==",
        "QQ==\n",
        " QQ==",
        "Q-_=",
        "data:image/png;base64,QQ==",
        "\uff31\uff31==",  # wide letters
        "QQ==\0",
        "====",
    ],
)
def test_only_to_the_letter(text: str) -> None:
    with pytest.raises(InvalidFields) as caught:
        unpack(text, "/images/3")
    (fault,) = caught.value.errors
    assert fault.pointer == "/images/3"
    assert fault.detail.startswith("is not base64: ")

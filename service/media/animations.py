"""Pictures of one size, one after the other, as GIF or WebP."""

import io
from collections.abc import Callable, Iterator

from PIL import Image

from service.media.negotiation import GIF, WEBP
from service.media.sheets import WEBP_LOSSLESS, Stack

FRAME_MS = 100
"""How long each picture is shown. GIF counts in hundredths of a second, and browsers slow down what is below two."""
FORMATS = {GIF: "GIF", WEBP: "WEBP"}


def animation(stack: Stack, kind: str, check: Callable[[], None]) -> bytes:
    """The pictures in an endless loop: WebP without loss, GIF in 256 colours a picture, which hold every grey.

    Equal pictures in a row become one that is shown longer. `check` is called before each
    picture is taken; what it raises ends the work.
    """

    def frames() -> Iterator[Image.Image]:
        for picture in stack:
            check()
            yield Image.fromarray(picture)

    buffer, taken = io.BytesIO(), frames()
    options = WEBP_LOSSLESS if kind == WEBP else {}
    next(taken).save(buffer, FORMATS[kind], save_all=True, append_images=taken, duration=FRAME_MS, loop=0, **options)
    return buffer.getvalue()

"""EXIF: which way is up, and the rest of it, to the byte."""

from service.media.ifd import BrokenDirectory, Directory

ORIENTATION = 0x0112
FURTHER, WIDTH, HEIGHT = 0x8769, 0xA002, 0xA003
"""Where EXIF's own directory begins, and what that says of the size."""
PREFIX = b"Exif\0\0"
"""What JPEG writes before it, and some write in PNG and WebP."""
LONGEST = 2**16 - 1
"""What a number of EXIF holds, at least."""
ASIDE = (5, 6, 7, 8)
"""Orientations that change width and height places."""


def upright(block: bytes | None) -> tuple[int, bytes | None]:
    """How the picture must be turned (1..8, 1: not at all), and the EXIF of the turned picture.

    Only the orientation is changed: a maker's notes do not survive being moved. EXIF that is broken is
    dropped, and turns the picture only if that much of it can be read.
    """
    if not block:
        return 1, None
    data = block.removeprefix(PREFIX)
    try:
        directory = Directory(data)
        values = directory.integers(ORIENTATION)
    except BrokenDirectory:
        return 1, None
    turn = values[0] if len(values) == 1 and 1 <= values[0] <= 8 else 1
    if not directory.whole:
        return turn, None
    return turn, data if turn == 1 else directory.replaced(ORIENTATION, 1)


def sized(block: bytes, width: int, height: int) -> bytes:
    """The same EXIF with this size, if it tells of one: the picture was turned, or stands beside another."""
    if max(width, height) > LONGEST:
        return block
    try:
        for start in Directory(block).integers(FURTHER)[:1]:
            for tag, value in ((WIDTH, width), (HEIGHT, height)):
                directory = Directory(block, start)
                block = directory.replaced(tag, value) if directory.integers(tag) else block
    except BrokenDirectory:
        pass
    return block

import struct

import pytest
from PIL import Image

from service.media.exif import PREFIX, sized, upright
from service.media.ifd import MOST_NUMBERS, MOST_TAGS


def block(orientation: int = 6, order: str = "<", kind: str = "H", more: bytes = b"") -> bytes:
    """EXIF of an orientation and a text, and what follows."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + kind, orientation).ljust(4, b"\0")
    entries = struct.pack(order + "HHI", 0x0112, {"H": 3, "I": 4, "B": 1}[kind], 1) + value
    entries += struct.pack(order + "HHII", 0x010F, 2, 6, 38)
    return head + struct.pack(order + "IH", 8, 2) + entries + bytes(4) + b"Maker\0" + more


@pytest.mark.parametrize("kind", ["H", "I"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"", PREFIX])
def test_only_the_orientation_is_changed(prefix: bytes, order: str, kind: str) -> None:
    """A maker's notes, which say where they lie, stay there."""
    notes = b"notes of a maker"
    turn, kept = upright(prefix + block(6, order, kind, notes))
    assert (turn, kept) == (6, block(1, order, kind, notes))
    exif = Image.Exif()
    exif.load(kept or b"")
    assert (exif[0x0112], exif[0x010F]) == (1, "Maker")


def test_what_is_upright_stays_as_it_is() -> None:
    assert upright(block(1)) == (1, block(1))
    for wrong in (0, 9):
        assert upright(block(wrong)) == (1, block(wrong))


def test_there_may_be_none() -> None:
    assert upright(None) == upright(b"") == upright(PREFIX) == (1, None)


@pytest.mark.parametrize(
    "broken",
    [
        b"broken",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\0",
        block(kind="B"),
        b"MM\0*" + struct.pack(">IH", 8, MOST_TAGS + 1) + bytes(12 * (MOST_TAGS + 1) + 4),
        b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x9000, 5, MOST_NUMBERS + 1, 26, 0) + bytes(8 * MOST_NUMBERS + 8),
    ],
    ids=range(7),
)
def test_what_is_broken_is_dropped(broken: bytes) -> None:
    assert upright(broken) == (1, None)


def test_what_is_cut_off_still_turns() -> None:
    assert upright(block(6)[:-3]) == (6, None)


def test_the_size_it_tells_of_is_that_of_the_picture() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769).update({0xA002: 200, 0xA003: 160})
    found = Image.Exif()
    found.load(sized(exif.tobytes().removeprefix(PREFIX), 160, 70_000 % 2**16))
    assert found[0x010F] == "Maker"
    assert dict(found.get_ifd(0x8769)) == {0xA002: 160, 0xA003: 70_000 % 2**16}


@pytest.mark.parametrize("told", [block(1), b"broken", block(1)[:-3]])
def test_where_it_tells_of_none_it_stays(told: bytes) -> None:
    assert sized(told, 160, 200) == told


def test_a_size_that_it_cannot_hold_changes_nothing() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA002: 200, 0xA003: 160})
    told = exif.tobytes().removeprefix(PREFIX)
    assert sized(told, 70_000, 160) == told

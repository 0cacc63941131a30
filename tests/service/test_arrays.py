"""Arrays of pictures: what is read, to the bit, and what is refused before anything is allocated."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as any_array

from service.media.arrays import read, stack, write
from service.media.negotiation import NPY
from service.media.picture import Picture
from service.media.pictures import inspect
from service.problems import PictureTooLarge, Problem, UnreadableArray

TYPES = (np.uint8, np.uint16, np.float32, np.float64)
SHAPES = ((4, 5), (4, 5, 1), (4, 5, 3), (1, 4, 5, 1), (2, 4, 5, 3))


def saved(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def spelled(header: str, values: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An .npy with any header."""
    length = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + bytes(version) + length + header.encode() + values


def described(descr: str = "'|u1'", order: str = "False", shape: str = "(2, 3)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def detail(data: bytes) -> str:
    with pytest.raises(UnreadableArray) as caught:
        inspect(data, NPY, 10**6)
    return caught.value.detail


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_layout_and_type_comes_back_to_the_byte(shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    array = (np.random.default_rng(0).random(shape) * 5).astype(dtype)
    data = saved(array)
    header, found = inspect(data, NPY, 10**6), read(data)
    stacked = len(shape) == 4
    assert (header.stacked, header.count, header.dtype) == (stacked, shape[0] if stacked else 1, dtype)
    assert header.pixels == 20 * header.count
    assert [picture.pixels.shape for picture in found] == [header.shape] * header.count
    assert write(stack(found) if stacked else found[0].pixels) == data


def test_grey_pictures_are_stacked_with_a_channel() -> None:
    grey = Picture(np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert stack([grey, grey]).shape == (2, 2, 3, 1)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_all_formats_and_any_order_of_the_header_are_read(version: tuple[int, int]) -> None:
    text = "{'shape':(2,3),'fortran_order':False,'descr':'|u1'}"
    (picture,) = read(spelled(text, bytes(range(6)), version))
    assert np.array_equal(picture.pixels, [[0, 1, 2], [3, 4, 5]])


def test_values_that_do_not_lie_as_the_processor_wants_them() -> None:
    text = described("'<f8'")
    values = np.arange(6, dtype=np.float64) / 5
    shifted = spelled(text + " " * (-(10 + len(text)) % 8 + 1), values.tobytes())
    (picture,) = read(shifted)
    assert picture.pixels.flags.aligned
    assert np.array_equal(picture.pixels.ravel(), values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_read_from_minus_4_to_5(dtype: type[np.floating[Any]]) -> None:
    limits = np.array([[-4, 0, 5]], dtype)
    assert np.array_equal(read(saved(limits))[0].pixels, limits)
    for wrong in (np.nextafter(dtype(-4), dtype(-9)), np.nextafter(dtype(5), dtype(9)), np.nan, np.inf, -np.inf):
        values = np.full((3, 3, 3), 0.5, dtype)
        values[1, 1, 1] = wrong
        data = saved(values)
        inspect(data, NPY, 100)
        with pytest.raises(UnreadableArray, match="finite and from -4 to 5"):
            read(data)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(5, np.uint8), "shape (5,)"),
        (np.uint8(5), "shape ()"),
        (np.zeros((1, 2, 3, 1, 1), np.uint8), "[B,H,W,C]"),
        (np.zeros((4, 5, 2), np.uint8), "2 channels"),
        (np.zeros((4, 5, 4), np.uint8), "4 channels"),
        (np.zeros((9, 28, 28), np.uint8), "Grey ones are stacked as [B,H,W,1]"),
        (np.zeros((0, 5), np.uint8), "shape (0, 5)"),
        (np.zeros((0, 4, 5, 3), np.uint8), "shape (0, 4, 5, 3)"),
        (np.zeros((4, 5), np.int8), "|i1"),
        (np.zeros((4, 5), np.int64), "<i8"),
        (np.zeros((4, 5), np.float16), "<f2"),
        (np.zeros((4, 5), ">f4"), ">f4"),
        (np.zeros((4, 5), bool), "|b1"),
        (np.zeros((4, 5), complex), "<c16"),
        (np.zeros((4, 5), "U3"), "<U3"),
        (np.zeros((4, 5), [("red", "u1")]), "red"),
        (np.asfortranarray(np.zeros((4, 5), np.uint8)), "Fortran"),
    ],
)
def test_other_arrays_are_refused_in_words(array: Any, words: str) -> None:
    assert words in detail(saved(array))


def test_objects_are_never_unpickled() -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("unpickled",))

    assert "|O" in detail(saved(np.full((4, 5), Bomb(), object), allow_pickle=True))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "{}",
        "{'descr': '|u1', 'shape': (2, 3)}",
        described() + "x",
        described().replace("descr", "kind"),
        described().replace("}", ", 'more': 1}"),
        described(shape="[2, 3]"),
        described(shape="(2, -3)"),
        described(shape="(2, 3.0)"),
        described(shape="(2 3)"),
        described(shape="(2,, 3)"),
        described(shape="(0x2, 3)"),
        described(shape="(²,3)"),
        described(shape="(" + "9" * 3000 + ", 3)"),
        described(order="0"),
        described(order="__import__('os').abort()"),
        "(" * 3000,
    ],
)
def test_headers_that_are_no_headers(header: str) -> None:
    data = b"\x93NUMPY\1\0" + len(header.encode("latin-1")).to_bytes(2, "little") + header.encode("latin-1")
    detail(data + bytes(6))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPX\1\0" + saved(np.zeros((2, 3), np.uint8))[8:],
        spelled(described(), bytes(6), (4, 0)),
        spelled(described(), bytes(6), (0, 0)),
        spelled(described(), bytes(6), (1, 1)),
        spelled(described() + " " * 5000, bytes(6)),
        b"\x93NUMPY\2\0\xff\xff\xff\xff{}    ",
    ],
)
def test_what_does_not_begin_like_an_array(data: bytes) -> None:
    detail(data)


def test_the_length_must_be_that_of_the_header() -> None:
    whole = saved(np.arange(60, dtype=np.uint16).reshape(4, 5, 3))
    for size in range(len(whole)):
        detail(whole[:size])
    assert "121 bytes; its header says 120" in detail(whole + b"\0")
    for shape in ("(99999999999, 999999999999)", "(4294967297, 4294967296)", "(9999999, 9999999, 9999999, 3)"):
        assert "header says" in detail(spelled(described(shape=shape), bytes(100)))


def test_pixels_are_counted_over_the_stack() -> None:
    data = saved(np.zeros((3, 4, 5, 1), np.uint8))
    assert inspect(data, NPY, 60).pixels == 60
    with pytest.raises(PictureTooLarge, match="3 x 5 x 4"):
        inspect(data, NPY, 59)
    with pytest.raises(PictureTooLarge, match="side"):
        inspect(saved(np.zeros((1, 70_000), np.uint8)), NPY, 10**6)


def reads_or_refuses(data: bytes) -> None:
    try:
        header = inspect(data, NPY, 10**6)
        found = read(data)
    except Problem:
        return
    assert [picture.pixels.shape for picture in found] == [header.shape] * header.count


@given(st.binary(max_size=200))
def test_any_bytes_are_an_array_or_refused(tail: bytes) -> None:
    for data in (tail, b"\x93NUMPY" + tail, spelled("".join(map(chr, tail[:100])), tail[100:])):
        reads_or_refuses(data)


@given(st.data())
def test_any_damage_is_an_array_or_refused(data: st.DataObject) -> None:
    whole = bytearray(saved(np.full((2, 2, 2, 1), 0.5, np.float32)))
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=8)):
        whole[place] = value
    reads_or_refuses(bytes(whole))


@given(st.sampled_from(["|u1", "<u2", "<f4", "<f8"]).flatmap(lambda kind: any_array(kind, st.sampled_from(SHAPES))))
def test_any_array_comes_back_or_has_a_value_out_of_range(array: np.ndarray[Any, Any]) -> None:
    data = saved(array)
    fits = array.dtype.kind == "u" or bool(((array >= -4) & (array <= 5)).all())
    try:
        found = read(data)
    except UnreadableArray:
        assert not fits
    else:
        assert fits
        assert write(stack(found) if array.ndim == 4 else found[0].pixels) == data

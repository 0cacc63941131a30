"""Columns of a table as text, as numbers and as moments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.types as kinds
from numpy.typing import NDArray

Column = Any
"""A pyarrow array, whose stubs know no types of elements."""
kernels: Any = pyarrow.compute
"""pyarrow makes its functions at run time, unseen by type checkers."""
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


class WrongKind(TypeError):
    """A column of a Parquet file holds what cannot stand there; the message says what it holds."""


@dataclass(frozen=True)
class Numbers:
    """`value` [R] float64, where it is `sound`; `given` is whether there was anything."""

    value: NDArray[np.float64]
    given: NDArray[np.bool_]
    sound: NDArray[np.bool_]


def text(column: Column) -> Column:
    """Text without spaces around it, empty where there is nothing. Whole numbers of a Parquet file become digits.

    Raises:
        WrongKind: the column holds neither text nor whole numbers.
    """
    if kinds.is_dictionary(column.type):
        column = column.dictionary_decode()
    if kinds.is_floating(column.type):  # how pandas keeps whole numbers when one is missing
        column = kernels.if_else(kernels.is_nan(column), None, column)
        if not kernels.all(kernels.equal(kernels.round(column), column), min_count=0).as_py():
            raise WrongKind("it holds numbers that are not whole")
        column = column.cast(pa.int64())
    if not (kinds.is_integer(column.type) or kinds.is_string(column.type) or kinds.is_large_string(column.type)):
        raise WrongKind(f"it is of the type {column.type}")
    return kernels.utf8_trim_whitespace(column.cast(pa.string()).fill_null(""))


def words(column: Column) -> list[str]:
    """Anything that can be written, empty where there is nothing; the entries of a list are separated by `|`.

    Raises:
        WrongKind: the column holds something else.
    """
    try:
        if kinds.is_list(column.type) or kinds.is_large_list(column.type):
            column = kernels.binary_join(column.cast(pa.list_(pa.string())), "|")
        if kinds.is_floating(column.type):
            column = kernels.if_else(kernels.is_nan(column), None, column)
        return kernels.utf8_trim_whitespace(column.cast(pa.string()).fill_null("")).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise WrongKind(f"it is of the type {column.type}") from error


def numbers(column: Column) -> Numbers:
    """Numbers, written or of any numeric type. Infinities are sound here.

    Raises:
        WrongKind: the column holds neither text nor numbers.
    """
    if kinds.is_boolean(column.type):
        column = column.cast(pa.int8())
    if kinds.is_integer(column.type) or kinds.is_floating(column.type) or kinds.is_decimal(column.type):
        given = column.is_valid().to_numpy(zero_copy_only=False)
        return _numbers(column.cast(pa.float64(), safe=False), given, given)
    written = text(column)
    given = _flags(kernels.not_equal(written, ""))
    try:
        return _numbers(written.cast(pa.float64()), given, given)
    except pa.ArrowInvalid:  # it does not say which
        sound = kernels.match_substring_regex(written, NUMBER)
        bare = kernels.utf8_ltrim(kernels.if_else(sound, written, None), "+")
        return _numbers(bare.cast(pa.float64()), given, _flags(sound))


def moments(column: Column) -> Numbers:
    """Times as numbers that order them: numbers stay, dates of ISO 8601 become seconds since 1970.

    Raises:
        WrongKind: the column holds neither text nor numbers nor dates.
    """
    if kinds.is_date(column.type) or kinds.is_timestamp(column.type):
        given = column.is_valid().to_numpy(zero_copy_only=False)
        return _numbers(
            kernels.divide(column.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64()), 1e6), given, given
        )
    found = numbers(column)
    value, sound = found.value.copy(), found.sound.copy()
    odd = np.flatnonzero(found.given & ~found.sound)
    for row, written in zip(odd.tolist(), column.take(pa.array(odd)).to_pylist(), strict=True):
        try:
            moment = datetime.fromisoformat(written.strip())
            value[row] = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            sound[row] = True
        except (ValueError, OverflowError):
            continue
    return Numbers(value, found.given, sound)


def quoted(column: Column, row: int) -> str:
    """A cell as a message shows it."""
    whole = str(column[row].as_py())
    return repr(whole if len(whole) <= 40 else whole[:40] + "...")


def _numbers(column: Column, given: NDArray[np.bool_], sound: NDArray[np.bool_]) -> Numbers:
    return Numbers(column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False), given, sound)


def _flags(column: Column) -> NDArray[np.bool_]:
    return column.to_numpy(zero_copy_only=False).astype(np.bool_, copy=False)

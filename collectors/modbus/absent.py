"""Values that mean "there is none": a register map says 0xFFFF, 0x8000, NaN or a text of FF where nothing is measured.

    not_available = 65535                    the number as it is read, before scale and offset
    not_available = ["0x8000", "0x7FFF"]     the same by its bits, in the value's own order; as many digits as it has
    not_available = "nan"                    any NaN
    not_available = ["0xFF", "n/a"]          for a text: all of its bytes are this one; or just this text

Each element of an array is looked at by itself. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from collectors.modbus.formats import FORMATS
from collectors.settings import KeyReader
from protocol.content.array import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """What one tag's table says."""

    bits: tuple[bytes, ...] = ()
    """Whole values, most significant byte first."""
    filled: tuple[int, ...] = ()
    """Bytes that fill a text."""
    numbers: tuple[float | int, ...] = ()
    texts: tuple[str, ...] = ()
    nan: bool = False

    def among(self, raw: Array, values: Any) -> Array:
        """Which of the values are none.

        Args:
            raw: Their bytes, [n, bytes].
            values: What they were read as, a list of texts or an array.
        """
        none = np.zeros(len(raw), bool)
        for bits in self.bits:
            none |= (raw == np.frombuffer(bits, np.uint8)).all(axis=1)
        for byte in self.filled:
            none |= (raw == byte).all(axis=1)
        if isinstance(values, list):
            return np.asarray(none | np.array([text in self.texts for text in values], bool))
        values = values.astype(values.dtype.newbyteorder("="))
        if values.dtype.kind == "f":
            none |= np.isnan(values) if self.nan else False
            return np.asarray(none | np.isin(values, np.array(self.numbers, values.dtype)))
        whole = [int(number) for number in self.numbers if number == int(number)]
        held = [number for number in whole if _fits(number, values.dtype)]
        return np.asarray(none | np.isin(values, np.array(held, values.dtype)))


def absent(keys: KeyReader, given: object, kind: str, registers: int) -> Absent | None:
    """The key's value, its mistakes written down."""
    bits, filled, numbers, texts, nan = [], [], [], [], False
    form = FORMATS.get(kind)
    for one in given if isinstance(given, list | tuple) else [given]:
        if form is None or isinstance(one, bool):
            keys.wrong("not_available", f"{one!r} cannot stand for a {kind}", "take it out")
        elif isinstance(one, int | float) and form.out != "string":
            numbers.append(one)
        elif isinstance(one, str) and one.lower() == "nan" and "float" in form.out:
            nan = True
        elif isinstance(one, str) and one.lower().startswith("0x"):
            digits = one[2:].replace("_", "")
            try:
                data = bytes.fromhex(digits)
            except ValueError:
                data = b""
            if len(data) == 1 and form.out == "string":
                filled.append(data[0])
            elif len(data) == 2 * registers:
                bits.append(data)
            else:
                step = f"write {4 * registers} digits behind 0x"
                keys.wrong("not_available", f"{one!r} has not the bits of the value", step)
        elif isinstance(one, str) and form.out == "string":
            texts.append(one)
        else:
            step = 'write a number, "0xFFFF" or "nan"; several in square brackets'
            keys.wrong("not_available", f"{one!r} is no value of a {kind}", step)
    return Absent(bits=tuple(bits), filled=tuple(filled), numbers=tuple(numbers), texts=tuple(texts), nan=nan)


def _fits(number: int, dtype: Any) -> bool:
    info = np.iinfo(dtype)
    return int(info.min) <= number <= int(info.max)

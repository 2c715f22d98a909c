"""The engines of the erasure code: a matrix of bytes times rows of bytes, column by column, over GF(2**8).

    isal    Intel's ISA-L by ctypes: the copy inside pyeclib's wheel (extra `fast`), else the system's libisal.so.2
    numpy   packed tables: one look-up gives eight rows of the product at once; always there

Both give the same bytes; which one runs is a matter of speed alone (1 : 15 or so). An engine is taken only after it
has multiplied as `galois` does: all 65,536 pairs of bytes, and matrices of many shapes on widths below and above each
step of its kernels. The file name in the wheel is no promise of anybody's, the test is.

The library is called with the interpreter's lock held: a call takes some 15 us, and giving the lock away in the
receiving thread can take 5 ms to get back.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path

import numpy as np

from protocol.content.array import Array
from protocol.errors import ConfigError
from protocol.wire import galois

NAMES = ("isal", "numpy")
"""Names of the engines, fastest first: the order in which they are tried."""


class Product(ABC):
    """One matrix, made ready: target[targets] = matrix x source[sources], as often as wanted.

    For one thread at a time.
    """

    nbytes: int
    """Memory that it holds [bytes]."""

    @abstractmethod
    def apply(self, source: Array, target: Array) -> None:
        """Compute the target rows.

        Args:
            source: uint8, two-dimensional, contiguous; holds the source rows.
            target: Likewise, as wide; may be the same array.
        """


class Engine(ABC):
    """Makes a matrix ready for one way of multiplying; see the table above."""

    name: str

    @abstractmethod
    def prepare(self, matrix: Array, sources: Array, targets: Array) -> Product:
        """Make a matrix ready.

        Args:
            matrix: uint8, one row a target, one column a source.
            sources: Rows of the source array that it is multiplied with.
            targets: Rows of the target array that it gives.
        """


@cache
def engine(name: str | None = None) -> Engine:
    """The engine of this name, or the fastest one that passes its test; made and tested once in a process.

    Raises:
        ConfigError: no such engine, or it is not to be had here.
    """
    if name is not None and name not in NAMES:
        raise ConfigError(f'"{name}" is no erasure engine', hint=f"One of {', '.join(NAMES)}.")
    if name != "numpy":
        found = _find_isal()
        if found is not None:
            return found
        if name == "isal":
            raise ConfigError(
                "no ISA-L library passes its test here",
                hint="Install the extra: pip install 'checkvalve[fast]', or the system's libisal2.",
            )
    packed = PackedTables()
    if not works(packed):
        raise ConfigError("numpy's look-ups do not multiply as they should", hint="Reinstall numpy.")
    return packed


def works(candidate: Engine) -> bool:
    """It multiplies as the tables say: every pair of bytes, odd shapes, and widths around the kernels' steps."""
    every = np.arange(256, dtype=np.uint8)
    shapes = [(256, 1, 256), (2, 3, 17), (5, 4, 97), (9, 7, 130), (3, 64, 257)]
    shapes += [(4, 5, width) for width in (1, 2, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 129)]
    for rows, columns, width in shapes:
        step = np.arange(rows * columns + columns * width, dtype=np.uint64)
        mixed = (step * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(56)).astype(np.uint8)
        if rows == 256:  # all pairs
            mixed = np.concatenate([every, every])
        matrix = mixed[: rows * columns].reshape(rows, columns)
        source = mixed[rows * columns :].reshape(columns, width)
        target = np.full((rows + 1, width), 0xA5, np.uint8)
        candidate.prepare(matrix, np.arange(columns), np.arange(rows)).apply(source, target)
        if not np.array_equal(target[:rows], galois.multiply(matrix, source)) or (target[rows] != 0xA5).any():
            return False
    return True


class PackedTables(Engine):
    """Numpy alone: eight rows' products with one byte lie together in a table of uint64."""

    name = "numpy"

    def prepare(self, matrix: Array, sources: Array, targets: Array) -> Product:
        """Tables of 2 KiB for each source and each eight targets."""
        return _PackedProduct(matrix, sources, targets)


class _PackedProduct(Product):
    def __init__(self, matrix: Array, sources: Array, targets: Array) -> None:
        rows, columns = matrix.shape
        groups = -(-rows // 8)
        padded = np.zeros((groups * 8, columns), np.uint8)
        padded[:rows] = matrix
        split = galois.PRODUCT[padded].reshape(groups, 8, columns, 256)
        self._tables: Array = np.ascontiguousarray(split.transpose(2, 0, 3, 1)).view(np.uint64)[..., 0]
        self._sources, self._targets = sources.tolist(), targets
        self.nbytes = self._tables.nbytes

    def apply(self, source: Array, target: Array) -> None:
        width = source.shape[1]
        groups = self._tables.shape[1]
        sums = np.zeros((groups, width), np.uint64)
        looked = np.empty(width, np.uint64)
        for column, row in enumerate(self._sources):
            place = source[row].astype(np.intp)
            for group in range(groups):
                np.take(self._tables[column, group], place, out=looked, mode="clip")
                sums[group] ^= looked
        spread = sums.view(np.uint8).reshape(groups, width, 8).transpose(0, 2, 1).reshape(groups * 8, width)
        target[self._targets] = spread[: len(self._targets)]


class Isal(Engine):
    """ISA-L's `ec_encode_data`, which takes any matrix."""

    name = "isal"

    def __init__(self, path: str) -> None:
        """
        Args:
            path: The library's file, or its name for the loader.

        Raises:
            OSError: It cannot be loaded.
            AttributeError: It lacks a function.
        """
        library = ctypes.PyDLL(path)
        self.path = path
        self.encode = library.ec_encode_data
        self.encode.argtypes = [ctypes.c_int] * 3 + [ctypes.c_void_p] * 3
        self.encode.restype = None
        self._tables = library.ec_init_tables
        self._tables.argtypes = [ctypes.c_int] * 2 + [ctypes.c_void_p] * 2
        self._tables.restype = None

    def prepare(self, matrix: Array, sources: Array, targets: Array) -> Product:
        """Tables of 32 bytes for each member of the matrix."""
        rows, columns = matrix.shape
        plain = np.ascontiguousarray(matrix)
        tables = np.zeros(32 * rows * columns + 64, np.uint8)
        self._tables(columns, rows, plain.ctypes.data, tables.ctypes.data)
        return _IsalProduct(self, tables, sources, targets)


class _IsalProduct(Product):
    def __init__(self, isal: Isal, tables: Array, sources: Array, targets: Array) -> None:
        self._encode = isal.encode
        self._tables = tables
        self._index = np.concatenate([sources, targets]).astype(np.uint64)
        self._pointers = np.empty_like(self._index)
        self._from, self._to = self._pointers[: len(sources)], self._pointers[len(sources) :]
        self._counts = (len(sources), len(targets))
        self._addresses = (tables.ctypes.data, self._from.ctypes.data, self._to.ctypes.data)
        self.nbytes = tables.nbytes + 2 * self._index.nbytes

    def apply(self, source: Array, target: Array) -> None:
        width = source.shape[1]
        np.multiply(self._index, width, out=self._pointers)
        self._from += source.__array_interface__["data"][0]
        self._to += target.__array_interface__["data"][0]
        self._encode(width, *self._counts, *self._addresses)


@cache
def _find_isal() -> Isal | None:
    """The first library that loads and passes; wheels lie side by side, so pyeclib's is a neighbour of numpy's."""
    wheel = Path(np.__file__).parent.parent / "pyeclib.libs"
    for path in [*map(str, sorted(wheel.glob("libisal*"))), "libisal.so.2"]:
        try:
            isal = Isal(path)
        except (OSError, AttributeError):
            continue
        if works(isal):
            return isal
    return None

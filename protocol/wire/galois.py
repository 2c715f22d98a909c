"""Arithmetic in GF(2**8), and the matrix of the erasure code (SPEC.md, section 3.1).

A byte is a polynomial over GF(2). Adding is XOR; multiplying is modulo x**8 + x**4 + x**3 + x**2 + 1 (0x11d), in which
2 generates all 255 others, so a product is a sum of logarithms.

The code is reedsolo's: systematic Reed-Solomon with generator polynomial (x - 2**0)(x - 2**1) .. (x - 2**(m-1)). A
message of k bytes is a polynomial, its first byte the highest power, and its m check bytes are the remainder of
message * x**m. That is linear, so the check bytes are a matrix times the message, and the column of the message byte
that stands before x**j is x**(m+j) mod generator. It depends on j and m alone: the matrix of the longest code, of
k = 255 - m, ends in the matrix of every shorter one.

Any m bytes of the k + m may be lost: every square part of the matrix has an inverse (the code is MDS).
Pure arithmetic on small arrays; the engines do the same to whole shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from protocol.content.array import Array
from protocol.limits import CODE_SHARDS

POLYNOMIAL = 0x11D
"""The field's modulus; reedsolo's and ISA-L's default."""


def _tables() -> tuple[Array, Array, Array]:
    power = np.zeros(510, np.uint8)
    log = np.zeros(256, np.int64)
    value = 1
    for at in range(255):
        power[at] = value
        log[value] = at
        value = value << 1 ^ (POLYNOMIAL if value & 0x80 else 0)
    power[255:] = power[:255]
    product = np.zeros((256, 256), np.uint8)
    product[1:, 1:] = power[log[1:, None] + log[None, 1:]]
    inverse = np.zeros(256, np.uint8)
    inverse[1:] = power[255 - log[1:]]
    return power, product, inverse


POWER, PRODUCT, INVERSE = _tables()
"""2**i for i below 510; the product of any two bytes; the inverse of each but 0."""


def multiply(left: Array, right: Array) -> Array:
    """The product of two small matrices of bytes."""
    out: Array = np.bitwise_xor.reduce(PRODUCT[left[:, :, None], right[None, :, :]], axis=1)
    return out


def invert(matrix: Array) -> Array:
    """The inverse of a square matrix of bytes (Gauss and Jordan).

    Raises:
        ValueError: it has none; no part of a parity matrix is such a one.
    """
    size = len(matrix)
    work = np.concatenate([matrix, np.eye(size, dtype=np.uint8)], axis=1)
    for at in range(size):
        pivot = at + int(np.argmax(work[at:, at] != 0))
        if not work[pivot, at]:
            raise ValueError("a singular matrix")
        if pivot != at:
            work[[at, pivot]] = work[[pivot, at]]
        work[at] = PRODUCT[INVERSE[work[at, at]], work[at]]
        factor = work[:, at].copy()
        factor[at] = 0
        work ^= PRODUCT[factor[:, None], work[at][None, :]]
    return work[:, size:]


def parity(need: int, spare: int) -> Array:
    """The rows that make the spares: spare x need, spares = parity x data.

    Args:
        need: Data shards, 1 to 255 - spare.
        spare: Spare shards, 1 or more.
    """
    if not 0 < need <= CODE_SHARDS - spare:
        raise ValueError(f"{need} + {spare} shards; {CODE_SHARDS} is the most")
    return _longest(spare)[:, CODE_SHARDS - spare - need :]


@cache
def _longest(spare: int) -> Array:
    """The matrix for 255 - spare data shards, which ends in all others."""
    generator = np.ones(1, np.uint8)
    for at in range(spare):
        generator = np.append(generator, np.uint8(0)) ^ np.insert(PRODUCT[POWER[at], generator], 0, 0)
    tail = generator[1:]
    matrix = np.empty((spare, CODE_SHARDS - spare), np.uint8)
    remainder = tail.copy()
    for column in range(matrix.shape[1] - 1, -1, -1):
        matrix[:, column] = remainder
        leading = remainder[0]
        remainder[:-1] = remainder[1:]
        remainder[-1] = 0
        remainder ^= PRODUCT[leading, tail]
    matrix.setflags(write=False)
    return matrix


def solution(need: int, spare: int, lost: Sequence[int], used: Sequence[int]) -> Array:
    """The rows that bring lost data shards back from the others and as many spares.

    Only as many equations as shards are lost are solved: 8 of 64 take 0.09 ms, all 64 would take 1.9 ms (measured).

    Args:
        need: Data shards.
        spare: Spare shards.
        lost: Data shards that are missing, ascending.
        used: As many spares that are there, 0 the first.

    Returns:
        len(lost) x need; its columns are the data shards that are there, ascending, then the used spares.
    """
    rows = parity(need, spare)[list(used)]
    inverse = invert(rows[:, list(lost)])
    return np.concatenate([multiply(inverse, np.delete(rows, list(lost), axis=1)), inverse], axis=1)

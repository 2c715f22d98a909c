"""The gap code: which blocks are missing, short enough to be read over a telephone (SPEC.md, section 8).

Nothing comes back over the link, so a person carries what is missing: the low side prints a code, somebody reads it
out, and the high side sends those blocks again. It is bech32m (BIP 350) with the prefix `cv`, written in groups:

    CV1-3G05-GNJV-QN9D-H93      block 812 of stream 8a1f44..
    cv      prefix      part of the checksum, so that no other kind of bech32m passes
    1       separator   and the version of this form
    3g05g   check       the stream's first 3 bytes, then one bit that is 0
    njvq    ranges      of block numbers, rising: distance from the one before, how many follow
    n9dh93  checksum    any 4 wrong letters are noticed for certain, since no code is longer than 90

A letter holds 5 bits. Numbers are written in digits of 4 bits, highest first, the fifth bit on all letters but the
last. So a stretch in a stream that has run for a week takes 18 letters, and each further one near it 2 to 6.

Three bytes pick the stream: ids are random, so among 100 kept streams two share a check once in 3,400 plants, and then
both are sent, which costs time and nothing else. A code from another plant fits one of 100 streams once in 170,000.

Codes are made here; what a person typed is read in `gapread.py`. No I/O here and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocol.ranges import Ranges

CHECK_BYTES = 3
"""Bytes of a stream's id in the code: see above."""
LONGEST = 90
"""Most letters, prefix and checksum counted: up to here any four wrong ones are noticed (BIP 173)."""

LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"  # BIP 173
_PREFIX = "cv"
START = "cv1"
CHECKSUM, CONSTANT = 6, 0x2BC830A3  # BIP 350
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
MOST = 2**64
"""Block numbers are below this."""


def encode(stream: bytes, ranges: Iterable[tuple[int, int]]) -> str:
    """The code of some blocks of one stream.

    Args:
        stream: Its id, 8 bytes, or its check.
        ranges: Half-open ranges of block numbers, in any order; at least one.

    Raises:
        ValueError: no block, or more ranges than one code holds (`codes` takes as many as there are).
    """
    held = list(Ranges(ranges))
    found = codes(stream, held)
    if len(found) != 1:
        raise ValueError(f"{len(held)} ranges do not fit a code of {LONGEST} letters")
    return found[0][0]


def codes(stream: bytes, ranges: Iterable[tuple[int, int]]) -> list[tuple[str, int]]:
    """As many codes as it takes, each with whole ranges, and how many blocks each names.

    Args:
        stream: As in `encode`.
        ranges: As in `encode`; none gives no code.
    """
    room = LONGEST - len(START) - CHECKSUM
    out: list[tuple[str, int]] = []
    values, blocks, before = _head(stream), 0, -1
    for first, after in Ranges(ranges):
        one = _range(before, first, after)
        if len(values) + len(one) > room:
            out.append((_written(values), blocks))
            values, blocks, one = _head(stream), 0, _range(-1, first, after)
        values += one
        blocks += after - first
        before = after
    return [*out, (_written(values), blocks)] if before >= 0 else out


def _head(stream: bytes) -> list[int]:
    """The check: 24 bits and a 0 in five letters."""
    if len(stream) < CHECK_BYTES:
        raise ValueError(f"a stream of {len(stream)} bytes")
    bits = int.from_bytes(stream[:CHECK_BYTES], "big") << 1
    return [bits >> shift & 31 for shift in range(20, -1, -5)]


def _range(before: int, first: int, after: int) -> list[int]:
    """Distance from one past the end of the range before (ranges never touch), and how many follow the first."""
    if not before < first < after <= MOST:
        raise ValueError(f"range {first} to {after}")
    return _number(first - before - 1) + _number(after - first - 1)


def _number(value: int) -> list[int]:
    digits = [value & 15]
    while value := value >> 4:
        digits.append(value & 15 | 16)
    return digits[::-1]


def _written(values: list[int]) -> str:
    """With its checksum, in capitals, in groups of four."""
    rest = polymod([*values, *[0] * CHECKSUM]) ^ CONSTANT
    whole = values + [rest >> 5 * (5 - at) & 31 for at in range(CHECKSUM)]
    letters = "".join(LETTERS[value] for value in whole).upper()
    return "-".join([START.upper(), *(letters[at : at + 4] for at in range(0, len(letters), 4))])


def polymod(values: Iterable[int]) -> int:
    """The checksum over the prefix and these letters (BIP 173)."""
    out = 1
    for value in [*(ord(one) >> 5 for one in _PREFIX), 0, *(ord(one) & 31 for one in _PREFIX), *values]:
        top = out >> 25
        out = (out & 0x1FFFFFF) << 5 ^ value
        for at, generator in enumerate(_GENERATORS):
            if top >> at & 1:
                out ^= generator
    return out

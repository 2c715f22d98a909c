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

No I/O here and no clock. Case is ignored; so are spaces and dashes, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocol.errors import ConfigError
from protocol.ranges import Ranges

CHECK_BYTES = 3
"""Bytes of a stream's id in the code: see above."""
LONGEST = 90
"""Most letters, prefix and checksum counted: up to here any four wrong ones are noticed (BIP 173)."""

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"  # BIP 173
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)}
_PREFIX = "cv"
_START = "cv1"
_CHECKSUM, _CONSTANT = 6, 0x2BC830A3  # BIP 350
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_HINT = "read it again from the low side, letter by letter: `checkvalve gaps RECEIVER.toml` prints it"
_DASHES = frozenset("-_\u2010\u2011\u2012\u2013\u2014\u2212")
_CHECK_LETTERS = 5
_MOST = 2**64
"""Block numbers are below this."""


def check_of(stream: bytes) -> bytes:
    """What a code says of a stream: its first `CHECK_BYTES` bytes."""
    return stream[:CHECK_BYTES]


def encode(stream: bytes, ranges: Iterable[tuple[int, int]]) -> str:
    """The code of some blocks of one stream.

    Args:
        stream: Its id, 8 bytes, or its check.
        ranges: Half-open ranges of block numbers, in any order; at least one.

    Raises:
        ValueError: no block, or more ranges than one code holds (`codes` takes as many as there are).
    """
    held = list(Ranges(ranges))
    values = _head(stream)
    before = -1
    for first, after in held:
        values += _range(before, first, after)
        before = after
    if not held or len(_START) + len(values) + _CHECKSUM > LONGEST:
        raise ValueError(f"{len(held)} ranges do not fit a code of {LONGEST} letters")
    return _written(values)


def codes(stream: bytes, ranges: Iterable[tuple[int, int]]) -> list[str]:
    """As many codes as it takes, each with whole ranges.

    Args:
        stream: As in `encode`.
        ranges: As in `encode`; none gives no code.
    """
    room = LONGEST - len(_START) - _CHECKSUM
    out: list[str] = []
    values, before = _head(stream), -1
    for first, after in Ranges(ranges):
        one = _range(before, first, after)
        if len(values) + len(one) > room:
            out.append(_written(values))
            values, one = _head(stream), _range(-1, first, after)
        values += one
        before = after
    return [*out, _written(values)] if before >= 0 else out


def decode(text: str) -> tuple[bytes, list[tuple[int, int]]]:
    """What a code says.

    Args:
        text: As a person typed it.

    Returns:
        The stream's check and the ranges, rising, half-open.

    Raises:
        ConfigError: what is wrong with it, in words.
    """
    plain = "".join(one for one in text if not one.isspace() and one not in _DASHES).lower()
    if not plain.startswith(_START):
        raise ConfigError(f'"{text.strip()}" is no gap code: it does not begin with CV1', hint=_HINT)
    for at, letter in enumerate(plain[len(_START) :]):
        if letter not in _VALUES:
            raise ConfigError(f"gap code: {_where(at)} is {letter.upper()!r}, {_never(letter)}", hint=_HINT)
    if len(plain) < len(_START) + _CHECK_LETTERS + 2 + _CHECKSUM:
        raise ConfigError(f"gap code: only {len(plain)} letters; its end is missing", hint=_HINT)
    if len(plain) > LONGEST:
        raise ConfigError(
            f"gap code: {len(plain)} letters, {LONGEST} is the most; are these two codes?", hint="give them one by one"
        )
    values = [_VALUES[letter] for letter in plain[len(_START) :]]
    if _polymod(values) != _CONSTANT:
        raise ConfigError(
            "gap code: at least one letter is wrong, missing or too many (the checksum says so)", hint=_HINT
        )
    return _read(values[:-_CHECKSUM])


def _head(stream: bytes) -> list[int]:
    """The check: 24 bits and a 0 in five letters."""
    if len(stream) < CHECK_BYTES:
        raise ValueError(f"a stream of {len(stream)} bytes")
    bits = int.from_bytes(stream[:CHECK_BYTES], "big") << 1
    return [bits >> shift & 31 for shift in range(20, -1, -5)]


def _range(before: int, first: int, after: int) -> list[int]:
    """Distance from one past the end of the range before (ranges never touch), and how many follow the first."""
    if not before < first < after <= _MOST:
        raise ValueError(f"range {first} to {after}")
    return _number(first - before - 1) + _number(after - first - 1)


def _number(value: int) -> list[int]:
    digits = [value & 15]
    while value := value >> 4:
        digits.append(value & 15 | 16)
    return digits[::-1]


def _read(values: list[int]) -> tuple[bytes, list[tuple[int, int]]]:
    bits = 0
    for value in values[:_CHECK_LETTERS]:
        bits = bits << 5 | value
    numbers, number, fresh = list[int](), 0, True
    for value in values[_CHECK_LETTERS:]:
        if fresh and value == 16:
            raise _newer()  # a digit 0 in front: no code of ours writes it
        number = number << 4 | value & 15
        fresh = value < 16
        if fresh:
            numbers.append(number)
            number = 0
    if bits & 1 or not fresh or len(numbers) % 2:
        raise _newer()
    ranges, at = list[tuple[int, int]](), 0
    for distance, more in zip(numbers[::2], numbers[1::2], strict=True):
        first = at + distance
        ranges.append((first, first + more + 1))
        at = ranges[-1][1] + 1
    if ranges[-1][1] > _MOST:
        raise _newer()
    return (bits >> 1).to_bytes(CHECK_BYTES, "big"), ranges


def _newer() -> ConfigError:
    text = "gap code: typed rightly, but not of a form that this version reads"
    return ConfigError(text, hint="are both sides of the same version? `checkvalve --version`")


def _written(values: list[int]) -> str:
    """With its checksum, in capitals, in groups of four."""
    rest = _polymod([*values, *[0] * _CHECKSUM]) ^ _CONSTANT
    whole = values + [rest >> 5 * (5 - at) & 31 for at in range(_CHECKSUM)]
    letters = "".join(_LETTERS[value] for value in whole).upper()
    return "-".join([_START.upper(), *(letters[at : at + 4] for at in range(0, len(letters), 4))])


def _polymod(values: Iterable[int]) -> int:
    """The checksum over the prefix and these letters (BIP 173)."""
    out = 1
    for value in [*(ord(one) >> 5 for one in _PREFIX), 0, *(ord(one) & 31 for one in _PREFIX), *values]:
        top = out >> 25
        out = (out & 0x1FFFFFF) << 5 ^ value
        for at, generator in enumerate(_GENERATORS):
            if top >> at & 1:
                out ^= generator
    return out


def _where(at: int) -> str:
    return f"letter {at % 4 + 1} of group {at // 4 + 1} after CV1"


def _never(letter: str) -> str:
    near = {"o": "0 (zero)", "i": "L or 7", "1": "L or 7", "b": "8 or 6"}.get(letter)
    return "which no code holds" + (f"; is it {near}?" if near else "")

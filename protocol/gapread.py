"""What a person typed as a gap code, read; `gapcode.py` tells its form. No I/O here and no clock.

Case is ignored; so are spaces and dashes, wherever they stand. Every refusal says which letter, and what to do.
"""

from __future__ import annotations

from protocol.errors import ConfigError
from protocol.gapcode import CHECK_BYTES, CHECKSUM, CONSTANT, LETTERS, LONGEST, MOST, START, polymod

_VALUES = {letter: value for value, letter in enumerate(LETTERS)}
_HINT = "read it again from the low side, letter by letter: `checkvalve gaps RECEIVER.toml` prints it"
_DASHES = frozenset("-_\u2010\u2011\u2012\u2013\u2014\u2212")
CHECK_LETTERS = 5


def check_of(stream: bytes) -> bytes:
    """What a code says of a stream: its first `CHECK_BYTES` bytes."""
    return stream[:CHECK_BYTES]


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
    if not plain.startswith(START):
        raise ConfigError(f'"{text.strip()}" is no gap code: it does not begin with CV1', hint=_HINT)
    for at, letter in enumerate(plain[len(START) :]):
        if letter not in _VALUES:
            raise ConfigError(f"gap code: {_where(at)} is {letter.upper()!r}, {_never(letter)}", hint=_HINT)
    if len(plain) < len(START) + CHECK_LETTERS + 2 + CHECKSUM:
        raise ConfigError(f"gap code: only {len(plain)} letters; its end is missing", hint=_HINT)
    if len(plain) > LONGEST:
        raise ConfigError(
            f"gap code: {len(plain)} letters, {LONGEST} is the most; are these two codes?", hint="give them one by one"
        )
    values = [_VALUES[letter] for letter in plain[len(START) :]]
    if polymod(values) != CONSTANT:
        raise ConfigError(
            "gap code: at least one letter is wrong, missing or too many (the checksum says so)", hint=_HINT
        )
    return _read(values[:-CHECKSUM])


def _read(values: list[int]) -> tuple[bytes, list[tuple[int, int]]]:
    bits = 0
    for value in values[:CHECK_LETTERS]:
        bits = bits << 5 | value
    numbers, number, fresh = list[int](), 0, True
    for value in values[CHECK_LETTERS:]:
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
    if ranges[-1][1] > MOST:
        raise _newer()
    return (bits >> 1).to_bytes(CHECK_BYTES, "big"), ranges


def _newer() -> ConfigError:
    text = "gap code: typed rightly, but not of a form that this version reads"
    return ConfigError(text, hint="are both sides of the same version? `checkvalve --version`")


def _where(at: int) -> str:
    return f"letter {at % 4 + 1} of group {at // 4 + 1} after CV1"


def _never(letter: str) -> str:
    near = {"o": "0 (zero)", "i": "L or 7", "1": "L or 7", "b": "8 or 6"}.get(letter)
    return "which no code holds" + (f"; is it {near}?" if near else "")

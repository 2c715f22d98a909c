r"""A text that somebody else wrote, made safe to show: one line, letter for letter, and nothing happens but reading.

A PLC's names, units and values, the link's warnings, a planted file's name, a key that was pasted into a
configuration: a terminal obeys some of their characters, others hide, and others turn the line around.

    \x1b \x9b \x7f    ESC, C0, C1, DEL           a terminal obeys them
    \n \u2028        line and paragraph ends    would begin a line that we seem to have said
    \u202e \u200b    format characters (Cf)     turn the order of a line around, or cannot be seen
    \ud800 \ue000    lone surrogates, private use, unassigned, noncharacters: nobody knows how they look
    \u3164 \ufe0f    fillers and selectors      letters to Unicode, nothing to the eye
    \u0301           combining marks at the start of a text, and from the fifth on one letter

Each is written as its escape, as above. All else stays as it is: m³/h, µΩ, Ü, 漢字, Кириллица, the Arabic letters.

A backslash stays a backslash, so that a path or `ns=2;s=a\b` reads as it was written. The price: the four letters
`\x1b` and the one character look alike here; who must tell them apart takes `--json`, which carries the text itself.
The gain: what was made inert stays as it is when it is made so once more, so that every door may do it again.

Pure, and without any library. How it reaches a terminal: terminal.py.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

LINE = 8192
"""Most characters of a line: 80 lines of a terminal; what is ours is far shorter."""

CELL = 80
"""Most characters of a text that stands in a table or beside others: two such fit into a wide terminal."""

MARKS = 4
"""Most combining marks on a letter: written Vietnamese needs 2, pointed Hebrew 3; more climb into other lines."""

_FORBIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""General categories that are escaped (Unicode 15, 4.5)."""

_UNSEEN = frozenset(
    chr(code)
    for first, last in (
        *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x3164, 0x3164)),
        *((0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF)),
    )
    for code in range(first, last + 1)
)
"""Neither forbidden by their category nor seen (DerivedCoreProperties.txt, Default_Ignorable_Code_Point)."""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def inert(text: str, most: int | None = LINE) -> str:
    """The text as one line that is safe on any terminal, in a log, and in a comment.

    Args:
        text: Anything.
        most: Most characters of the result, at least 40; what is longer loses its middle and tells its length.
            None: all of it.
    """
    if most is None or len(text) <= most:
        if text.isascii() and text.isprintable():
            return text
        whole = "".join(spelled(text, _escape))
        if most is None or len(whole) <= most:
            return whole
    said = f"..({len(text):,} characters).."
    room = (most - len(said)) // 2
    head = _fitting(list(spelled(text[:room], _escape)), room)
    tail = _fitting(list(spelled(text[-room:], _escape))[::-1], room)
    return "".join((*head, said, *tail[::-1]))


def spelled(text: str, escape: Callable[[str], str]) -> Iterator[str]:
    """Letter by letter: itself where it may be shown, else what `escape` makes of it.

    Args:
        escape: Takes one character.
    """
    marks = MARKS  # a mark needs a letter to stand on: not the start, and not an escape
    for letter in text:
        if letter.isascii():
            hidden, marks = not letter.isprintable(), 0
        else:
            category = unicodedata.category(letter)
            marks = marks + 1 if category in ("Mn", "Me") else 0
            hidden = category in _FORBIDDEN or letter in _UNSEEN or marks > MARKS
        if hidden:
            marks = MARKS
        yield escape(letter) if hidden else letter


def lines(text: str, most: int | None = LINE) -> list[str]:
    """A text of several lines that is our own, each of them inert: what stands in one cannot end it.

    Args:
        most: Most characters of a line; None: all of them.
    """
    return [inert(line, most) for line in text.split("\n")]


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON in ASCII, with the texts themselves: every other character is a JSON escape, DEL too.

    Args:
        value: Plain JSON.
        indent: As `json.dumps` takes it.
    """
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")


def _escape(letter: str) -> str:
    """As Python writes it in a text, so that the escape names its number."""
    if letter in _SHORT:
        return _SHORT[letter]
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _fitting(letters: list[str], room: int) -> list[str]:
    """As many of these letters, from the first on, as take no more than `room` characters."""
    taken = 0
    for count, letter in enumerate(letters):
        taken += len(letter)
        if taken > room:
            return letters[:count]
    return letters

"""The short way for what nearly every frame is: one of some forms whose few telling bytes stand at known places.

Of a frame of such a form a handful of fields decide about row and direction. They are cut out as words of eight bytes,
all other bits made zero, and frames are counted by these words at once. Only one frame of each kind then becomes a row,
by the long way of `frames.py`, which stays the one reader of headers: the short way knows which bytes matter, not what
they mean. Frames of no form here (IP options, fragments, two tags, too little kept) take the long way each.

A form is told byte by byte: two digits must be so, `k` is kept, `.` means nothing, `*` repeats; `00&3f` looks at some
bits alone. Not a byte of a frame but told by it: whether more was kept behind an IPv4 packet than it has, and whether a
datagram begins as the link's do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audit.capture.frames import excess
from audit.capture.known_kinds import Words
from audit.capture.records import HEAD_BYTES, LINK_BYTES, Bytes, Numbers
from protocol.wire.frame import MAGIC

Mask: TypeAlias = npt.NDArray[np.bool_]

LINK_WORDS = LINK_BYTES // 8
WORDS = HEAD_BYTES // 8 + 1
"""Words of a frame of any other form; the last one says which form, and what the caller adds."""


@dataclass(frozen=True, slots=True)
class FrameForm:
    """One form, as masks of words."""

    least: int
    """Bytes of a frame that have to be kept for it."""
    tests: tuple[tuple[int, np.uint64, np.uint64], ...]
    """Word, mask, value: what must be so."""
    keep: Words
    """A mask for each word: what is kept of it."""
    network: int = 0
    """Where its IPv4 header begins; 0: it has none."""
    payload: int = 0
    """Where its payload begins, of UDP over IPv4: how it begins is told; without a length all behind is too much."""


def _form(text: str, words: int, network: int = 0, payload: int = 0) -> FrameForm:
    tests, values, keep = (np.zeros(8 * words, np.uint8) for _ in range(3))
    place = 0
    for token in text.split():
        one, _, times = token.partition("*")
        one, _, bits = one.partition("&")
        for _ in range(int(times or 1)):
            if one == "k":
                keep[place] = 0xFF
            elif one != ".":
                tests[place], values[place] = int(bits or "ff", 16), int(one, 16)
            place += 1
    checked = tests.view(np.uint64), values.view(np.uint64)
    return FrameForm(
        least=payload + len(MAGIC) if payload else place,
        tests=tuple((index, mask, checked[1][index]) for index, mask in enumerate(checked[0]) if mask),
        keep=keep.view(np.uint64) | checked[0],  # what must be so is kept: equal words are of one form
        network=network,
        payload=payload,
    )


def _ip4(protocol: str, telling: str) -> str:
    """IPv4 without options, no fragment; `telling` is what counts of time to live, and behind the addresses."""
    hops, _, behind = telling.partition(" ")
    return f"08 00 45 .*5 00&3f 00 {hops} {protocol} .*2 k*8 {behind}"


_CARDS = "k*12 "
LINK = _form(_CARDS + _ip4("11", "k k*4"), LINK_WORDS, 14, 42)
"""The link's own form, which is looked for by itself and first: Ethernet, no tag, IPv4 without options, whole, UDP."""
FORMS = (
    _form(_CARDS + _ip4("06", ". k*4"), WORDS, 14),
    _form(_CARDS + _ip4("01", ". k*2"), WORDS, 14),
    _form(_CARDS + "81 00 .*2 " + _ip4("11", "k k*4"), WORDS, 18, 46),
    _form(_CARDS + "81 00 .*2 " + _ip4("06", ". k*4"), WORDS, 18),
    _form(_CARDS + "81 00 .*2 " + _ip4("01", ". k*2"), WORDS, 18),
    _form(_CARDS + "86 dd 60&f0 .*5 11 .*33 k*4", WORDS),
    _form(_CARDS + "86 dd 60&f0 .*5 06 .*33 k*4", WORDS),
    _form(_CARDS + "86 dd 60&f0 .*5 3a .*33 k*2", WORDS),
    _form(_CARDS + "08 06 .*7 k", WORDS),  # ARP, and its operation
    *(_form(_CARDS + kind, WORDS) for kind in ("88 cc", "88 92", "88 b8", "88 ba")),
    _form(_CARDS + "00 00&80 k", WORDS),  # a length up to 127, and LLC's service point, as STP has it
)
"""The other forms: TCP, ICMP, each of them tagged, over IPv6, ARP, and types of which nothing more is told. A frame is
of one of them at most.
"""
_BEGINS = int.from_bytes(MAGIC, "big")


def link_words(heads: Bytes, kept: Numbers, mark: Words) -> Words:
    """The words of frames as if all were of the link's form: a column each.

    Args:
        heads: The first LINK_BYTES of Ethernet frames, a row each.
        kept: Bytes kept of each.
        mark: What else keeps frames apart, a number below 2**32 each.
    """
    columns = np.array(heads.view(np.uint64).T, order="C")  # of one frame too a copy, which is written to
    columns &= LINK.keep[:, None]
    columns[5] = _told(heads, kept, LINK, slice(None)) | mark << np.uint64(8)
    return columns


def of_link(columns: Words, kept: Numbers) -> Mask:
    """Which frames are of the link's form, by their words."""
    out = kept >= LINK.least
    for index, mask, value in LINK.tests:
        out &= (columns[index] & mask) == value
    return out


def other_words(heads: Bytes, kept: Numbers, mark: Words) -> tuple[Mask, Words]:
    """Which frames are of one of the other forms, and the words of each.

    Args:
        heads: The first HEAD_BYTES, as above.
        kept, mark: As above.
    """
    columns = np.zeros((WORDS, len(heads)), np.uint64)
    raw = np.ascontiguousarray(heads.view(np.uint64).reshape(-1, WORDS - 1).T)
    left = np.ones(len(heads), np.bool_)
    for number, form in enumerate(FORMS):
        here = left & (kept >= form.least)
        for index, mask, value in form.tests:
            here &= (raw[index] & mask) == value
        (some,) = here.nonzero()
        if not len(some):
            continue
        left[some] = False
        columns[:-1, some] = raw[:, some] & form.keep[:-1, None]
        own = mark if len(mark) == 1 else mark[some]
        told = _told(heads, kept[some], form, some)
        columns[-1, some] = told | own << np.uint64(8) | np.uint64((number + 1) << 40)
    return ~left, columns


def _told(heads: Bytes, kept: Numbers, form: FrameForm, some: Numbers | slice) -> Words:
    """1: the payload begins as the link's do; 2: more was kept than the packet has."""
    out = np.zeros(len(kept), np.uint64)
    if not form.network:
        return out
    pairs = heads.view(np.dtype(np.uint16).newbyteorder(">"))
    length = pairs[some, form.network // 2 + 1].astype(np.int64)
    more = excess(kept, form.network, length)
    if form.payload:
        out |= pairs[some, form.payload // 2] == _BEGINS  # the link's magic has two bytes
    else:
        more &= length > 0
    if np.count_nonzero(more):
        out |= more.astype(np.uint64) << np.uint64(1)
    return out

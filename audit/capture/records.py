"""What the readers of both capture formats fill: interfaces, frames as arrays, how far the walk came.

Frames are told in the order of the file, `CHUNK` at a time, by where their bytes stand in it; `window` cuts the same
bytes out of each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Bytes: TypeAlias = npt.NDArray[np.uint8]
Numbers: TypeAlias = npt.NDArray[np.int64]
Order: TypeAlias = Literal["<", ">"]
"""Byte order as struct and numpy write it: little, big."""

UNTOLD, IN, OUT = 0, 1, 2
"""What a file says of a frame's way: nothing, received by the capturing machine, sent by it."""
MOST_PLACES = 1000
"""Most places with an impossible length that a walk steps over; then it ends."""

CHUNK = 16_384
"""Frames handled at once: their heads fill 1.5 MB, which stays in a processor's cache."""
MOST_BYTES = 262_144
"""Longest record believed [bytes]: libpcap's own bound (MAXIMUM_SNAPLEN)."""
LINK_BYTES = 48
"""Of a frame of the link this much tells all that is asked: up to its payload's first bytes."""
HEAD_BYTES = 96
"""Of each frame this much is looked at: Ethernet, two VLAN tags, the longest IPv4 header, ports [bytes]."""


@dataclass(slots=True, kw_only=True)
class CaptureInterface:
    """One interface of a capture."""

    link: int
    """Link type: 1 Ethernet, 0 null, 101 raw IP, 113 and 276 Linux cooked; others are counted, not read."""
    name: str = ""
    filter: str = ""
    """The capture's own filter, where the file tells it: what it left out was never seen."""
    units: int = 6
    """Fraction digits of a second, or its bits with 128 added (if_tsresol)."""
    offset_s: int = 0
    """Added to every time [s] (if_tsoffset)."""
    description: str = ""
    dropped: int | None = None
    """Frames that the capture itself lost; None: the file does not say."""
    place: int = 0
    """Which of its section's interfaces it is."""

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """What tells it from others: joined captures describe an interface again, as the same one of their section."""
        return self.name, self.filter, self.description, self.place


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Some frames in the order of the file; one entry a frame in each array."""

    number: Numbers
    """From 1, as tshark's frame.number counts; rising."""
    at: Numbers
    """Where its bytes begin in the file."""
    kept: Numbers
    """Bytes kept in the file."""
    length: Numbers
    """Bytes on the wire."""
    time_ns: Numbers
    """As recorded [ns since 1970 UTC]; 0 in pcapng's simple blocks, which have none."""
    interface: Numbers
    """Index into `Capture.interfaces`."""
    way: Bytes
    """What the file itself says of each frame's way (pcapng): UNTOLD, IN, OUT of the capturing machine."""
    heads: Bytes | None = None
    """The first LINK_BYTES of each, a row a frame, where they were read with its header."""


@dataclass(slots=True, kw_only=True)
class CaptureWalk:
    """How far a walk came, and what it had to step over."""

    at: int = 0
    """First byte not read as a record."""
    damage: str = ""
    """The first length that cannot be true; empty: there is none, or a tail is cut."""
    places: int = 0
    """How many such places there are; behind each the walk goes on where records can be told again."""
    unread: int = 0
    """Bytes between such places and where it went on."""
    behind: int | None = None
    """Number of the first frame behind the first such place; None: none was found."""
    skipped: dict[int, int] = field(default_factory=dict)
    """Blocks that hold no frame, by type (pcapng)."""
    strange: dict[int, int] = field(default_factory=dict)
    """Of those, and of descriptions and statistics, what does not hold what its type says (pcapng)."""
    impossible_times: int = 0
    """Frames whose fraction of a second is a whole one or more (pcap); their time is read as it stands."""
    clipped: int = 0
    """Frames that claim more bytes than their own block has (pcapng); they are read as far as it goes."""
    drops: int = 0
    """Frames that single packets say were lost before them (pcapng)."""
    back_ns: int = 0
    """Farthest that a frame's time lies before that of the frame in front of it [ns]."""


def window(data: Bytes, at: Numbers, width: int) -> Bytes:
    """`width` bytes from each place, as rows; zeros behind the end of the file.

    Args:
        data: The file.
        at: Places in it, none negative.
        width: Bytes a row.
    """
    last = data.size - width
    if last < 0:
        data = np.concatenate([data, np.zeros(width, np.uint8)])
        return window(data, np.minimum(at, data.size - width), width)
    every = np.ndarray((last + 1,), np.dtype((np.void, width)), buffer=data, strides=(1,))
    rows: Bytes = every[np.minimum(at, last)].view(np.uint8).reshape(-1, width)
    for index in np.flatnonzero(at > last):
        tail = data[at[index] :]
        rows[index, : tail.size] = tail
        rows[index, tail.size :] = 0
    return rows

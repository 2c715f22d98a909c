"""The short way for what nearly every frame of a link is: Ethernet, no tag, IPv4 without options, whole, UDP.

Of such frames twelve fields decide about row and direction; they are cut out of six words of eight bytes, and frames
are counted by these words at once. Only one frame of each kind then becomes a row, by the long way of `frames.py`,
which stays the one reader of headers: the short way knows which bytes matter, not what they mean.

    word  bytes    kept of it
    0      0- 7    target, source's first two
    1      8-15    source's last four, EtherType, version and header length
    2     16-23    fragment, time to live, protocol; excess in place of the length
    3     24-31    addresses
    4     32-39    addresses, ports
    5     40-47    whether the payload begins as the link's frames do; and the caller's own mark of the frame
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audit.capture.frames import EXCESS
from audit.capture.records import Bytes, Numbers
from protocol.wire.frame import MAGIC

WORDS = 6
SHORT_BYTES = 8 * WORDS
"""Bytes of a frame that the short way looks at; a frame of which fewer were kept takes the long one."""
Words: TypeAlias = npt.NDArray[np.uint64]


def _word(text: str) -> np.uint64:
    return np.uint64(np.frombuffer(bytes.fromhex(text), np.uint64)[0])


_MASKS = tuple(
    _word(one)
    for one in (
        "ffffffffffffffff",
        "ffffffffffffff00",
        "000000003fffffff",
        "0000ffffffffffff",
        "ffffffffffff0000",
        "0000ffff00000000",
    )
)
_IS = (
    (1, _word("00000000ffffff00"), _word("0000000008004500")),
    (2, _word("000000003fff00ff"), _word("0000000000000011")),
)
"""Word, mask and value: IPv4 with a header of 20 bytes; no fragment, UDP."""
_EXCESS = _word("0100000000000000")
_BEGINS = _word("0000" + MAGIC.hex() + "00000000")


def words(heads: Bytes, kept: Numbers, mark: Words) -> tuple[npt.NDArray[np.bool_], Words]:
    """Which frames are plain, and the words of each.

    Args:
        heads: The first SHORT_BYTES of Ethernet frames, a row each, one behind the other in memory.
        kept: Bytes kept of each.
        mark: What else keeps frames apart, a number below 2**32 each.

    Returns:
        A mask, and words of all of them, a column a word; those of the others mean nothing.
    """
    raw = heads.view(np.uint64).reshape(-1, WORDS)
    plain = kept >= SHORT_BYTES
    for index, mask, value in _IS:
        plain &= (raw[:, index] & mask) == value
    out = np.empty((WORDS, len(raw)), np.uint64)
    for index, mask in enumerate(_MASKS):
        np.bitwise_and(raw[:, index], mask, out=out[index])
    np.equal(out[5], _BEGINS, out=out[5], casting="unsafe")
    out[5] |= mark << np.uint64(8)
    length = heads[:, 16].astype(np.int64) << 8 | heads[:, 17]
    excess = kept > 14 + np.maximum(length, 20) + EXCESS
    if excess.any():
        out[2, excess] |= _EXCESS
    return plain, out

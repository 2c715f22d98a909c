"""A link session: the period of one link key. The emitter opens one at its start and every hour.

LINK says the key to each receiver, three times before the first frame that uses it and then every second, so that a
receiver that starts late has it within a second. Nothing comes back, so nothing is negotiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol.keys import PrivateKey, PublicKey
from protocol.wire.announce import make_link
from protocol.wire.beat import Beat, BeatTag
from protocol.wire.frame import ProbeTag, ShardTag
from sender.geometry import Geometry

PERIOD = 3600.0
"""Longest life of a link key [s]."""
STEPS = 1 << 16
"""Step numbers of a session: the field has 16 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTerms:
    """What an emitter is given of its link, and of the machine that it runs on."""

    mtu: int
    """Largest IP packet of the interface [bytes]."""
    spread_s: float
    """Pause between two portions of a block [s], see interleave.py."""
    repeat: tuple[float, ...]
    """Times of the repeats after a first sending, rising [s]."""
    geometry: Geometry
    """For blocks whose shards do not fit the mtu any more; its rate is the link's."""
    signer: PrivateKey
    """The link-sign key."""
    receivers: Sequence[PublicKey]
    """catch keys."""
    boot: int
    """This start's counter, above all before it."""
    entropy: Callable[[int], bytes]
    """So many random bytes."""
    wall: Callable[[], int]
    """Wall time [ns since 1970 UTC]."""
    synced: Callable[[], int]
    """Whether that clock is synchronised: 1, 0, or 2 for unknown."""


class LinkSession:
    """Key, tags and totals of one session."""

    def __init__(self, link: LinkTerms, counter: int, now: float) -> None:
        """
        Args:
            link: Whose session it is.
            counter: Which session of this boot, from 0.
            now: Monotonic time [s].
        """
        key = link.entropy(32)
        self.number = int.from_bytes(link.entropy(4), "big")
        self.ends_at = now + PERIOD
        self.frames = 0
        """Frames sent in this session."""
        self.bytes = 0
        """Their UDP payload [bytes]."""
        self.links = [make_link(self.number, link.boot, counter, key, one, link.signer) for one in link.receivers]
        """LINK, a receiver each."""
        self.probe = ProbeTag(key, self.number)
        """Makes the frames of a `linktest`."""
        self.steps = 0
        """Numbers of its steps that were used."""
        self._key = key
        self._beat = BeatTag(key, self.number)
        self._shards: dict[bytes, ShardTag] = {}

    def lasts(self, seconds: float, steps: int, now: float) -> bool:
        """Whether it lives so long [s] and has so many step numbers left."""
        return now + seconds <= self.ends_at and self.steps + steps <= STEPS

    def shards(self, stream: bytes) -> ShardTag:
        """The tag maker of a stream in this session."""
        tag = self._shards.get(stream)
        if tag is None:
            tag = self._shards[stream] = ShardTag(self._key, self.number, stream)
        return tag

    def beat(self, beat: Beat) -> bytes:
        """A BEAT frame."""
        return self._beat.frame(beat)

    def reserve_steps(self, count: int) -> int:
        """The first of so many step numbers, which are used from now on; `STEPS` is the most of a session."""
        first, self.steps = self.steps, self.steps + count
        return first

    def sent(self, frames: int, size: int) -> None:
        """Count what left."""
        self.frames += frames
        self.bytes += size

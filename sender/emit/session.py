"""A link session: the period of one link key. The emitter opens one at its start and every hour.

LINK says the key to each receiver, three times before the first frame that uses it and then every second, so that a
receiver that starts late has it within a second. Nothing comes back, so nothing is negotiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from protocol.keys import PrivateKey, PublicKey
from protocol.wire.announce import make_link
from protocol.wire.beat import Beat, BeatTag
from protocol.wire.frame import ProbeTag, ShardTag

PERIOD = 3600.0
"""Longest life of a link key [s]."""
LINK_PERIOD = 1.0
"""A LINK leaves this often [s]."""
FIRST_LINKS = 3
"""LINKs before the first frame of a session: at 5 % loss all three are lost once in 8,000 starts."""
STEPS = 1 << 16
"""Step numbers of a session: the field has 16 bits."""


class LinkSession:
    """Key, tags and totals of one session."""

    def __init__(
        self,
        *,
        boot: int,
        counter: int,
        now: float,
        entropy: Callable[[int], bytes],
        signer: PrivateKey,
        receivers: Sequence[PublicKey],
    ) -> None:
        """
        Args:
            boot: emit's start counter.
            counter: Which session of this boot, from 0.
            entropy: `n` random bytes.
            signer: The link-sign key.
            receivers: catch keys.
        """
        key = entropy(32)
        self.number = int.from_bytes(entropy(4), "big")
        self.ends_at = now + PERIOD
        self.frames = 0
        """Frames sent in this session."""
        self.bytes = 0
        """Their UDP payload [bytes]."""
        self.links = [make_link(self.number, boot, counter, key, receiver, signer) for receiver in receivers]
        self.probe = ProbeTag(key, self.number)
        """Makes the frames of a `linktest`."""
        self.steps = 0
        """Numbers of its steps that were used."""
        self._key = key
        self._beat = BeatTag(key, self.number)
        self._shards: dict[bytes, ShardTag] = {}

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

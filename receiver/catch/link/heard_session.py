"""One link session on the low side: its tags, and what was received of it beside what was sent. Pure.

The loss of the link is told from two counts: frames that a beat says were sent, and frames that came. Nothing may make
it look smaller but frames that the sender sent just now, for whoever can record a wire can also play it:

    a shard      counts once a sending (stream, number, copy); what came of the last ones is remembered, a bit a shard.
                 Copies that are sent again as they are (the carousel's, what a gap code named) count each time
    a LINK       counts as often as the sender says it: four at once, then one a second
    a BEAT       counts above its floor alone
    a PROBE      counts once
    old session  counts no more: nothing of it is compared with anything
    a beat       closes the books: no more frames count between two beats than were sent between them, and beyond these
                 only those that were late for the beat before

So a recording can hide loss only while it is played, only with frames older than what is remembered, and never below
what the sender sent in that second. That it is played shows as `again`.
"""

from __future__ import annotations

from protocol.wire.beat import BeatTag
from protocol.wire.frame import ProbeTag, ShardTag
from receiver.catch.store.floors import Order

SENDINGS = 1 << 15
"""Sendings of which the shards that came are remembered, twice: 65,536 take 14 MB; 30 a second are half an hour."""
REPEATED = 254
"""Copies from here on are sent again as they are (SPEC.md, 3.1)."""
LINKS_AT_ONCE = 4.0
"""LINKs that may come together: three begin a session, and one may be early; then it is one a second."""


class HeardSession:
    """A link session as it is heard here."""

    def __init__(self, number: int, key: bytes) -> None:
        """
        Args:
            number: Its number in the frames.
            key: The link key, 32 bytes.
        """
        self.number = number
        self.tags: dict[bytes, ShardTag] = {}
        """By stream; only of streams of which an authentic frame came."""
        self.beat = BeatTag(key, number)
        self.probe = ProbeTag(key, number)
        self.current = True
        """No newer one is known; else nothing of it is counted."""
        self.received = 0
        """Authentic frames received, each as often as it was sent."""
        self.again = 0
        """Authentic frames that came more often than they were sent."""
        self.sent = 0
        """Frames sent, as the last beat said; 0 before one came."""
        self.loss = 0.0
        """Part of the frames lost between the last two beats, 0 to 1."""
        self.compared: Order = (0, 0)
        """(sent, received) between the first and the last beat: what the loss in all is counted from."""
        self._key = key
        self._books: Order | None = None
        self._late = 0
        self._young: dict[tuple[bytes, int, int], int] = {}
        self._old: dict[tuple[bytes, int, int], int] = {}
        self._links: dict[bytes, tuple[float, float]] = {}

    def tag_for(self, stream: bytes) -> ShardTag:
        """The tag of a stream that is not in `tags` yet."""
        return ShardTag(self._key, self.number, stream)

    def same_key(self, key: bytes) -> bool:
        """Whether it is this session's key."""
        return key == self._key

    def retire(self) -> None:
        """A newer session was opened: nothing of this one is counted from now on."""
        self.current = False
        self._young, self._old = {}, {}

    def count(self, stream: bytes, number: int, copy: int, bits: int) -> None:
        """Authentic shards of one sending came.

        Args:
            stream: The block's.
            number: The block's.
            copy: Which sending of it, as the frames say.
            bits: Which shards, bit i for index i.
        """
        if not self.current:
            return
        if copy >= REPEATED:
            self.received += bits.bit_count()
            return
        key = (stream, number, copy)
        seen = self._young.get(key)
        if seen is None:
            seen = self._old.get(key, 0)
            if len(self._young) >= SENDINGS:
                self._old, self._young = self._young, {}
        fresh = bits & ~seen
        self._young[key] = seen | bits
        self.received += fresh.bit_count()
        self.again += (bits & seen).bit_count()

    def count_one(self) -> None:
        """An authentic frame came that can come no second time."""
        if self.current:
            self.received += 1

    def count_link(self, receiver: bytes, now: float) -> bool:
        """A LINK of this session came; False where it comes more often than it is said.

        Args:
            receiver: Id of the key that it is for: each is said by itself.
            now: Monotonic time [s].
        """
        room, at = self._links.get(receiver, (LINKS_AT_ONCE, now))
        room = min(LINKS_AT_ONCE, room + now - at)
        said = room >= 1.0
        self._links[receiver] = (room - said, now)
        self.received += said
        self.again += not said
        return said

    def hear(self, sent: int) -> None:
        """Compare with the totals of a beat that was counted as received already."""
        now = (sent, self.received)
        if self._books is not None and sent > self._books[0]:
            out, came = sent - self._books[0], self.received - self._books[1]
            taken = min(came, out + self._late)
            self.again += came - taken
            self._late = out - max(0, taken - self._late)  # what came fills what was late before, then its own time
            self.loss = loss(out, taken)
            self.compared = (self.compared[0] + out, self.compared[1] + taken)
        self._books = now
        self.sent = sent


def loss(sent: int, received: int) -> float:
    """Part lost, 0 to 1."""
    return min(1.0, max(0.0, 1 - received / sent)) if sent > 0 else 0.0

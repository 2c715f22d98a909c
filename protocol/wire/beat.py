"""BEAT: once a second the sender states its totals, so that the receiver can count without asking (SPEC.md, 3.3).

 0   8   as every frame
 8   8   boot     as in LINK
16   8   counter  beats of this boot, from 0
24   8   wall     the sender's clock [ns since 1970 UTC], signed; information, never order
32   1   synced   1: that clock is synchronised (adjtimex), 0: it is not, 2: not known
33   ..  msgpack map, see `Beat`
 ..  16  tag      keyed BLAKE2b-128 over all before it (no nonce: a beat may be the only frame of an hour)
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Any

import msgpack

from protocol.errors import FrameError, Reason
from protocol.keys import derive
from protocol.limits import WIRE_VERSION
from protocol.plain import plain
from protocol.wire.frame import MAGIC, TAG_BYTES, FrameKind

_HEAD = struct.Struct(">2sBBIQQqB")
WAITING_RANGES = 4
"""Most ranges of waiting blocks in a beat, a stream; nearest ones are joined (a frame must hold eight streams)."""
STREAMS = 8
"""Most streams in one beat: the newest; older ones take turns in the last place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTotals:
    """What the sender says of one stream it keeps."""

    stream: bytes
    oldest: int
    """Oldest number that was sent and is still kept; numbers below can never come again."""
    sealed: int
    """Numbers below this exist."""
    finished: int
    """Numbers below this have had their first sending, spares included, except those in `waiting`."""
    waiting: tuple[tuple[int, int], ...] = ()
    """Half-open ranges below `finished` whose first sending is still to come, at most `WAITING_RANGES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One statement of the sender: where its clock, its streams, its frames and its spool stand."""

    session: int
    boot: int
    counter: int
    wall_ns: int
    synced: int
    streams: tuple[StreamTotals, ...]
    frames: int
    """Frames sent in this session, this beat included."""
    bytes: int
    """Bytes of those frames, UDP payload [bytes]."""
    backlog_s: float = 0.0
    """How long what waits will take at the present rate [s]."""
    repeats: tuple[float, ...] = ()
    """When whole blocks are sent again, after their first sending [s]."""
    spool: dict[str, Any] | None = None
    """State of the spool: `bytes`, `keep_s`, `dropped`, `full`."""

    @property
    def order(self) -> tuple[int, int]:
        """(boot, counter): what the BEAT floor compares."""
        return self.boot, self.counter


class BeatTag:
    """Makes and reads the beats of one session."""

    def __init__(self, link_key: bytes, session: int) -> None:
        self.session = session
        self._key = derive(link_key, "beat", struct.pack(">I", session))

    def frame(self, beat: Beat) -> bytes:
        """The datagram that states this beat, its tag at the end."""
        head = _HEAD.pack(
            MAGIC, WIRE_VERSION, FrameKind.BEAT, self.session, beat.boot, beat.counter, beat.wall_ns, beat.synced
        )
        rest = {
            "s": [[s.stream, s.oldest, s.sealed, s.finished, [list(r) for r in s.waiting]] for s in beat.streams],
            "f": beat.frames,
            "b": beat.bytes,
            "l": beat.backlog_s,
            "r": list(beat.repeats),
            "d": beat.spool or {},
        }
        bare: bytes = head + msgpack.packb(rest)
        return bare + self._tag(bare)

    def read(self, datagram: bytes) -> Beat:
        """A beat whose tag is right.

        Raises:
            FrameError: SHORT, TAG or BODY.
        """
        if len(datagram) < _HEAD.size + TAG_BYTES + 1:
            raise FrameError(Reason.SHORT, size=len(datagram))
        bare = datagram[:-TAG_BYTES]
        if not hmac.compare_digest(self._tag(bare), datagram[-TAG_BYTES:]):
            raise FrameError(Reason.TAG, size=len(datagram))
        _, _, _, session, boot, counter, wall_ns, synced = _HEAD.unpack_from(datagram)
        rest = plain(bare[_HEAD.size :])
        try:
            return Beat(
                session=session,
                boot=boot,
                counter=counter,
                wall_ns=wall_ns,
                synced=synced,
                streams=tuple(_totals(one) for one in rest["s"]),
                frames=int(rest["f"]),
                bytes=int(rest["b"]),
                backlog_s=float(rest["l"]),
                repeats=tuple(float(after) for after in rest["r"]),
                spool=dict(rest["d"]),
            )
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise FrameError(Reason.BODY, size=len(datagram)) from error

    def _tag(self, bare: bytes) -> bytes:
        return hashlib.blake2b(bare, digest_size=TAG_BYTES, key=self._key).digest()


def _totals(one: list[Any]) -> StreamTotals:
    stream, oldest, sealed, finished, waiting = one
    ranges = tuple((int(first), int(after)) for first, after in waiting)
    if len(stream) != 8 or not 0 <= oldest <= sealed < 2**64 or not 0 <= finished <= sealed:
        raise ValueError("stream totals")
    if len(ranges) > WAITING_RANGES or any(not 0 <= a < b <= finished for a, b in ranges):
        raise ValueError("waiting ranges")
    return StreamTotals(stream=bytes(stream), oldest=oldest, sealed=sealed, finished=finished, waiting=ranges)

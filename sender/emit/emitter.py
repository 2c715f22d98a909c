"""What leaves next: the emitter's core, from the spool to frames. Pure but for reading the spool; time is handed in.

Order of what waits, first to last:

    LINK, BEAT     every second (link_control.py)
    first          blocks on their first sending: portions that are due (interleave.py)
    new            blocks as the spool gets them (first_sending.py)
    carousel       OPEN, EPOCH and CATALOG of the current stream, for whoever joins late
    backlog        what piled up while the link or this process was down, newest stretch first
    resend         what a gap code named (resend.py)
    repeats        whole blocks again at their times (repeat.py)

A block's first sending is finished when its last spare has left; beats say so, and the receiver counts from it. A block
that is damaged on the disk is stepped over wherever it is met, everything else goes on. One that is kept twice leaves
from its second copy; any other counts as finished and beats name it as gone, so that the receiver waits no longer.

A restart takes what came since `new` of emit.json as backlog and begins with what is new. Where another block stands at
its mark, or the file is damaged, nothing of it is believed and the whole spool is sent again: doubled frames cost only
time, the receiver knows each number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protocol.ranges import Ranges
from protocol.store.layout import segment_path
from protocol.store.reader import Reader
from protocol.store.record import Record
from protocol.store.resync import START, Damage
from protocol.wire.erasure import Code
from protocol.wire.frame import SHARD_OVERHEAD, width_for
from sender.emit.accounts import Accounts
from sender.emit.carousel import Carousel
from sender.emit.first_sending import FirstSendings, Frames
from sender.emit.interleave import Parcel
from sender.emit.link_control import LinkControl
from sender.emit.link_session import LinkSession, LinkTerms
from sender.emit.repeat import Repeats, Reruns
from sender.emit.resend import COPY, Resend
from sender.emit.spool_index import SpoolIndex
from sender.store.emit_state import EmitState
from sender.store.spans import Mark, records

REFRESH_PERIOD = 5.0
"""The spool's segments are listed this often [s]."""
CAROUSEL_COPY = 255
"""What the carousel's frames say of themselves (SPEC.md, 3.1)."""


class Emitter:
    """Decides; the shell (`process.py`) paces and sends."""

    def __init__(self, folder: Path, link: LinkTerms, now: float) -> None:
        """
        Args:
            folder: The spool.
            link: What it is given of its link.
            now: Monotonic time [s].
        """
        self.repeats = Repeats(link.repeat)
        """What is still to be repeated."""
        self.frames_total = 0
        """Frames that left since the start, over all sessions."""
        self.anew = 0
        """How often the whole spool was sent again."""
        self._folder, self._link = folder, link
        self._width, self._code = width_for(link.mtu), Code()
        self._control = LinkControl(link, self._beat, now)
        self._first = FirstSendings(folder, link, self._frames, self._begun)
        self._carousel = Carousel(folder, link.geometry)
        self._resend: Resend | None = None
        self._reruns = Reruns(folder, self.repeats)
        self._rest = deque[Parcel]()
        self._figures: Mapping[str, Any] = {}
        self._unresumed: tuple[EmitState, str] | None = None  # until the end of the spool is known
        self._why = ""
        self._refresh_at = now
        self._look_anew()

    @property
    def session(self) -> LinkSession:
        """The current link session."""
        return self._control.session

    def resume(self, state: EmitState, now: float, why: str = "") -> None:
        """Go on where the last emitter stopped; as soon as the end of the spool is known, if it cannot be now.

        Args:
            state: What that one gave as `state`; an empty one: nothing is known of it.
            now: Monotonic time [s].
            why: What was wrong with its file, in words.
        """
        self._index.refresh()
        end = self._first.reader.end()
        self._first.begin(end, None, [], {})
        self._unresumed = None
        if end == START:
            self._unresumed = (state, why) if self._first.reader.trouble else None
            return
        if state.new is None:
            self._begin_anew(why)
        elif state.new > end or not _stands(self._folder, state.mark):
            self._begin_anew("it is another one than emit.json tells of")
        else:
            mark = self._index.look_through(end)
            self._first.begin(end, mark, [*state.backlog, (state.new, end)], state.finished)
            self.repeats.restore(state.repeats, now)
        self._carousel.resume(now)

    def state(self, now: float, errand: Mapping[str, Any] | None = None) -> EmitState | None:
        """How far it is, for `resume` after a restart; None while it knows less than what it was resumed from.

        Args:
            now: Monotonic time [s].
            errand: The errand under way and how far.
        """
        if self._unresumed is not None:
            return None
        new, mark = self._first.settled()
        known = set(self._index.streams())
        self._first.forget(set(self._first.finished) - known)
        return EmitState(
            boot=self._link.boot,
            new=new,
            mark=mark,
            backlog=self._first.unsent(),
            repeats=self.repeats.to_json(now),
            finished={stream: Ranges(numbers) for stream, numbers in self._first.finished.items()},
            errand=dict(errand or {}),
        )

    def next(self, now: float) -> Parcel | None:
        """What leaves next, None while nothing is due. What it gave before has left by now."""
        self._look_around(now)
        self._first.settle(now)
        return (
            self._control.next(now)  # LINK, BEAT
            or self._first.new(now)  # first, new
            or self._next_of_round(now)  # carousel
            or self._first.old(now)  # backlog
            or self._next_again(now)  # resend, repeats
        )

    def control(self, now: float) -> Parcel | None:
        """What leaves next of LINK and BEAT alone, while what `next` gave has not left; the key is not renewed."""
        return self._control.next(now)

    def left(self, parcel: Parcel) -> None:
        """A parcel was given to the outlet."""
        self._control.left(parcel)
        self.frames_total += parcel.count
        if parcel.done is not None:
            self._first.left(parcel.done)

    def deadline(self, now: float) -> float:
        """When `next` may have something by itself, monotonic [s]; new blocks ring the doorbell."""
        if self._resend is not None and not self._resend.done:
            return now
        repeat = self.repeats.deadline()
        times = [self._control.deadline(), self._first.deadline(), self._carousel.deadline()]
        return max(now, min([*times, repeat] if repeat is not None else times))

    def outlast(self, seconds: float, steps: int, now: float) -> LinkSession:
        """A session that lasts so long and has so many step numbers: the present one, or the next one from now on."""
        if not self.session.lasts(seconds, steps, now):
            self._control.renew(now)
        return self.session

    def send_again(self, resend: Resend) -> None:
        """Send what a person asked for by a gap code; `resent` says when all of it has left."""
        self._resend = resend

    def resent(self) -> bool:
        """What was asked for by a gap code has left, or nothing was."""
        return (self._resend is None or self._resend.done) and not self._rest

    def say_of_spool(self, figures: Mapping[str, Any]) -> None:
        """Beats pass this on from now on: what the poller says of the spool."""
        self._figures = figures

    def idle(self) -> bool:
        """Everything that exists had its first sending."""
        return self._first.idle()

    def warnings(self) -> list[str]:
        """What a person must know of the spool, in words."""
        trouble = self._first.reader.trouble
        anew = [f"all of the spool is sent again: {self._why}"] if self._why and self._first.unsent() else []
        return [*([trouble] if trouble else []), *self._accounts.warnings(), *anew]

    def status(self) -> dict[str, Any]:
        """For the status file."""
        return {
            "session": f"{self.session.number:08x}",
            "frames_total": self.frames_total,
            "frames": self.session.frames,
            "bytes": self.session.bytes,
            "backlog_s": self._first.behind(),
            "repeats_dropped": self.repeats.dropped,
            "skipped_segments": self._first.reader.skipped,
            "resent_whole_spool": self.anew > 0,
            "damaged": self._accounts.damaged(),
            "engine": self._code.name,
        }

    def _look_around(self, now: float) -> None:
        """What is due by time beside what leaves."""
        if now >= self.session.ends_at:
            self._control.renew(now)
        reader = self._first.reader
        if now >= self._refresh_at:
            self._refresh_at = now + REFRESH_PERIOD
            self._index.refresh()
            self._end_damaged()
            if reader.beyond:
                self._begin_anew("it is another one than before")
            if not segment_path(self._folder, reader.place.segment).exists():
                reader.close()  # a file that is open takes room on the disk also when it is gone
        if self._unresumed is not None and reader.end() > START:
            self.resume(self._unresumed[0], now, self._unresumed[1])

    def _look_anew(self) -> None:
        self._index = SpoolIndex(self._folder)
        self._accounts = Accounts(self._index, self._link)

    def _begin_anew(self, why: str) -> None:
        """All that the spool holds is sent, whatever was sent of it.

        Args:
            why: In words, for a warning; empty where nothing is wrong.
        """
        end = self._first.reader.end()
        self._look_anew()
        self._index.refresh()
        self._first.begin(end, self._index.look_through(end), [(START, end)], {})
        self._reruns.stop()
        self._end_damaged()
        self.anew, self._why = self.anew + 1, why

    def _beat(self, session: LinkSession, counter: int) -> bytes:
        return self._accounts.beat(session, counter, self._first.finished, self._first.behind(), self._figures)

    def _begun(self, reader: Reader, records: list[Record], now: float) -> None:
        """Blocks begin their first sending: whoever must know of them does."""
        for one in records:
            self._index.note(reader.began.segment, one.stream, one.number)
            self._carousel.note(one, now)
        if records:
            self.repeats.sent(reader.began, reader.place, len(records), now)
        self._learn(reader.damaged, 0)

    def _next_of_round(self, now: float) -> Parcel | None:
        due = self._carousel.due(now)
        return self._whole(due, CAROUSEL_COPY) if due is not None else None

    def _next_again(self, now: float) -> Parcel | None:
        """What is sent once more: what a gap code named before what is repeated."""
        if not self._rest and self._resend is not None:
            self._rest += (self._whole(one, COPY) for one in self._resend.step())
            self._learn(self._resend.damaged, COPY)
        while not self._rest and (again := self._reruns.step(now)) is not None:
            self._rest += (self._whole(one, self._reruns.copy) for one in again)
            self._learn(self._reruns.damaged, self._reruns.copy)
        return self._rest.popleft() if self._rest else None

    def _learn(self, damaged: list[Damage], copy: int) -> None:
        """Somebody stepped over this in a sending; what of it stands in the kept files too leaves from there."""
        if damaged:
            self._index.damage(damaged, self._first.reader.end())
            self._end_damaged()
            for segment in {one.start.segment for one in damaged} if copy else ():
                self._rest += (self._whole(one, copy) for one in self._index.saved(segment))
            damaged.clear()

    def _end_damaged(self) -> None:
        """What is damaged waits for nothing; what stands in the kept files too has its first sending from there."""
        self._first.finish(self._index.lost())
        for one in self._index.unsent(self._first.finished):
            self._rest.append(self._whole(one, 0))
            self._first.finish({one.stream: Ranges([(one.number, one.number + 1)])})

    def _whole(self, one: Record, copy: int) -> Parcel:
        """A block that leaves at once."""
        frames, length, _, _ = self._frames(one, copy)
        return Parcel(frames, length)

    def _frames(self, one: Record, copy: int) -> Frames:
        size, need, spare = len(one.block), one.need, one.spare
        if -(-size // need) > self._width:
            need, spare = self._link.geometry.cut(size, 0.0)
        rows = self._code.rows(one.block, need, spare)
        frames = self.session.shards(one.stream).frames(one.number, size, need, spare, copy, rows)
        return frames, SHARD_OVERHEAD + rows.shape[1], need, spare


def _stands(folder: Path, mark: Mark | None) -> bool:
    """Whether the block of the mark stands where it stood; where it is damaged, nothing speaks against it."""
    if mark is None:
        return True
    damaged: list[Damage] = []
    for place, one in records(folder, mark.place.segment, None, damaged):
        if place >= mark.place:
            return (place, one.digest) == mark or any(hit.start <= mark.place < hit.end for hit in damaged)
    return any(hit.start <= mark.place < hit.end for hit in damaged)

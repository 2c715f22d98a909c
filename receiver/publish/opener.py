"""From the journal to an output: reads records, opens blocks, hands on what the output may see.

    record -> signed?  OPEN: site and boot. EPOCH: a data key. HEAD: passed on.
           -> sealed?  with the key of its epoch; CATALOG: what the ids mean; all else: content for the output.

A block that cannot be opened yet waits in the journal (`waiting.py`); its stream is read again from there at each start
and when something was learned that it waits for (`known.py`). What teaches is looked for in `kept/` first, then, where
that does not do, in the whole journal. `place()` says how far the journal was read and what waits; the output stores it
together with the content, so a restart goes on exactly there.

Damage stops nothing. Bytes of the journal that are no record any more are stepped over and told; a place that cannot
be believed, or that is of another journal than this, means to read from the beginning: outputs take a block twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from protocol.block import BlockKind
from protocol.errors import FrameError
from protocol.keys import PrivateKey, PublicKey
from protocol.store.reader import Reader, read_kept
from protocol.store.record import How, Record
from protocol.store.resync import START, Place
from receiver.outputs.base import EventBody, OpenedBlock, OtherBody, StateBody, TallyBody
from receiver.outputs.scope import Scope
from receiver.publish.blocks import Body
from receiver.publish.known import KEPT_KINDS, KnownStream, Lack, Lacking, Ring
from receiver.publish.lookback import Lookback, Sought
from receiver.publish.losses import JournalLosses
from receiver.publish.place import ENDS_BEFORE, LastRead, StoredPlace
from receiver.publish.waiting import WaitingBlocks, merged

GROUP_BYTES = 1 << 20
"""Most journal bytes opened in one step [bytes]: bounds memory, and what a crash makes be opened again."""
EXACT_RANGES = 1000
"""Up to so many ranges, what a look back has opened is taken out of the place in every step."""


class Opener:
    """Opens what `catch` journaled, for one output."""

    def __init__(
        self,
        journal: Path,
        place: object,
        *,
        own: PrivateKey,
        signers: Mapping[bytes, PublicKey],
        scope: Scope,
        now: float,
        wall_ns: int,
        others: Sequence[PrivateKey] = (),
    ) -> None:
        """
        Args:
            journal: The journal's folder.
            place: What the output stored last; None: from the beginning. What is damaged counts as None, and is told.
            own: The `open` key.
            signers: The senders' `sign` keys, by id.
            scope: What the output may see.
            now: Running time [s].
            wall_ns: The low side's wall clock now [ns since 1970 UTC].
            others: Further keys that data may be sealed for (`key_files.py`).
        """
        self.refused: Counter[str] = Counter()
        """Blocks that will never open, by reason; `expired`: those that went from the journal while they waited."""
        self.later: Counter[int] = Counter()
        """Blocks of kinds that this build does not know, by number; they stay in the journal."""
        self.records = self.record_bytes = 0
        """What was read of the journal for the first time: records, and their size on the disk [bytes]."""
        self.read_ns: int | None = None
        """When the last of them was journaled [ns since 1970 UTC]."""
        self.said: list[str] = []
        """What people should know: that the journal is read again, and why."""
        self._journal, self._ring, self._scope = journal, Ring(own, signers, others), scope
        self._now, self._started, self._started_ns = now, now, wall_ns
        self.losses = JournalLosses(journal)
        """What of the journal cannot be read any more."""
        self._streams: dict[bytes, KnownStream] = {}
        self._waiting: dict[bytes, WaitingBlocks] = {}
        self._lookback: Lookback | None = None
        self._last_read: LastRead | None = None
        self._stored: StoredPlace | None = None
        self._begin(self._believed(place))

    @property
    def waiting(self) -> int:
        """Blocks that cannot be opened yet."""
        return sum(one.numbers.count for one in self.waiting_streams())

    def waiting_streams(self) -> Iterator[WaitingBlocks]:
        """What waits; a stream that is being read again may come twice."""
        yield from self._waiting.values()
        if self._lookback is not None:
            for sought in self._lookback.streams.values():
                few = len(sought.old.numbers) + len(sought.gone) <= EXACT_RANGES
                yield sought.left() if few else sought.old

    @property
    def skipped(self) -> int:
        """Segments of the journal that retention took before they were read, ever."""
        return self._skipped_before + self.reader.skipped

    @property
    def trouble(self) -> str:
        """Why the end of the journal is not known; empty while it is."""
        return self.reader.trouble

    def place(self) -> bytes:
        """For the output to store with what `step` gave; at most some kB."""
        waiting = tuple(self.waiting_streams())
        return StoredPlace(self.reader.place, self._last_read, waiting, self.skipped).to_bytes()

    def step(self, now: float, most: int = 256) -> tuple[list[OpenedBlock], bool]:
        """Open the next records, and some of those that waited.

        Args:
            now: Running time [s].
            most: Most records read for the first time.

        Returns:
            (blocks, moved): `moved` is whether there was something to do, also where nothing of it is in scope.
        """
        self._now = now
        out: list[OpenedBlock] = []
        if not self._same_journal():
            return out, False
        before = self.reader.place
        records = self.reader.read(most, most_bytes=GROUP_BYTES)
        self.losses.add_from(self.reader)
        for one in records:
            self._meet(one, self.reader.began, out, None)
        moved = self.reader.place != before
        if records:
            end = self.reader.place
            self._last_read = LastRead(Place(end.segment, end.offset - records[-1].length), records[-1].digest)
            self.records += len(records)
            self.record_bytes += sum(one.length for one in records)
            self.read_ns = records[-1].time_ns
        elif self.reader.beyond:
            self._begin_again(ENDS_BEFORE)
            return out, True
        return out, self._look_back(not moved, out) or moved

    def close(self) -> None:
        """Let go of the files."""
        self.reader.close()
        if self._lookback is not None:
            self._lookback.close()

    # --- where to begin ---------------------------------------------------------------------------------------------

    def _believed(self, place: object) -> StoredPlace:
        try:
            return StoredPlace.from_bytes(place)
        except ValueError as error:
            self._tell(f"the place that was stored cannot be believed ({str(error)[:120]})")
            return StoredPlace()

    def _same_journal(self) -> bool:
        """Before the first record is read: is it the journal that was read before? False where that cannot be seen yet.

        Where it is another one, it is begun anew.
        """
        if self._stored is None:
            return True
        why = self._stored.mismatch(self.reader)
        if why is None:
            return False
        self._stored = None
        if why:
            self._begin_again(why)
        return True

    def _begin(self, stored: StoredPlace) -> None:
        self._stored = stored
        self._skipped_before = stored.skipped
        self.reader = Reader(self._journal, stored.at)
        self._last_read = stored.last_read
        self._whole = stored.at == START
        """Everything in the journal is met in this run."""
        self._searched: set[bytes] = set()
        again = stored.last_read is not None and stored.at <= stored.last_read.at
        for one in stored.waiting:
            one.due = True
            one.exact &= not again
            self._waiting[one.stream] = one

    def _begin_again(self, why: str) -> None:
        self._tell(f"the journal is not as it was when it was read before ({why})")
        skipped = self.skipped
        self.close()
        self._lookback = None
        self._waiting.clear()
        self._streams.clear()
        self.losses.begin_again()
        self._begin(StoredPlace(skipped=skipped))

    def _tell(self, why: str) -> None:
        self.said = [
            *self.said[-2:],
            f"{why}: it is read again from its beginning, what is known already is passed over",
        ]

    # --- reading ----------------------------------------------------------------------------------------------------

    def _meet(self, one: Record, at: Place, out: list[OpenedBlock], sought: Sought | None) -> None:
        """Open one record into `out`, or let it wait."""
        known = self._known_stream(one.stream)
        try:
            opened = self._opened(one, known)
        except Lacking as lacking:
            self._let_wait(one, at, lacking, sought)
        except FrameError as error:
            self.refused[error.reason.value] += 1
            self._release(one, sought)
        else:
            if opened is not None:
                out.append(opened)
            self._release(one, sought)
        self._hear(known)

    def _opened(self, one: Record, known: KnownStream) -> OpenedBlock | None:
        body = known.open_block(one, self._ring)
        if isinstance(body, OtherBody):
            if body.kind not in BlockKind._value2member_map_:
                self.later[body.kind] += 1
            inside: Body | None = body
        else:
            if not self._scope.whole and not _named(body) <= known.assets.keys():
                raise Lacking(Lack.CATALOG)
            inside = self._scope.cut(body, known.assets, known.tags)
        if inside is None:
            return None
        return OpenedBlock(
            stream=known.stream(),
            number=one.number,
            healed=one.how == How.HEALED,
            received_ns=one.time_ns,
            body=inside,
        )

    def known(self, stream: bytes) -> KnownStream:
        """What is known of a stream now; it grows with what is read."""
        return self._known_stream(stream)

    def _known_stream(self, stream: bytes) -> KnownStream:
        known = self._streams.get(stream)
        if known is None:
            known = self._streams[stream] = KnownStream(stream)
            self._read_kept(known)
            known.news.clear()
        return known

    def _read_kept(self, known: KnownStream) -> None:
        known.unread = self._unread()
        try:
            known.learn(read_kept(self._journal, known.key, KEPT_KINDS), self._ring)
        except OSError:
            return  # the journal has them too

    def _unread(self) -> int:
        """Grows when a part of the journal could not be read: what was in it may stand in `kept/`."""
        return self.reader.skipped + self.losses.count

    # --- what waits -------------------------------------------------------------------------------------------------

    def _let_wait(self, one: Record, at: Place, lacking: Lacking, sought: Sought | None) -> None:
        known = self._streams[one.stream]
        if known.unread != self._unread():
            self._read_kept(known)
        held = self._waiting.get(one.stream) if sought is None else sought.still
        if held is None:
            met = self._now if sought is None else self._met(one, sought.old)
            held = WaitingBlocks(one.stream, at, met, one.time_ns)
            if sought is None:
                self._waiting[one.stream] = held
            else:
                sought.still = held
        held.numbers.add(one.number)
        held.lacks[lacking.lack] = lacking.detail

    def _release(self, one: Record, sought: Sought | None) -> None:
        """It waits no more, if it did, and is not lost, if it was."""
        self.losses.came(one.stream, one.number)
        if sought is not None:
            sought.gone.add(one.number)
            return
        held = self._waiting.get(one.stream)
        if held is not None and one.number in held.numbers:
            held.numbers.remove(one.number, one.number + 1)
            if not held.numbers.count:
                del self._waiting[one.stream]

    def _hear(self, known: KnownStream) -> None:
        """Have those blocks of a stream tried again that wait for what was learned."""
        if not known.news:
            return
        waiting = [self._waiting.get(known.key)]
        if self._lookback is not None and known.key in self._lookback.streams:
            waiting.append(self._lookback.streams[known.key].still)
        for one in waiting:
            if one is not None and known.news & one.lacks.keys():
                one.due = True
        known.news.clear()

    def _met(self, one: Record, old: WaitingBlocks) -> float:
        """When a block that still waits was met first, worked out from the time in its record; never after now."""
        if old.met is None:
            return self._started - max(0.0, (self._started_ns - one.time_ns) / 1e9)
        return min(max(old.met, old.met + (one.time_ns - old.time_ns) / 1e9), self._now)

    def _look_back(self, idle: bool, out: list[OpenedBlock]) -> bool:
        """One part of a look back, begun where one is due; False where there is nothing to do."""
        if self._lookback is None:
            due = [one for one in self._waiting.values() if one.due]
            start = min((one.at for one in due), default=START)
            if not due and idle and not self._whole:
                due = [one for one in self._waiting.values() if one.stream not in self._searched]
                self._searched.update(one.stream for one in due)
            if not due:
                return False
            streams = {one.stream: Sought(self._waiting.pop(one.stream)) for one in due}
            self._lookback = Lookback(self._journal, start, self.reader.place, streams)
        for at, one in self._lookback.read(GROUP_BYTES):
            sought = self._lookback.streams[one.stream]
            if sought.wants(one.number):
                self._meet(one, at, out, sought)
            elif one.block[3] in KEPT_KINDS and one.number not in sought.old.numbers:
                known = self._known_stream(one.stream)
                sought.lessons += known.learn([one], self._ring)
                self._hear(known)
        self.losses.add_from(self._lookback.reader)
        if self._lookback.done:
            self._settle(self._lookback)
        return True

    def _settle(self, lookback: Lookback) -> None:
        """A look back is done: what was met and still waits goes on waiting, what was not met is in no journal."""
        for stream, sought in lookback.streams.items():
            known = self._known_stream(stream)
            known.learn(sought.lessons, self._ring)
            since = self._waiting.pop(stream, None)
            left = sought.left().numbers
            for found in (sought.still, since):
                left = left if found is None else left.less(found.numbers)
            if left.count:
                self._read_kept(known)  # what teaches outlives its record
                if sought.old.exact:
                    self.refused["expired"] += left.count
            waits = merged(sought.still, since)
            if waits is not None:
                self._waiting[stream] = waits
            self._hear(known)
        lookback.close()
        self._lookback = None


def _named(body: Body) -> set[str]:
    """The assets that a state, an event or a tally is about."""
    if isinstance(body, StateBody | EventBody):
        return {body.asset} - {""}
    return set(body.assets) if isinstance(body, TallyBody) else set()

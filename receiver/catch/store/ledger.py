"""The ledger: which blocks were ever journaled, for ever, in `state/accepted/`.

The journal (journal.py) has the blocks themselves, until retention takes them; the ledger has their numbers.

    accepted/STREAM.json  ledger_file.py; true of all records before its `place`
    accepted/place.json   {"place": [segment, offset], "running_s": s, "segment": [number, s], "oldest": number,
                           "lowered": n}
                          every file above is true at least up to here; the store's running time; the birth of the
                          newest segment in it; the oldest segment that retention left; how often a floor was lowered

The journal is the truth and these files are a summary that is some seconds behind. A start reads them and then walks
the journal from the older place on: so a kill at any moment neither doubles a block nor forgets one. A file that
cannot be believed is set aside and told; a stream whose file is not there is made again from its leaves and from what
the segments hold: how its blocks came is then forgotten, and its order is what most of its kept records say.

Then both are compared, number by number:

    in a segment                                      held, whatever the file says
    stood in one and cannot be read (damage_reports.py)       damaged
    held, not in a segment, taken by retention        held: it was here
    held, not in a segment, not taken                 damaged: the journal was cut, is an older one, or was begun anew;
                                                      what the sender keeps no more stays as it was, and is told
    has a leaf, and nothing else knows it             damaged: it came after the file was written
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from protocol.ranges import Ranges
from protocol.store import fields, statefile
from protocol.store.index import Segment, join
from protocol.store.layout import kept_path, leaf_streams, read_leaves
from protocol.store.reader import walk
from protocol.store.record import Record
from protocol.store.resync import Damage, Place, scan
from protocol.store.segment_store import Store
from receiver.catch.store.damage_reports import learn
from receiver.catch.store.floors import LOWERED_MOST
from receiver.catch.store.ledger_file import StreamLedger

_NAME = re.compile(r"[0-9a-f]{16}")


class Ledger:
    """The ledger of all streams; the writing thread's."""

    def __init__(self, folder: Path, store: Store, say: Callable[[str], None], *, wall_ns: int = 0) -> None:
        """Read the files, then the journal behind them.

        Args:
            folder: Made if missing.
            store: The journal.
            say: Takes a line for people about what was found damaged.
            wall_ns: Wall time, for names of files that are set aside [ns since 1970 UTC].

        Raises:
            StoreError: the disk fails.
            OSError: the folder cannot be read or made.
        """
        self.streams: dict[bytes, StreamLedger] = {}
        self.doubled = 0
        """Records in the journal whose number was there already: 0, or the journal was put together by hand."""
        self.remade: list[bytes] = []
        """Streams whose file was made again from the leaves, with at least one block that the journal does not tell."""
        self.running_s = 0.0
        """Running time of the journal at the last save [s]."""
        self.segment: tuple[int, float] = (0, 0.0)
        """Newest segment at the last save, and the running time of its birth [s]."""
        self.lowered = 0
        """How often a floor was lowered, as far as is known here."""
        self.damaged: list[Damage] = list(store.damaged)
        """What of the journal was found to be damaged."""
        self._folder, self._store, self._say, self._wall_ns = folder, store, say, wall_ns
        self._oldest = store.segments[0].number
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            aside = statefile.set_aside(folder, wall_ns)
            say(f"{folder.name} is no folder: {'it stands as ' + aside.name if aside else 'it cannot be set aside'}")
        folder.mkdir(parents=True, exist_ok=True)
        # the files, then the journal behind them, then what rotted: each step believes the one after it more
        place = self._read()
        known = {damage.start.segment for damage in store.damaged}
        met = [damage for damage in self._walk(place) if damage.start.segment not in known]
        self.damaged += met
        learn(store, met)
        self._compare(older=place > store.place)
        self.lowered = max(self.lowered, max((ledger.order or 0 for ledger in self.streams.values()), default=0))

    def note(self, record: Record) -> None:
        """A record that was synced."""
        ledger = self.streams.setdefault(record.stream, StreamLedger())
        if not ledger.note(record):
            self.doubled += 1

    def order(self, stream: bytes, lowered: int) -> int:
        """What the records of a stream are marked with: given with its first block, and kept.

        Args:
            lowered: How often a person lowered the floor until now.
        """
        ledger = self.streams.setdefault(stream, StreamLedger())
        if ledger.order is None:
            ledger.order = lowered
        return ledger.order

    def damage(self, lost: Mapping[bytes, Ranges]) -> dict[bytes, Ranges]:
        """Numbers that stand in the journal no more; returns those of them that were held until now."""
        out = {}
        for stream, ranges in lost.items():
            if stream in self.streams:
                ledger = self.streams[stream]
                out[stream] = ranges.less(ranges.less(ledger.held))
                ledger.damage(out[stream])
        return out

    def drop(self, segment: Segment) -> None:
        """Retention is about to take a segment: save, and then let it."""
        self._oldest = segment.number + 1
        for stream, ranges in segment.streams.items():
            self.streams.setdefault(stream, StreamLedger()).add(ranges, taken=True)

    def remember(self, outlooks: Mapping[bytes, dict[str, Any]]) -> None:
        """Take what gaps.py wants back after a restart; written with the next save."""
        for stream, outlook in outlooks.items():
            ledger = self.streams.setdefault(stream, StreamLedger())
            ledger.outlook = outlook
            ledger.changed = True

    def save(self, place: Place, running_s: float, segment: tuple[int, float], lowered: int = 0) -> None:
        """Write what changed.

        Args:
            place: Where the journal ends; every record before it was noted.
            running_s: Running time of the journal [s].
            segment: The newest segment and the running time of its birth [s].
            lowered: How often a floor was lowered.

        Raises:
            OSError: the disk is full or fails; call it again.
        """
        for stream, ledger in self.streams.items():
            if ledger.changed:
                ledger.place = place
                statefile.write(self._folder / f"{stream.hex()}.json", statefile.pack(ledger.to_json()))
                ledger.changed = False
        self.running_s, self.segment, self.lowered = running_s, segment, max(lowered, self.lowered)
        content = {"place": list(place), "running_s": running_s, "segment": list(segment)}
        content |= {"oldest": self._oldest, "lowered": self.lowered}
        statefile.write(self._folder / "place.json", statefile.pack(content))

    def _read(self) -> Place:
        """The files; returns up to where all of them are true, or nearly: `_compare` finds what that leaves out."""
        for path in sorted(self._folder.glob("*.json")):
            if _NAME.fullmatch(path.stem):
                ledger = statefile.load(path, StreamLedger.from_json, self._say, wall_ns=self._wall_ns)
                if ledger is not None:
                    self.streams[bytes.fromhex(path.stem)] = ledger
        self._files = frozenset(self.streams)
        place = statefile.load(self._folder / "place.json", self._place_from, self._say, wall_ns=self._wall_ns)
        if place is not None:
            return place
        self.running_s = max(segment.born_s for segment in self._store.segments)
        # closed segments have an index, which tells all but how blocks came
        newest = Place(self._store.current.number, 0)
        return max((ledger.place for ledger in self.streams.values()), default=newest)

    def _place_from(self, content: Mapping[str, Any]) -> Place:
        place, running_s = fields.place(content["place"]), fields.seconds(content["running_s"])
        number, born_s = content["segment"]
        segment = (fields.count(number, fields.PLACES_END), fields.seconds(born_s))
        lowered = fields.count(content.get("lowered", 0), LOWERED_MOST)
        self._oldest = fields.count(content.get("oldest", self._oldest), fields.PLACES_END)
        self.running_s, self.segment, self.lowered = running_s, segment, lowered
        return place

    def _walk(self, start: Place) -> list[Damage]:
        """Take what was journaled since the files were written; returns what was stepped over."""

        def visit(place: Place, record: Record) -> None:
            ledger = self.streams.get(record.stream)
            if ledger is None or not place < ledger.place:
                self.note(record)

        return walk(self._store.folder, visit, start) if start <= self._store.place else []

    def _compare(self, *, older: bool) -> None:
        """Compare with what the segments hold, and with the leaves where something is not as it should be.

        Args:
            older: The journal ends before the place of the files: it is an older one, or was begun anew.
        """
        if older:
            self._say("the journal was cut, is an older one or was begun anew: it ends before what was received last")
            self._oldest = self._store.segments[0].number
        present: dict[bytes, Ranges] = {}
        for segment in self._store.segments:
            join(present, segment.streams)
        lost, leaves = self._store.lost, self._leaves(everywhere=older or bool(self.damaged))
        for stream in {*self.streams, *present, *lost, *leaves}:
            ledger, here = self.streams.setdefault(stream, StreamLedger()), present.get(stream, Ranges())
            ledger.changed = ledger.changed or older
            # what is in a segment is held; what stood in one and is in none is damaged; then the two in doubt
            ledger.add(here)
            ledger.damage(lost.get(stream, ()))
            self._judge_leaves(stream, ledger, leaves.get(stream, Ranges()), here.top)
            self._judge_absent(stream, ledger, ledger.held.less(ledger.taken).less(here), older=older)
            if ledger.held.count and (ledger.order is None or stream not in self._files):
                ledger.order = self._order_of(stream, ledger)

    def _judge_leaves(self, stream: bytes, ledger: StreamLedger, leaves: Ranges, top: int) -> None:
        """Numbers that have a leaf, and that neither the file nor a segment knows.

        Without a file they are old ones that retention took, if it took any; but none from `top` on, one past the
        newest in a segment. All others were journaled after the file was written, and are damaged.
        """
        unknown = leaves.less(ledger.held).less(ledger.damaged)
        if stream not in self._files and unknown.count:
            self.remade.append(stream)
            if self._oldest > 1:
                ledger.add(unknown.within(0, top or unknown.top), taken=True)
                return
        ledger.damage(unknown)

    def _judge_absent(self, stream: bytes, ledger: StreamLedger, absent: Ranges, *, older: bool) -> None:
        """Numbers that are held, that retention did not take, and that no segment has."""
        if ledger.earlier and not older and self._oldest > 1:
            ledger.add(absent, taken=True)
            return
        ledger.damage(absent.within(ledger.oldest, absent.top))
        if absent.below(ledger.oldest):
            self._say(
                f"{absent.below(ledger.oldest)} blocks of stream {stream.hex()} are not in the journal any more, and "
                f"the sender keeps them no longer: they count as they came"
            )

    def _leaves(self, *, everywhere: bool) -> dict[bytes, Ranges]:
        """Numbers that have a leaf, of the streams without a file, or of all."""
        out = {}
        for stream in leaf_streams(self._store.folder):
            if everywhere or stream not in self._files:
                with contextlib.suppress(OSError):
                    out[stream] = _numbers(read_leaves(self._store.folder, stream))
        return out

    def _order_of(self, stream: bytes, ledger: StreamLedger) -> int:
        """What most kept records of a stream are marked with: no hash covers the mark, but each of them repeats it."""
        marks = Counter(record.order for record in scan(kept_path(self._store.folder, stream)))
        if marks:
            return marks.most_common(1)[0][0]
        return self.lowered if ledger.order is None else ledger.order


def _numbers(leaves: bytes) -> Ranges:
    """Numbers that have a leaf: not zero, and not what another number has, for then it is no hash of a block."""
    rows = np.frombuffer(leaves, np.uint64, len(leaves) // 32 * 4).reshape(-1, 4)
    _, kind, times = np.unique(rows[:, 0], return_inverse=True, return_counts=True)
    numbers = np.flatnonzero(rows.any(axis=1) & (times[kind] == 1))
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    return Ranges((int(run[0]), int(run[-1]) + 1) for run in runs if len(run))

"""Which blocks were ever journaled, for ever: `state/accepted/`, apart from the blocks, which retention takes.

    accepted/STREAM.json  {"place": [segment, offset], "held": [[first, after], ..], "whole": n, "repaired": n,
                           "healed": n, "outlook": {..}}      true of all records before `place`; `outlook` is gaps.py's
    accepted/place.json   {"place": [segment, offset], "running_s": s, "segment": [number, s]}
                          every file above is true at least up to here; the store's running time; the birth of the
                          newest segment in it

The journal is the truth and these files are a summary that is some seconds behind. A start reads them and then walks
the journal from the older place on: so a kill at any moment neither doubles a block nor forgets one. A stream's file
that is not there or cannot be read is made again from the stream's leaves; only how its blocks came is then forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from protocol import statefile
from protocol.ranges import Ranges
from protocol.record import How, Record
from protocol.segments import START, Place, Reader, read_leaves, walk

_NAMES = {How.WHOLE: "whole", How.REPAIRED: "repaired", How.HEALED: "healed"}


@dataclass(slots=True)
class Held:
    """What was journaled of one stream."""

    ranges: Ranges = field(default_factory=Ranges)
    classes: dict[How, int] = field(default_factory=lambda: dict.fromkeys(How, 0))
    """How they came; the sum is the count of `ranges`."""
    outlook: dict[str, Any] | None = None
    """What gaps.py wants back after a restart; opaque here."""
    place: Place = START
    """The file says what is true up to here."""
    changed: bool = True
    """Since its file was written."""

    def note(self, one: Record) -> bool:
        """Take a journaled record; False where its number was there already."""
        if not self.ranges.add(one.number):
            return False
        how = How(one.how) if one.how in _NAMES else How.WHOLE
        self.classes[how] += 1
        self.changed = True
        return True

    def to_json(self) -> dict[str, Any]:
        """As its file has it."""
        counts = {name: self.classes[how] for how, name in _NAMES.items()}
        return {"place": list(self.place), "held": list(self.ranges), **counts, "outlook": self.outlook}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Held:
        """What `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        one = cls(place=Place(*map(int, told["place"])), changed=False)
        for first, after in told["held"]:
            one.ranges.add(int(first), int(after))
        one.classes = {how: int(told[name]) for how, name in _NAMES.items()}
        one.outlook = dict(told["outlook"]) if told["outlook"] is not None else None
        if one.ranges.count != sum(one.classes.values()):
            raise ValueError("the counts do not add up")
        return one


class Accepted:
    """The files and what they say; the writing thread's."""

    def __init__(self, folder: Path, journal: Path) -> None:
        """Read the files, then the journal behind them.

        Args:
            folder: Made if missing.
            journal: The segment store; open its writer first, so that a torn tail is cut.

        Raises:
            StoreError: a journaled record does not match its hash.
            OSError: the folder cannot be read or made.
        """
        self.streams: dict[bytes, Held] = {}
        self.doubled = 0
        """Records in the journal whose number was there already: 0, or the journal was put together by hand."""
        self.remade: list[bytes] = []
        """Streams whose file was made again from the leaves, with at least one block that the journal does not tell."""
        self.running_s = 0.0
        """Running time of the journal at the last save [s]."""
        self.segment: tuple[int, float] = (0, 0.0)
        """Newest segment at the last save, and the running time of its birth [s]."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        start = self._read()
        reader = Reader(journal)
        self._end = reader.end()
        reader.close()
        walk(journal, self._visit, start if start <= self._end else START)
        for path in sorted((journal / "leaves").glob("*.leaf")):
            if (stream := bytes.fromhex(path.stem)) not in self._read_streams:
                self._from_leaves(journal, stream)

    def note(self, one: Record) -> None:
        """A record that was synced."""
        held = self.streams.setdefault(one.stream, Held())
        if not held.note(one):
            self.doubled += 1

    def remember(self, outlooks: Mapping[bytes, dict[str, Any]]) -> None:
        """Take what gaps.py wants back after a restart; written with the next save."""
        for stream, outlook in outlooks.items():
            held = self.streams.setdefault(stream, Held())
            held.outlook = outlook
            held.changed = True

    def save(self, place: Place, running_s: float, segment: tuple[int, float]) -> None:
        """Write what changed.

        Args:
            place: Where the journal ends; every record before it was noted.
            running_s: Running time of the journal [s].
            segment: The newest segment and the running time of its birth [s].

        Raises:
            OSError: the disk is full or fails; call it again.
        """
        for stream, held in self.streams.items():
            if held.changed:
                held.place = place
                statefile.write(self._folder / f"{stream.hex()}.json", json.dumps(held.to_json()).encode())
                held.changed = False
        self.running_s, self.segment = running_s, segment
        told = {"place": list(place), "running_s": running_s, "segment": list(segment)}
        statefile.write(self._folder / "place.json", json.dumps(told).encode())

    def _read(self) -> Place:
        self._read_streams: set[bytes] = set()
        for path in self._folder.glob("*.json"):
            if path.stem == "place":
                continue
            try:
                stream = bytes.fromhex(path.stem)
                self.streams[stream] = Held.from_json(json.loads(path.read_text()))
                self._read_streams.add(stream)
            except (ValueError, KeyError, TypeError):
                continue  # made again from its leaves
        try:
            told = json.loads((self._folder / "place.json").read_text())
            self.running_s = float(told["running_s"])
            self.segment = (int(told["segment"][0]), float(told["segment"][1]))
            return Place(*map(int, told["place"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return START

    def _visit(self, place: Place, one: Record) -> None:
        held = self.streams.get(one.stream)
        if held is None or not place < held.place <= self._end:  # beyond the end: another journal was begun
            self.note(one)

    def _from_leaves(self, journal: Path, stream: bytes) -> None:
        """Numbers whose leaf is there; those that the walk did not meet came in a way that is forgotten."""
        leaves = read_leaves(journal, stream)
        numbers = np.flatnonzero(np.frombuffer(leaves, np.uint64, len(leaves) // 32 * 4).reshape(-1, 4).any(axis=1))
        held = self.streams.setdefault(stream, Held())
        before = held.ranges.count
        for run in np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1):
            if len(run):
                held.classes[How.WHOLE] += held.ranges.add(int(run[0]), int(run[-1]) + 1)
        if held.ranges.count > before:
            held.changed = True
            self.remade.append(stream)

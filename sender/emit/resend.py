"""What a gap code named, block by block, for the emitter: the stream's own beginnings first, then the blocks asked for.

The command has looked where the blocks stand (`commands/replay_plan.py`) and wrote it into the errand; here those
places are read again, since retention may have taken some meanwhile. Nothing in an errand can make this raise: what is
not there, or not what it was said to be, is counted as gone. Reading is done in slices, so that new blocks never wait
for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from protocol.block import KEPT
from protocol.errors import StoreError
from protocol.ranges import Ranges
from protocol.store.layout import kept_path
from protocol.store.reader import Reader
from protocol.store.record import Record
from protocol.store.resync import Damage, Place, scan_kinds

COPY = 254
"""What resent frames say of themselves (SPEC.md, 3.1)."""
SLICE = 64
"""Most records that are read in one go: at most 1 MiB, some milliseconds."""


class BlockRange(NamedTuple):
    """Neighbouring blocks of one stream and where they stand in the spool."""

    start: Place
    end: Place
    first: int
    after: int
    """One past the last number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBlocks:
    """What is sent again of one stream."""

    stream: bytes
    kept: frozenset[int]
    """Blocks kept apart from the segments: without some of them the others cannot be opened (OPEN, EPOCH, CATALOG)."""
    stretches: tuple[BlockRange, ...]
    """Blocks that were asked for and were there."""

    def to_json(self) -> dict[str, Any]:
        """As an errand carries it."""
        places = [[*one.start, *one.end, one.first, one.after] for one in self.stretches]
        return {"stream": self.stream.hex(), "kept": sorted(self.kept), "stretches": places}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> StreamBlocks:
        """What `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        return cls(
            stream=bytes.fromhex(told["stream"]),
            kept=frozenset(int(number) for number in told["kept"]),
            stretches=tuple(
                BlockRange(Place(int(a), int(b)), Place(int(c), int(d)), int(first), int(after))
                for a, b, c, d, first, after in told["stretches"]
            ),
        )


class Resend:
    """One errand's blocks, in order."""

    def __init__(
        self, folder: Path, parts: Sequence[StreamBlocks], *, position: tuple[int, int] = (0, 0), sent: int = 0
    ) -> None:
        """
        Args:
            folder: The spool.
            parts: A stream each.
            position: Where a restart goes on, as `position` was.
            sent: Blocks that had left before it.
        """
        self.sent = sent
        """Blocks handed out, those before a restart included."""
        self.gone: list[tuple[bytes, int, int]] = []
        """(stream, first, after) of what was not there any more."""
        self.damaged: list[Damage] = []
        """What was stepped over; the caller takes it out."""
        self.done = False
        self.position = position
        """(stretch, number): all before it has left."""
        self._folder = folder
        self._reached = position
        self._slices = self._read(parts)

    def step(self) -> list[Record]:
        """The next blocks, once those before have left; none for now where a slice held none, or when it is done."""
        self.position = self._reached
        fresh = next(self._slices, None)
        self.done = fresh is None
        self.sent += len(fresh or ())
        return fresh or []

    def _read(self, parts: Sequence[StreamBlocks]) -> Iterator[list[Record]]:
        index = 0
        for part in parts:
            if index + len(part.stretches) > self._reached[0]:
                for one in self._kept(part):
                    yield [one]
            for stretch in part.stretches:
                if index >= self._reached[0]:
                    first = max(stretch.first, self._reached[1]) if index == self._reached[0] else stretch.first
                    yield from self._stretch(part, stretch._replace(first=first), index)
                index += 1

    def _stretch(self, part: StreamBlocks, one: BlockRange, index: int) -> Iterator[list[Record]]:
        missing = Ranges([(one.first, one.after)])
        for number in part.kept:
            missing.remove(number, number + 1)
        reader = Reader(self._folder, one.start)
        try:
            until = min(one.end, reader.end())
            while records := reader.read(SLICE, until):
                found = [held for held in records if held.stream == part.stream and held.number in missing]
                for held in found:
                    missing.remove(held.number, held.number + 1)
                if found:
                    self._reached = (index, found[-1].number + 1)
                yield found
        except (StoreError, OSError, ValueError, OverflowError):
            pass  # not where it was said to be: what was to be found here is gone
        finally:
            reader.close()
            self.damaged += reader.damaged
        self.gone += [(part.stream, first, after) for first, after in missing]
        self._reached = (index + 1, 0)

    def _kept(self, part: StreamBlocks) -> Iterator[Record]:
        seen: set[int] = set()
        try:
            for one in scan_kinds(kept_path(self._folder, part.stream), KEPT):
                if one.number in part.kept - seen:
                    seen.add(one.number)
                    yield one
        except OSError:
            return

"""What a gap code names, as far as the spool still has it: found before anything is sent, and said in words.

    code      -> stream check and ranges (protocol/gapread.py)
    check     -> the streams of this spool that begin so, those included of which only leaves are left
    ranges    -> still here; damaged on the disk; gone, since retention took them; never there, so the code is of
                 something else
    errand    -> where they stand, for the running emitter (emit/resend.py)

Blocks that a receiver needs to open the others go along: the stream's OPEN, the EPOCHs under which they were sealed,
and its CATALOG pages up to then. Pure but for reading the spool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocol import gapread
from protocol.block import KEPT, BlockKind, read_header, signed_body
from protocol.errors import ConfigError
from protocol.ranges import Ranges
from protocol.store.index import join, read_index
from protocol.store.layout import index_path, kept_path, leaf_path, leaf_streams, segment_numbers
from protocol.store.reader import Reader
from protocol.store.record import Record
from protocol.store.resync import Damage, Place, scan_kinds
from protocol.written import counted
from sender.emit.resend import BlockRange, StreamBlocks
from sender.geometry import Geometry
from sender.store import damage
from sender.store.spans import records


@dataclass(slots=True, kw_only=True)
class StreamPlan:
    """What became of one stream's blocks that were asked for."""

    stream: bytes
    sealed: int
    """Numbers below this existed."""
    asked: Ranges
    here: Ranges = field(default_factory=Ranges)
    """Asked for and kept."""
    damaged: Ranges = field(default_factory=Ranges)
    """Asked for, and damaged on the disk; what is known of them."""
    kept: frozenset[int] = frozenset()
    """Numbers that are sent from the stream's kept blocks, asked for or going along."""
    stretches: list[BlockRange] = field(default_factory=list)
    wire: int = 0
    """Of all that will be sent, spares and headers counted [bytes]."""

    @property
    def never(self) -> list[tuple[int, int]]:
        """Asked for, and not of this stream."""
        return [(max(first, self.sealed), after) for first, after in self.asked if after > self.sealed]

    @property
    def gone(self) -> list[tuple[int, int]]:
        """Asked for, were here, are not kept any more or damaged."""
        spans = ((first, min(after, self.sealed)) for first, after in self.asked)
        return [hole for first, after in spans if first < after for hole in self.here.holes(first, after)]

    def damaged_and_taken(self) -> tuple[Ranges, Ranges]:
        """Of `gone`: what is damaged on the disk, as far as it is known, and what retention took."""
        taken, lost = Ranges(self.gone), Ranges(self.gone)
        for first, after in self.damaged:
            taken.remove(first, after)
        for first, after in taken:
            lost.remove(first, after)
        return lost, taken

    @property
    def along(self) -> int:
        """Blocks that nobody asked for and that are needed to open the others."""
        return sum(number not in self.here for number in self.kept)

    @property
    def part(self) -> StreamBlocks:
        """For the errand."""
        return StreamBlocks(stream=self.stream, kept=self.kept, stretches=tuple(self.stretches))


def find(spool: Path, codes: Sequence[str], geometry: Geometry) -> list[StreamPlan]:
    """Look up what codes name; codes of one stream are taken together.

    Args:
        spool: The spool's folder.
        codes: As a person typed them.
        geometry: For the bytes on the wire.

    Raises:
        ConfigError: a code that is wrong, or names nothing that this spool ever had.
    """
    asked: dict[bytes, Ranges] = {}
    known = _sealed(spool)
    for code in codes:
        check, ranges = gapread.decode(code)
        fitting = [stream for stream in known if gapread.check_of(stream) == check]
        if not any(first < known[stream] for stream in fitting for first, _ in ranges):
            why = f"ends before block {ranges[0][0]}" if fitting else "does not exist in this spool"
            raise ConfigError(
                f"{code.strip()}: well typed, but the stream that begins with {check.hex()} {why}",
                hint="is it a code of this sender? its site stands on the low side's page",
            )
        for stream in fitting:
            held = asked.setdefault(stream, Ranges())
            for first, after in ranges:
                held.add(first, after)
    found = [StreamPlan(stream=stream, sealed=known[stream], asked=ranges) for stream, ranges in asked.items()]
    for one in found:
        _look(spool, one, geometry)
    return found


def body(found: Sequence[StreamPlan]) -> dict[str, Any]:
    """What the errand carries."""
    return {
        "parts": [one.part.to_json() for one in found],
        "blocks": sum(one.here.count + one.along for one in found),
        "wire_bytes": sum(one.wire for one in found),
    }


def in_words(found: Sequence[StreamPlan], rate: float, behind_s: float) -> list[str]:
    """What is here, what is not, what will be sent and how long that takes.

    Args:
        rate: Of the link [bytes/s].
        behind_s: What waits for its first sending, and goes first [s].
    """
    out = []
    for one in found:
        out.append(f"stream {one.stream.hex()}: {counted(one.asked.count, 'block')} asked for")
        damaged, taken = one.damaged_and_taken()
        out += [f"  {numbers(*span)}: gone, damaged on this side's disk" for span in damaged]
        out += [f"  {numbers(*span)}: gone, the spool does not keep them any more" for span in taken]
        out += [f"  {numbers(*span)}: never existed in this stream" for span in one.never]
        out += [f"  {numbers(*span)}: here" for span in one.here]
        if one.along:
            out.append(f"  and {counted(one.along, 'block')} needed to open them (OPEN, EPOCH, CATALOG)")
    blocks, wire = sum(one.here.count + one.along for one in found), sum(one.wire for one in found)
    if blocks:
        size, takes = f"{wire / 1e6:.3g} MB on the wire with spares", f"{wire / rate:.2g} s at {rate * 8e-6:g} Mbit/s"
        out.append(f"to send: {blocks} blocks, {size}: {takes}, in the room that new blocks leave")
    else:
        out.append("nothing is left to send")
    if behind_s > 1 and blocks:
        out.append(f"before it goes what never left yet: {behind_s:.0f} s")
    return out


def numbers(first: int, after: int) -> str:
    """A range in words."""
    return f"block {first}" if after == first + 1 else f"blocks {first} to {after - 1}"


def _look(spool: Path, one: StreamPlan, geometry: Geometry) -> None:
    """What is there: in the segments; kept apart, where its segment is gone; and what must go along."""
    epochs = set[int]()
    for place, after, held in _asked(spool, one):
        epochs.add(read_header(held.block).epoch)
        one.here.add(held.number)
        one.wire += _wire(geometry, len(held.block), held.need, held.spare)
        last = one.stretches[-1] if one.stretches else None
        if last is not None and (last.after, last.end) == (held.number, place):
            one.stretches[-1] = last._replace(end=after, after=held.number + 1)
        else:
            one.stretches.append(BlockRange(place, after, held.number, held.number + 1))
    kept = {
        held.number: held
        for held in scan_kinds(kept_path(spool, one.stream), KEPT)
        if _useful(held.block[3], one, held.number)
    }
    asked = {number for number in kept if number in one.asked and number not in one.here}
    pages = {number for number, held in kept.items() if held.block[3] == BlockKind.CATALOG}
    epochs |= {read_header(kept[number].block).epoch for number in pages}
    opens = {number for number, held in kept.items() if held.block[3] == BlockKind.OPEN}
    keys = {
        number
        for number, held in kept.items()
        if held.block[3] == BlockKind.EPOCH and int(signed_body(held.block)["epoch"]) in epochs
    }
    if one.here.count or asked:
        one.kept = frozenset(asked | pages | opens | keys)
    for number in one.kept:
        if number not in one.here:
            one.wire += _wire(geometry, len(kept[number].block), kept[number].need, kept[number].spare)
    for number in asked:
        one.here.add(number)


def _useful(kind: int, one: StreamPlan, number: int) -> bool:
    """Of the kept blocks: those that were asked for, and what may be needed to open what was."""
    if number in one.asked:
        return True
    return kind in (BlockKind.OPEN, BlockKind.EPOCH) or (kind == BlockKind.CATALOG and number < one.asked.top)


def _asked(spool: Path, one: StreamPlan) -> Iterator[tuple[Place, Place, Record]]:
    """Records that were asked for, from where to where; segments whose index rules them out are not opened."""
    end = Reader(spool).end()
    damaged: list[Damage] = []
    for segment in segment_numbers(spool):
        index = read_index(index_path(spool, segment), segment) if segment < end.segment else None
        spans = [*index.streams.get(one.stream, ()), *index.lost.get(one.stream, ())] if index is not None else None
        if spans is None or any(low < after and first < top for low, top in spans for first, after in one.asked):
            until = end.offset if segment == end.segment else None
            for place, held in records(spool, segment, until, damaged):
                after = Place(segment, place.offset + held.length)
                if held.stream == one.stream and held.number in one.asked and after <= end:
                    yield place, after, held
    for streams in damage.lost(spool, damaged).values():
        join({one.stream: one.damaged}, {one.stream: streams.get(one.stream, Ranges())})


def _sealed(spool: Path) -> dict[bytes, int]:
    """Every stream that this spool ever had -> numbers below this existed: its leaves outlive its blocks."""
    out = {stream: leaf_path(spool, stream).stat().st_size // 32 for stream in leaf_streams(spool)}
    for segment in segment_numbers(spool):
        index = read_index(index_path(spool, segment), segment)
        for streams in (index.streams, index.lost) if index is not None else ():
            for stream, ranges in streams.items():
                out[stream] = max(out.get(stream, 0), ranges.top)
    return out


def _wire(geometry: Geometry, size: int, need: int, spare: int) -> int:
    if -(-size // need) > geometry.width:
        need, spare = geometry.cut(size, 0.0)
    return geometry.whole(size, need, spare)

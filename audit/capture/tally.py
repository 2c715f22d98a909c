"""Counting a capture's frames: whose they are, of which kind, and the ones that should not be there, by number.

Frames whose rows are equal are one group, with its count and its first frame; what is said of sources, kinds and flows
is said of groups, and so of every single frame. A frame for which there is no room in the table any more is looked at
by itself. All that is kept is bounded: a capture made to fill the memory fills a table and is counted beyond it.
Frames are named one by one on a second way through the file, which only a capture with something to name needs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from audit.capture.coverage import Coverage, clock
from audit.capture.frames import LINKS, ROW, FrameRow, read_row, rows
from audit.capture.header_words import LINK, WORDS, link_words, of_link, other_words
from audit.capture.known_kinds import KnownKinds, Words, summed
from audit.capture.link_order import LinkOrder
from audit.capture.pcap import Capture
from audit.capture.records import HEAD_BYTES, LINK_BYTES, Bytes, Frames, Numbers, window

GROUPS = 16_384
"""Most different rows counted apart; then addresses and ports of further ones are left out."""
LISTED = 200
"""Most frames of a kind listed one by one; all are counted."""
_KEPT = 28
"""Bytes of a row that a group without room for addresses and ports keeps."""
_INTERFACES = 255
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True, kw_only=True)
class FrameGroup:
    """Frames with the same row."""

    row: FrameRow
    count: int = 0
    first: int = 0
    """Number of the first one, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One frame worth a line of its own."""

    number: int
    """From 1, as tshark's frame.number."""
    time_ns: int
    length: int
    """Bytes on the wire."""
    digits: int
    """Digits of a second that its interface's times have."""
    row: FrameRow
    why: str = ""

    def plain(self) -> dict[str, str | int | None]:
        """The frame as a line of evidence."""
        row = self.row
        told: dict[str, str | int | None] = {
            "frame": self.number,
            "time": clock(self.time_ns, self.digits),
            "source": row.source,
            "target": row.target,
            "kind": row.kind,
            "flow": row.flow,
            "bytes": self.length,
        }
        return told | ({"why": self.why} if self.why else {})


@dataclass(slots=True, kw_only=True)
class FrameTally:
    """What a capture holds, frame by frame and in sum."""

    mark: bytes = b""
    """Bytes that the positive control's frame carries."""
    own: frozenset[bytes] = frozenset()
    """MAC addresses, 6 bytes each, whose frames are expected: looked at where the table has no room."""
    count: int = 0
    links: dict[int, int] = field(default_factory=dict)
    """Frames by link type."""
    groups: dict[bytes, FrameGroup] = field(default_factory=dict)
    beyond: int = 0
    """Frames that no group could take any more."""
    beyond_foreign: int = 0
    """Of those, frames that are not of `own`."""
    absolute: Callable[[Bytes], dict[str, Mask]] | None = None
    """Rows to masks by reason, of what needs no other frame to be told; such frames are listed on the first way."""
    listed: dict[str, list[Listed]] = field(default_factory=dict)
    """The first LISTED of them, by reason."""
    marked: list[Listed] = field(default_factory=list)
    """Frames that carry the mark."""
    coverage: Coverage = field(default_factory=Coverage)
    """First and last time and the longest gaps, by interface."""
    order: LinkOrder = field(default_factory=LinkOrder)
    """Frames of the link that do not stand in its order."""
    interfaces: dict[tuple[str, str, str, int], int] = field(default_factory=dict)
    """What tells an interface from others: its number in the rows."""
    _salt: Words = field(default_factory=lambda: np.frombuffer(os.urandom(8 * WORDS), np.uint64) | np.uint64(1))
    """Makes the kinds' sums unforeseeable; they are compared word by word all the same."""
    _kinds: dict[int, KnownKinds] = field(default_factory=dict)
    """Kinds that were seen before, by how many words tell them: the link's form, the other forms, whole rows."""

    def run(self, capture: Capture) -> FrameTally:
        """Count all of an open capture."""
        marks = capture.find(self.mark) if self.mark else np.empty(0, np.int64)
        for frames in capture:
            self.count += len(frames.at)
            self.coverage.add(frames.time_ns, frames.interface, capture.interfaces)
            for place, link in self._by_link(capture, frames):
                self._add(capture, _some(frames, place), link)
            if len(marks):
                self._find_marks(capture, frames, marks)
        for known in self._kinds.values():
            for row, count in known.counted():
                self._count(row, count, self.count)
        self.groups = dict(sorted(self.groups.items(), key=lambda one: one[1].first))
        return self

    def table(self) -> tuple[Bytes, Numbers, Numbers]:
        """Rows of all groups, their counts, and the numbers of their first frames."""
        rows_of = np.frombuffer(b"".join(self.groups), np.uint8).reshape(-1, ROW)
        counts = np.array([one.count for one in self.groups.values()], np.int64)
        return rows_of, counts, np.array([one.first for one in self.groups.values()], np.int64)

    def listing(
        self, capture: Capture, pick: Callable[[Bytes], dict[str, Mask]], numbers: dict[int, str]
    ) -> list[Listed]:
        """The first frames that `pick` names, each with the reason, LISTED a reason; a second way through the file.

        Args:
            capture: Open, and counted to its end.
            pick: Rows to masks by reason; a frame of several has the first one.
            numbers: Frames that are named by their number, with the reason.
        """
        out: list[Listed] = []
        listed: dict[str, int] = {}
        told = np.array(sorted(numbers), np.int64)
        for frames in capture.again():
            for place, link in self._by_link(capture, frames):
                some = _some(frames, place)
                table = self._rows(capture, some, link)
                reasons = pick(table)
                for index in np.flatnonzero(np.isin(some.number, told)).tolist():
                    reasons.setdefault(numbers[int(some.number[index])], np.zeros(len(table), np.bool_))[index] = True
                taken = np.zeros(len(table), np.bool_)
                for why, mask in reasons.items():
                    for index in np.flatnonzero(mask & ~taken)[: LISTED - listed.get(why, 0)].tolist():
                        listed[why] = listed.get(why, 0) + 1
                        out.append(_listed(capture, some, table, index, why))
                    taken |= mask
        return sorted(out, key=lambda one: one.number)

    def _by_link(self, capture: Capture, frames: Frames) -> Iterator[tuple[Numbers | slice, int]]:
        """Places of the frames of each link type."""
        links = np.array([one.link for one in capture.interfaces], np.int64)[frames.interface]
        kinds = np.unique(links) if len(capture.interfaces) > 1 else links[:1]
        for link in kinds.tolist():
            yield (slice(None) if len(kinds) == 1 else np.flatnonzero(links == link)), link

    def _add(self, capture: Capture, frames: Frames, link: int) -> None:
        """Count frames of one link type."""
        self.links[link] = self.links.get(link, 0) + len(frames.at)
        told: dict[str, list[Numbers]] = {}
        left = np.arange(len(frames.at))
        if link == 1:
            heads = frames.heads if frames.heads is not None else window(capture.data, frames.at, LINK_BYTES)
            mark = self._mark(capture, frames)
            columns = link_words(heads, frames.kept, mark)
            known, kinds, sums = self._find(columns)
            kinds *= frames.kept >= LINK.least
            self._count_known(known, kinds, left, told)
            (new,) = (kinds == 0).nonzero()
            formed = of_link(columns[:, new], frames.kept[new])
            left, new = new[~formed], new[formed]
            self._learn(capture, frames, link, known, new, columns[:, new], sums[new], told)
            plain = np.ones(len(frames.at), np.bool_)
            plain[left] = False
            self.order.add(capture.data, frames, plain, heads)
            if len(left):
                heads = window(capture.data, frames.at[left], HEAD_BYTES)
                formed, columns = other_words(heads, frames.kept[left], mark if len(mark) == 1 else mark[left])
                self._sort(capture, frames, link, left[formed], columns[:, formed], told)
                left = left[~formed]
        if len(left):
            table = self._rows(capture, _some(frames, left), link)
            self._sort(capture, frames, link, left, np.ascontiguousarray(table.view(np.uint64).T), told)
        for why, places in told.items():
            listed = self.listed.setdefault(why, [])
            some = _some(frames, np.sort(np.concatenate(places))[: LISTED - len(listed)])
            own = self._rows(capture, some, link)
            listed.extend(_listed(capture, some, own, index, why) for index in range(len(own)))

    def _rows(self, capture: Capture, frames: Frames, link: int) -> Bytes:
        heads = window(capture.data, frames.at, HEAD_BYTES)
        return rows(heads, frames.kept, frames.length, link, frames.way, self._interface(capture, frames))

    def _sort(
        self, capture: Capture, frames: Frames, link: int, here: Numbers, columns: Words, told: dict[str, list[Numbers]]
    ) -> None:
        """Count some of the frames, `here`, by their words, a column each."""
        known, kinds, sums = self._find(columns)
        self._count_known(known, kinds, here, told)
        (new,) = (kinds == 0).nonzero()
        self._learn(capture, frames, link, known, here[new], columns[:, new], sums[new], told)

    def _find(self, columns: Words) -> tuple[KnownKinds, Numbers, Words]:
        """The table for so many words, each frame's kind in it, and the sums of their words."""
        known = self._kinds.get(len(columns))
        if known is None:
            known = self._kinds[len(columns)] = KnownKinds(len(columns), ROW)
        sums = summed(columns, self._salt)
        return known, known.find(columns, sums), sums

    def _count_known(self, known: KnownKinds, kinds: Numbers, here: Numbers, told: dict[str, list[Numbers]]) -> None:
        """Count frames of known kinds; those that are told by themselves go into `told`, by reason."""
        counts = known.add(kinds)
        for why, flags in known.flags.items():
            room = LISTED - len(self.listed.get(why, ()))
            if room > 0 and (flags & (counts > 0)).any():
                told.setdefault(why, []).append(here[flags[kinds]][:room])

    def _learn(
        self,
        capture: Capture,
        frames: Frames,
        link: int,
        known: KnownKinds,
        here: Numbers,
        columns: Words,
        sums: Words,
        told: dict[str, list[Numbers]],
    ) -> None:
        """Count frames of unknown kinds: one of each becomes a row, and the kinds are known from then on.

        Args:
            capture, frames, link: Frames of one link type.
            known: The table.
            here: Which of the frames.
            columns, sums: The words of each of those, a column each, and their sums.
            told: Filled with those that are told by themselves, by reason.
        """
        if not len(here):
            return
        places, many, kind_of = _equal(columns, sums)
        first = _some(frames, here[places])
        table = self._rows(capture, first, link)
        for index in np.argsort(places).tolist():  # as they stand in the file, whatever the salt was
            self._count(table[index].tobytes(), int(many[index]), int(first.number[index]))
        flags_of = {} if self.absolute is None else self.absolute(table)
        known.learn(columns[:, places], sums[places], table, flags_of)
        for why, mask in flags_of.items():
            room = LISTED - len(self.listed.get(why, ()))
            if room > 0 and mask.any():
                told.setdefault(why, []).append(here[mask[kind_of]][:room])

    def _interface(self, capture: Capture, frames: Frames) -> Bytes:
        """Each frame's interface, as rows tell it."""
        own = [one.identity for one in capture.interfaces]
        for one in own:
            self.interfaces.setdefault(one, min(len(self.interfaces), _INTERFACES))
        return np.array([self.interfaces[one] for one in own], np.uint8)[frames.interface]

    def _mark(self, capture: Capture, frames: Frames) -> Words:
        """What keeps plain frames apart beside their bytes: the file's word on their way, and the interface."""
        if len(capture.interfaces) == 1 and not frames.way.any():
            return np.zeros(1, np.uint64)
        return frames.way.astype(np.uint64) << np.uint64(8) | self._interface(capture, frames)

    def _count(self, row: bytes, count: int, number: int) -> None:
        group = self.groups.get(row)
        if group is None and len(self.groups) >= GROUPS:
            row = row[:_KEPT] + bytes(ROW - _KEPT)
            group = self.groups.get(row)
        if group is None:
            if len(self.groups) >= 2 * GROUPS:
                self.beyond += count
                self.beyond_foreign += count * (row[6] == 0 or row[:6] not in self.own)
                return
            group = self.groups[row] = FrameGroup(row=read_row(row), first=number)
        group.count += count
        group.first = min(group.first, number)

    def _find_marks(self, capture: Capture, frames: Frames, marks: Numbers) -> None:
        index = np.searchsorted(frames.at, marks, side="right") - 1
        inside = (index >= 0) & (marks + len(self.mark) <= (frames.at + frames.kept)[np.maximum(index, 0)])
        for one in np.unique(index[inside])[: LISTED - len(self.marked)].tolist():
            alone = _some(frames, np.array([one], np.int64))
            table = self._rows(capture, alone, capture.interfaces[int(alone.interface[0])].link)
            self.marked.append(_listed(capture, alone, table, 0))


def _equal(columns: Words, sums: Words) -> tuple[Numbers, Numbers, Numbers]:
    """Where each kind of equal columns begins, how many there are of it, and each column's kind."""
    _, place, inverse, counts = np.unique(sums, return_index=True, return_inverse=True, return_counts=True)
    first = place[inverse]
    if not all(np.array_equal(one, one[first]) for one in columns):  # two kinds with one sum: told apart in full
        whole = np.ascontiguousarray(columns.T)
        _, place, inverse, counts = np.unique(whole, axis=0, return_index=True, return_inverse=True, return_counts=True)
    return place, counts, inverse.reshape(-1)


def _some(frames: Frames, places: Numbers | slice) -> Frames:
    if isinstance(places, slice):
        return frames
    return Frames(
        number=frames.number[places],
        at=frames.at[places],
        kept=frames.kept[places],
        length=frames.length[places],
        time_ns=frames.time_ns[places],
        interface=frames.interface[places],
        way=frames.way[places],
    )


def link_name(link: int) -> str:
    """A link type for people."""
    return LINKS.get(link, "not described" if link < 0 else f"link type {link}")


def _listed(capture: Capture, frames: Frames, table: Bytes, index: int, why: str = "") -> Listed:
    return Listed(
        number=int(frames.number[index]),
        time_ns=int(frames.time_ns[index]),
        length=int(frames.length[index]),
        digits=capture.digits(int(frames.interface[index])),
        row=read_row(table[index].tobytes()),
        why=why,
    )

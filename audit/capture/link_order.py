"""Frames of the link that do not stand in its order: what a copied or a made-up frame cannot know.

A sender's kernel numbers the packets of a socket one after the other (IPv4 identification), or those of each train that
it cuts up from 0 where it never fragments (Linux 6.18, seen on a link); a socket that was closed does not speak again,
and no frame of the link is ever sent twice: stream, number, index and copy of a shard are in its nonce
(protocol/SPEC.md, 3). So one frame or a few whose numbers lie far off while those around them follow each other, a port
that speaks inside another's time, and a frame that stands twice within some thousands are told. Plain frames of the
link's own form are looked at, in the order of the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from audit.capture.records import Bytes, Frames, Numbers, window
from protocol.wire.frame import SHARD_START

NEAR = 4
"""Farthest two frames' identifications are apart that count as following each other: a capture may lose some."""
FAR = 128
"""Nearest that a strange identification is to its neighbours': what is nearer may be frames in another order, or the
end of a train of which the capture lost the rest; the kernel cuts no longer ones (UDP_MAX_SEGMENTS of linux/udp.h)."""
FEW = 8
"""Most frames in a row that are told by their identifications; of more nobody knows who the others are."""
KEPT = 1000
"""Most frames kept of each kind."""
_PAYLOAD = 42
_HEADER = 32


@dataclass(slots=True, kw_only=True)
class LinkOrder:
    """What was found, by the frame's number."""

    strange_ids: list[int] = field(default_factory=list)
    """Frames with an identification from elsewhere."""
    doubles: dict[int, int] = field(default_factory=dict)
    """Frames that stand once more: the number of the later one, and of the first."""
    ports: list[tuple[int, int, int]] = field(default_factory=list)
    """Stretches of one source port: port, number of the first frame, of the last."""
    frames: int = 0
    """Frames of the link that were looked at."""
    _last: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    """Identifications and numbers of the last frames, as many as a stretch that is told and those around it."""

    def add(self, data: Bytes, frames: Frames, plain: npt.NDArray[np.bool_], heads: Bytes) -> None:
        """Look at some frames.

        Args:
            data: The file.
            frames: Where they stand.
            plain: Which of them are of the plain form.
            heads: Their first bytes, a row each.
        """
        here = plain & (heads[:, _PAYLOAD] == SHARD_START[0]) & (heads[:, _PAYLOAD + 1] == SHARD_START[1])
        index: Numbers | slice = slice(None) if here.all() else np.flatnonzero(here)
        number, heads = frames.number[index], heads[index]
        if not len(number):
            return
        self.frames += len(number)
        self._identify(number, heads[:, 18].astype(np.int64) << 8 | heads[:, 19])
        self._follow_ports(number, heads[:, 34].astype(np.int64) << 8 | heads[:, 35])
        shard = (heads[:, _PAYLOAD + 3] == SHARD_START[3]) & (frames.kept[index] >= _PAYLOAD + _HEADER)
        self._find_doubles(data, number[shard], frames.at[index][shard])

    def interlopers(self) -> dict[int, int]:
        """Frames of ports that speak inside another port's time: the first number of each stretch, and its port."""
        last: dict[int, int] = {}
        out: dict[int, int] = {}
        for place, (port, _, _) in enumerate(self.ports):
            if port in last:  # what stands between two stretches of one port came from elsewhere
                out |= {begun: other for other, begun, _ in self.ports[last[port] + 1 : place]}
            last[port] = place
        return out

    def _identify(self, number: Numbers, ident: Numbers) -> None:
        ident = np.concatenate([np.array(self._last[0], np.int64), ident])
        number = np.concatenate([np.array(self._last[1], np.int64), number])
        self._last = (ident[-FEW - 4 :].tolist(), number[-FEW - 4 :].tolist())
        if len(ident) < 4 or not ident.any():
            return
        step = (ident[1:] - ident[:-1]) & 0xFFFF
        jumps = np.flatnonzero((step >= FAR) & (step <= 0x10000 - FAR))
        one, two = step <= NEAR, (ident[2:] - ident[:-2]) & 0xFFFF <= NEAR
        behind, ahead = np.append(False, one), np.append(one, False)  # an order is there at all: some kernels draw lots
        behind[2:] |= two
        ahead[:-2] |= two
        found: set[int] = set()
        for count in range(1, FEW + 1):
            before, last = jumps[:-count], jumps[count:]
            told = (last - before <= FEW) & ((ident[last + 1] - ident[before]) & 0xFFFF <= NEAR)
            told &= behind[before] | ahead[last + 1]
            for begin, end in zip(before[told].tolist(), last[told].tolist(), strict=True):
                found.update(number[begin + 1 : end + 1].tolist())
        self.strange_ids += sorted(found.difference(self.strange_ids))[: KEPT - len(self.strange_ids)]

    def _follow_ports(self, number: Numbers, port: Numbers) -> None:
        edges = np.concatenate([[0], np.flatnonzero(np.diff(port)) + 1, [len(port)]])
        for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            if self.ports and self.ports[-1][0] == port[begin]:
                self.ports[-1] = (*self.ports[-1][:2], int(number[end - 1]))
            elif len(self.ports) < KEPT:
                self.ports.append((int(port[begin]), int(number[begin]), int(number[end - 1])))

    def _find_doubles(self, data: Bytes, number: Numbers, at: Numbers) -> None:
        if len(number) < 2:
            return
        header = window(data, at + _PAYLOAD + 8, 24).view(np.uint64)
        sums = header[:, 0] * _SALT[0] + header[:, 1] * _SALT[1] + header[:, 2] * _SALT[2]
        near = np.sort(sums)
        if not np.count_nonzero(near[1:] == near[:-1]):
            return
        order = np.argsort(sums, kind="stable")
        same = np.flatnonzero(sums[order[1:]] == sums[order[:-1]])
        for place in same.tolist():
            one, two = int(order[place]), int(order[place + 1])
            if len(self.doubles) < KEPT and np.array_equal(header[one], header[two]):
                self.doubles[int(number[two])] = self.doubles.get(int(number[one]), int(number[one]))


_SALT = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
"""Odd constants that spread; equal sums are compared in full."""

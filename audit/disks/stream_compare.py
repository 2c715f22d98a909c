"""One stream on both sides, number by number: what is lost, injected, altered (`compare.py` says what each means)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from audit.disks.heads import HeadChain, Kept, VerifiedOpen, read_chain, read_open, tree_head
from audit.disks.store import Leaves, SideStream, StoreSide
from protocol.keys import PublicKey
from protocol.ranges import Ranges

Mask: TypeAlias = npt.NDArray[np.bool_]

CHUNK = 65_536
"""Numbers compared at once."""
_NONE = SideStream(leaves=np.zeros((0, 32), np.uint8), listed=False)


@dataclass(slots=True, kw_only=True)
class Compared:
    """One stream on both sides."""

    stream: bytes
    opened: VerifiedOpen | None
    chain: HeadChain
    high: int = 0
    """Numbers that the high side has a leaf of."""
    low: int = 0
    top: int = 0
    """One past the highest number that either side has a leaf of, or a HEAD names."""
    known: bool = True
    """Whether the high side knows the stream at all."""
    lost: Ranges = field(default_factory=Ranges)
    lost_unknown: Ranges = field(default_factory=Ranges)
    """Those of `lost` whose hash no HEAD tells."""
    injected: Ranges = field(default_factory=Ranges)
    altered: dict[str, Ranges] = field(default_factory=dict)
    """By side; `either` where the two differ and no HEAD says which is right."""
    unjudged: Ranges = field(default_factory=Ranges)
    """Held by the low side, of a stream that the high side opened and has forgotten, under no HEAD."""
    faults: list[str] = field(default_factory=list)
    """Of its OPEN and its heads, in words."""


def compare(
    name: bytes, high: StoreSide, low: StoreSide, signers: Mapping[bytes, PublicKey], site: str | None = None
) -> Compared:
    """One stream on both sides, number by number."""
    one, two = high.streams.get(name, _NONE), low.streams.get(name, _NONE)
    signed = _signed(one, two)
    opened, faults = read_open(signed.get(0, []), signers)
    if site is not None and opened is not None and opened.site != site:
        faults.append(f"its OPEN is of site {opened.site!r}")
    named = opened.site if opened is not None else site
    chain = read_chain(signed, name, named, signers, _leaf_of(one, two)) if named is not None else HeadChain()
    out = Compared(stream=name, opened=opened, chain=chain, known=name in high.streams, faults=faults + chain.faults)
    if named is None:
        out.faults.append("no OPEN tells its site: its heads cannot be verified (give --site)")
    for side, side_stream in (("high", one), ("low", two)):
        if len(side_stream.wrong):
            out.altered[side] = Ranges(side_stream.wrong)
    top = max(len(one.leaves), len(two.leaves), chain.end)
    for start in range(0, top, CHUNK):
        _compare_part(out, one.leaves, two.leaves, start, min(start + CHUNK, top))
    return out


def _compare_part(out: Compared, high: Leaves, low: Leaves, start: int, end: int) -> None:
    h, l_ = _rows(high, start, end), _rows(low, start, end)
    t = _vouched(out.chain, start, end)
    on_high, on_low, true = _not_zero(h), _not_zero(l_), _not_zero(t)
    out.high += int(on_high.sum())
    out.low += int(on_low.sum())
    present = np.flatnonzero(on_high | on_low | true)
    out.top = start + int(present[-1]) + 1 if present.size else out.top
    _mark(out.lost, ~on_low & (on_high | true), start)
    _mark(out.lost_unknown, ~on_low & on_high & ~true, start)
    strange = on_low & ~on_high & ~true
    _mark(out.injected if out.known or out.opened is None else out.unjudged, strange, start)
    wrong = {
        "low": on_low & true & _differ(l_, t),
        "high": true & _differ(h, t) & (on_high | out.known),
        "either": on_high & on_low & ~true & _differ(h, l_),
    }
    for side, mask in wrong.items():
        if mask.any():
            _mark(out.altered.setdefault(side, Ranges()), mask, start)


def _not_zero(rows: Leaves) -> Mask:
    """Which rows are not zero."""
    return np.asarray(rows.any(axis=1))


def _differ(one: Leaves, two: Leaves) -> Mask:
    return np.asarray((one != two).any(axis=1))


def _rows(leaves: Leaves, start: int, end: int) -> Leaves:
    out = np.zeros((end - start, 32), np.uint8)
    part = leaves[start:end]
    out[: len(part)] = part
    return out


def _vouched(chain: HeadChain, start: int, end: int) -> Leaves:
    """What verified heads say of these numbers; zeros where none does."""
    out = np.zeros((end - start, 32), np.uint8)
    for one in chain.ranges:
        first, after = max(one.first, start), min(one.end, end)
        if first < after:
            content = b"".join(one.leaves[first - one.first : after - one.first])
            out[first - start : after - start] = np.frombuffer(content, np.uint8).reshape(-1, 32)
    return out


def _mark(ranges: Ranges, mask: Mask, start: int) -> None:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    for first, after in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        ranges.add(start + first, start + after)


def _signed(one: SideStream, two: SideStream) -> dict[int, list[Kept]]:
    """Signed blocks of both sides by number, equal ones once."""
    out: dict[int, list[Kept]] = {}
    for side, side_stream in (("high", one), ("low", two)):
        for number, blocks in side_stream.signed.items():
            known = out.setdefault(number, [])
            known += [(side, block) for block in blocks if block not in [other for _, other in known]]
    return out


def _leaf_of(one: SideStream, two: SideStream) -> Any:
    def leaf(number: int) -> bytes | None:
        leaves_there = {
            side.leaves[number].tobytes()
            for side in (one, two)
            if number < len(side.leaves) and side.leaves[number].any()
        }
        return leaves_there.pop() if len(leaves_there) == 1 else None

    return leaf


def follow(compared: dict[bytes, Compared], sides: tuple[StoreSide, StoreSide]) -> None:
    """Each OPEN states the tree head of the stream before its own, which vouches for the end of that one too."""
    for name, one in compared.items():
        if one.opened is None or one.opened.previous is None:
            continue
        before, last, root = one.opened.previous
        if before not in compared:
            one.faults.append(
                f"it follows stream {before.hex()} ({last + 1} blocks), of which neither side holds anything"
            )
            continue
        before_streams = [side.streams.get(before, _NONE) for side in sides]
        root_then = tree_head(compared[before].chain, last + 1, _leaf_of(before_streams[0], before_streams[1]))
        if root_then is not None and root_then != root:
            compared[before].faults.append(f"its blocks up to {last} are not those that stream {name.hex()} followed")

"""`audit journal HIGH LOW --key high.pub`: two disks compared, number by number, offline, with public keys alone.

Both sides keep the same sealed bytes, so their leaves (SHA-256 of each block) can be compared without opening anything,
and they outlive the blocks. What a verified HEAD says is true for ever; it decides which side is right where they
differ. Of each number, and each stream:

    lost       the high side sent it (its leaf, or a HEAD), the low side does not hold it
    injected   the low side holds it, the high side never sent it, and no HEAD vouches for it
    altered    a block or a leaf that is not what a HEAD, or its own hash, or the other side says

Copy the low side's folder first: what the high side sends in between is then lost, not injected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from audit import catalogue
from audit.check import AuditFindings, Check, CheckStatus, Evidence, stamp
from audit.disks.heads import HeadChain, Kept, VerifiedOpen, read_chain, read_open, tree_head
from audit.disks.store import Leaves, SideStream, StoreSide, read_side
from audit.report.machine_facts import facts
from protocol.errors import ConfigError
from protocol.keys import PublicKey, load_public
from protocol.ranges import Ranges

Mask: TypeAlias = npt.NDArray[np.bool_]

CHUNK = 65_536
"""Numbers compared at once."""
SHOWN = 100
"""Most ranges of a list in the evidence; all are counted."""
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


def run(high: Path, low: Path, key_files: list[Path], *, site: str | None = None, now_ns: int) -> AuditFindings:
    """Compare two stores.

    Args:
        high: The spool, or a copy of it.
        low: The journal, or a copy of it.
        key_files: Public key files of the high side; every `sign` key in them is believed.
        site: The site that every stream must be of; None: as each OPEN says.
        now_ns: Wall time [ns since 1970 UTC].

    Raises:
        ConfigError: no store, no key.
    """
    signers = {key.id: key for path in key_files for key in load_public(path) if key.kind == "sign"}
    if not signers:
        raise ConfigError("no sign key was given", hint="--key high.pub, the high side's public keys")
    if high.resolve() == low.resolve():
        raise ConfigError(f"{high} was given for both sides", hint="the spool of the high side, the journal of the low")
    below = read_side("low", low)  # first, as acceptance.md copies: of two that grow, none is ahead
    sides = (read_side("high", high), below)
    names = sorted({*sides[0].streams, *sides[1].streams})
    compared = {name: compare(name, *sides, signers, site) for name in names}
    _follow(compared, sides)
    comparison = _Comparison(sides, compared, stamp(now_ns), _command(high, low, key_files, site))
    about = facts() | {
        "high": _side_facts(sides[0]),
        "low": _side_facts(sides[1]),
        "keys": {key.id.hex(): key.fingerprint for key in signers.values()},
    }
    checks = (_jrn_1(comparison), _jrn_2(comparison), _jrn_3(comparison), _jrn_4(comparison))
    return AuditFindings(what=f"journal {high.name} {low.name}", time=comparison.time, facts=about, checks=checks)


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


def _follow(compared: dict[bytes, Compared], sides: tuple[StoreSide, StoreSide]) -> None:
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


@dataclass(slots=True)
class _Comparison:
    """Both sides compared, ready to be judged."""

    sides: tuple[StoreSide, StoreSide]
    compared: dict[bytes, Compared]
    time: str
    command: str

    def evidence(self, value: Any) -> Evidence:
        return Evidence(value=value, command=self.command, time=self.time)

    def by_stream(self, name: str) -> dict[str, list[str]]:
        """A list of ranges of each stream that has some."""
        return {
            key.hex(): ranges_text(ranges) for key, one in self.compared.items() if len(ranges := getattr(one, name))
        }

    def count(self, name: str) -> int:
        return sum(getattr(one, name).count for one in self.compared.values())


def _jrn_1(comparison: _Comparison) -> Check:
    states = {name.hex(): _stream_state(one) for name, one in comparison.compared.items()}
    faults = [f"stream {name.hex()}: {text}" for name, one in comparison.compared.items() for text in one.faults]
    heads = sum(len(one.chain.ranges) for one in comparison.compared.values())
    holes = sum(not bridged for one in comparison.compared.values() for _, _, bridged in one.chain.holes)
    evidence = [
        comparison.evidence({"streams": states}),
        *([comparison.evidence({"faults": faults[:SHOWN]})] if faults else []),
    ]
    if faults:
        return catalogue.check("JRN-1", CheckStatus.FAIL, f"{len(faults)} faults; {faults[0]}", *evidence)
    if not heads:
        return catalogue.check("JRN-1", CheckStatus.SKIP, "no signed head yet: heads come every minute", *evidence)
    found = f"{heads} heads of {len(states)} streams verify"
    if holes:
        return catalogue.check("JRN-1", CheckStatus.WARN, f"{found}; HEAD missing in {holes} places", *evidence)
    open_end = sum(one.top - one.chain.end for one in comparison.compared.values())
    return catalogue.check("JRN-1", CheckStatus.PASS, f"{found} and chain; {open_end} blocks are younger", *evidence)


def _jrn_2(comparison: _Comparison) -> Check:
    injected, unjudged = comparison.count("injected"), comparison.count("unjudged")
    on_low = sum(one.low for one in comparison.compared.values())
    evidence = [
        comparison.evidence(
            {"injected": comparison.by_stream("injected"), "not judged": comparison.by_stream("unjudged")}
        )
    ]
    if injected:
        found = f"{injected} of {on_low} blocks of the low side were never sent: {_first(comparison, 'injected')}"
        if _only_newer(comparison):
            found += "; they follow the high side's last one: was its folder copied before the low side's?"
        return catalogue.check("JRN-2", CheckStatus.FAIL, found, *evidence)
    if unjudged:
        found = f"{unjudged} blocks cannot be judged: the high side has forgotten their stream, and no HEAD names them"
        return catalogue.check("JRN-2", CheckStatus.WARN, found, *evidence)
    if not on_low:
        return catalogue.check("JRN-2", CheckStatus.SKIP, "the low side holds nothing", *evidence)
    return catalogue.check("JRN-2", CheckStatus.PASS, f"all {on_low} blocks of the low side were sent", *evidence)


def _jrn_3(comparison: _Comparison) -> Check:
    altered = {
        key.hex(): {side: ranges_text(ranges) for side, ranges in one.altered.items()}
        for key, one in comparison.compared.items()
        if one.altered
    }
    damaged = sum(side.damaged for side in comparison.sides)
    evidence = [comparison.evidence({"altered": altered})]
    if damaged:
        evidence.append(
            comparison.evidence({"notes": [note for side in comparison.sides for note in side.notes], "of": damaged})
        )
    if altered:
        stream, by_side = next(iter(altered.items()))
        side, ranges = next(iter(by_side.items()))
        many = sum(ranges.count for one in comparison.compared.values() for ranges in one.altered.values())
        found = f"{many} altered; the first: stream {stream} block {ranges[0]}, {_SIDE[side]}"
        return catalogue.check("JRN-3", CheckStatus.FAIL, found, *evidence)
    if damaged:
        return catalogue.check(
            "JRN-3", CheckStatus.FAIL, f"{damaged} places cannot be read; the notes name them", *evidence
        )
    both = sum(min(one.high, one.low) for one in comparison.compared.values())
    here = sum(stream.records.count for side in comparison.sides for stream in side.streams.values())
    if not both:
        return catalogue.check("JRN-3", CheckStatus.SKIP, "no number is held by both sides", *evidence)
    found = f"{both} leaves agree; {here} blocks that are still on a disk match theirs"
    return catalogue.check("JRN-3", CheckStatus.PASS, found, *evidence)


_SIDE = {
    "high": "on the high side's disk (a HEAD or its own hash says so)",
    "low": "on the low side's disk (a HEAD or its own hash says so)",
    "either": "the sides differ and no HEAD says which is right",
}


def _jrn_4(comparison: _Comparison) -> Check:
    lost, sent = comparison.count("lost"), sum(one.high for one in comparison.compared.values())
    nameless = comparison.count("lost_unknown")
    evidence = [comparison.evidence({"lost": comparison.by_stream("lost"), "hash known by a HEAD": lost - nameless})]
    if not comparison.compared:
        return catalogue.check("JRN-4", CheckStatus.SKIP, "neither side holds a stream", *evidence)
    if not lost:
        return catalogue.check("JRN-4", CheckStatus.PASS, f"all {sent} blocks that were sent are there", *evidence)
    share = f" ({lost / sent:.3%})" if sent else ""
    found = f"{lost} of {sent} blocks{share} are not on the low side, or not yet: {_first(comparison, 'lost')}"
    return catalogue.check("JRN-4", CheckStatus.WARN, found, *evidence)


def _stream_state(one: Compared) -> dict[str, Any]:
    """What a reader wants to know of a stream, its stretches with it."""
    stretches: list[dict[str, Any]] = []
    gaps = {(first, after): bridged for first, after, bridged in one.chain.holes}
    for first, after, state in sorted(
        [(s.first, s.end, _stretch_state(one, s.first, s.end)) for s in one.chain.ranges]
        + [(a, b, "HEAD missing" + (", its leaves lead to the next" if ok else "")) for (a, b), ok in gaps.items()]
    ):
        if stretches and stretches[-1]["state"] == state == "complete" and stretches[-1]["to"] + 1 == first:
            stretches[-1] |= {"to": after - 1, "heads": stretches[-1]["heads"] + 1}
        else:
            stretches.append({"from": first, "to": after - 1, "heads": 1, "state": state})
    opened = one.opened
    return {
        "site": opened.site if opened else None,
        "boot": opened.boot if opened else None,
        "high": one.high,
        "low": one.low,
        "stretches": stretches[:SHOWN],
        "not yet in a head": one.top - one.chain.end,
    }


def _stretch_state(one: Compared, first: int, after: int) -> str:
    wrong = sum(_within(ranges, first, after) for side, ranges in one.altered.items() if side != "high")
    missing = _within(one.lost, first, after)
    parts = [f"{wrong} altered"] if wrong else []
    parts += [f"{missing} missing, hashes known"] if missing else []
    return ", ".join(parts) or "complete"


def _within(ranges: Ranges, first: int, after: int) -> int:
    return ranges.below(after) - ranges.below(first)


def _only_newer(comparison: _Comparison) -> bool:
    """Whether every injected number stands behind all that the high side has of its stream."""
    sides = comparison.sides[0].streams
    return all(
        min(first for first, _ in one.injected) >= len(sides[name].leaves)
        for name, one in comparison.compared.items()
        if len(one.injected) and name in sides
    ) and all(name in sides for name, one in comparison.compared.items() if len(one.injected))


def _first(comparison: _Comparison, name: str) -> str:
    by_stream = comparison.by_stream(name)
    stream, ranges = next(iter(by_stream.items()))
    more = " .." if len(by_stream) > 1 or len(ranges) > 5 else ""
    return f"stream {stream} {', '.join(ranges[:5])}{more}"


def ranges_text(ranges: Ranges) -> list[str]:
    """`812`, `900-915`; the first `SHOWN` of them, and how many more."""
    out = [str(first) if after == first + 1 else f"{first}-{after - 1}" for first, after in ranges]
    return out if len(out) <= SHOWN else [*out[:SHOWN], f"and {len(out) - SHOWN} more ranges"]


MOST_NAMED = 4096
"""Most streams of a side that the facts name, a start of the sender each: by them a report tells sites apart."""


def _side_facts(side: StoreSide) -> dict[str, Any]:
    return {
        "folder": str(side.folder),
        "streams": len(side.streams),
        "stream_ids": sorted(name.hex() for name in side.streams)[:MOST_NAMED],
        "segments": side.segments,
        "segment_bytes": side.bytes,
        "blocks_still_here": sum(stream.records.count for stream in side.streams.values()),
    }


def _command(high: Path, low: Path, key_files: list[Path], site: str | None) -> str:
    keys = " ".join(f"--key {path}" for path in key_files)
    return f"checkvalve audit journal {high} {low} {keys}" + (f" --site {site}" if site else "")

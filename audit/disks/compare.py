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

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit import catalogue
from audit.check import AuditFindings, Check, CheckStatus, Evidence, stamp
from audit.disks.store import StoreSide, read_side
from audit.disks.stream_compare import Compared, compare, follow
from audit.report.machine_facts import facts
from protocol.errors import ConfigError
from protocol.keys import load_public
from protocol.ranges import Ranges

SHOWN = 100
"""Most ranges of a list in the evidence; all are counted."""


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
    follow(compared, sides)
    comparison = _Comparison(sides, compared, stamp(now_ns), _command(high, low, key_files, site))
    about = facts() | {
        "high": _side_facts(sides[0]),
        "low": _side_facts(sides[1]),
        "keys": {key.id.hex(): key.fingerprint for key in signers.values()},
    }
    checks = (_jrn_1(comparison), _jrn_2(comparison), _jrn_3(comparison), _jrn_4(comparison))
    return AuditFindings(what=f"journal {high.name} {low.name}", time=comparison.time, facts=about, checks=checks)


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

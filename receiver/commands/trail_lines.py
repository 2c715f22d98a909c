"""What `checkvalve trail` says: the table of `show`, and what `verify` found and what that proves. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from protocol.inert import CELL, inert
from protocol.written import counted
from receiver.governed.trail.checkpoint import Checkpoint, trail_name
from receiver.governed.trail.entry import Fact, TrailRecord
from receiver.governed.trail.trail_segment import TrailSegment
from receiver.governed.trail.verifying import Verified

HEADS = ("number", "time (UTC)", "kind", "who", "from", "facts")
FACTS_MOST = 400
"""Most characters of an entry's facts in a line; `--json` has all of them."""


def table(records: Sequence[TrailRecord]) -> Iterator[str]:
    """A line an entry, in columns; every text is inert before it is measured."""
    rows = [HEADS, *(_cells(record) for record in records)]
    wide = [max(len(row[at]) for row in rows) for at in range(len(HEADS) - 1)]
    for row in rows:
        cells = [cell.rjust(wide[0]) if at == 0 else cell.ljust(wide[at]) for at, cell in enumerate(row[:-1])]
        yield "  ".join([*cells, row[-1]]).rstrip()
    if not records:
        yield "no entry of this kind"


def as_json(record: TrailRecord) -> dict[str, Any]:
    """An entry for programs, all of it."""
    entry = record.entry
    return {
        "number": record.number,
        "hash": record.hash.hex(),
        "at_ns": entry.at_ns,
        "time": time_of(entry.at_ns),
        "kind": entry.kind,
        "who": entry.who,
        "from": entry.origin,
        "facts": dict(entry.facts),
    }


def verified(done: Verified, signer: str) -> Iterator[str]:
    """What was found, and what it proves and does not prove.

    Args:
        signer: Fingerprint of the key that checkpoints were checked with; empty where none was given.
    """
    for fault in done.faults:
        yield f"NOT SOUND: entry {fault.number}: {fault.text}" if fault.number else f"NOT SOUND: {fault.text}"
    if done.more:
        yield f"and {counted(done.more, 'fault')} more"
    if done.sound:
        yield f"sound: {done.entries} entries, each fits the one before it"
    whole = min((fault.number for fault in done.faults if fault.number), default=done.entries + 1)
    proven = [one for one in done.agreed if one.number < whole]
    if proven:
        last = proven[-1]
        yield f"entries 1 to {last.number} are those that stood when {last.told} was made"
        if signer:
            yield f"checkpoints were checked with the key {signer}"
        if last.number < whole - 1:
            yield f"entries {last.number + 1} to {whole - 1} stand on the chain alone: nobody outside has seen them yet"
    elif done.sound:
        yield "this does not prove that nobody wrote all of it anew, or cut its end off: who may write the file can"
        yield "what does: --pub KEY with checkpoints that have left this machine, or --anchor NUMBER:HASH from paper"
    if done.entries:
        yield f"its end now, for paper: {end_of(done).anchor}"


def verified_json(done: Verified) -> dict[str, Any]:
    """The same for programs."""
    return {
        "sound": done.sound,
        "entries": done.entries,
        "hash": done.hash.hex(),
        "anchor": end_of(done).anchor if done.entries else None,
        "faults": [{"number": one.number, "text": one.text} for one in done.faults],
        "more": done.more,
        "agreed": [{"number": one.number, "told": one.told} for one in done.agreed],
    }


def end_of(done: Verified, time: str = "") -> Checkpoint:
    """The end of the trail as a checkpoint says it."""
    return Checkpoint(trail=trail_name(done.first), number=done.entries, hash=done.hash, time=time)


def segments(found: Sequence[tuple[Path, TrailSegment]]) -> Iterator[str]:
    """What segments prove together."""
    for path, one in found:
        yield f"{path.name}: segment {one.number}, entries {one.first} to {one.last}, signed"
    first, last = found[0][1], found[-1][1]
    many = counted(len(found), "segment")
    yield f"sound: {many}, entries {first.first} to {last.last} of {last.trail}, without a gap"
    if first.first > 1:
        yield f"entries 1 to {first.first - 1} are in none of them"


def time_of(at_ns: int) -> str:
    """A time for people, UTC [ns since 1970 UTC]."""
    try:
        return datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "no time of a calendar"


def _cells(record: TrailRecord) -> tuple[str, ...]:
    entry = record.entry
    facts = " ".join(f"{inert(name, CELL)}={_fact(fact)}" for name, fact in sorted(entry.facts.items()))
    texts = (entry.kind, entry.who, entry.origin or "-")
    return (str(record.number), time_of(entry.at_ns), *(inert(text, CELL) for text in texts), inert(facts, FACTS_MOST))


def _fact(fact: Fact) -> str:
    if isinstance(fact, list) and all(isinstance(one, str) for one in fact):
        return ",".join(inert(one, CELL) for one in fact[:10] if isinstance(one, str)) + (
            ",.." if len(fact) > 10 else ""
        )
    return inert(fact if isinstance(fact, str) else json.dumps(fact), 2 * CELL)

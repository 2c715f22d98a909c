"""The text of `checkvalve gaps`: what is missing, what will become of it, and what to do. Pure.

A list of gaps, longest missing first; then, where no repeat is left, the words to type on the high side; then what
cannot come any more. What was here and can no longer be read stands among the gaps, in words of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from protocol.written import counted
from receiver.gap import Gap
from receiver.status.catch import CatchStatus, LostBlocks

SHOWN = 50
"""Most gaps listed; all of them are in `--json`, and in the codes."""


def lines(catch: CatchStatus, moment: Callable[[int], str]) -> Iterator[str]:
    """One after another.

    Args:
        catch: What catch says of itself.
        moment: A time [ns since 1970 UTC] for people.
    """
    for gap in catch.gaps[:SHOWN]:
        yield _line(gap, moment)
    if len(catch.gaps) > SHOWN:
        yield f"and {len(catch.gaps) - SHOWN} more"
    if catch.codes:
        yield "no repeat is left for some: on the high side type"
        yield from (f"  checkvalve replay SENDER.toml {one.code}" for one in catch.codes)
        ends = [gap.lost_ns for gap in catch.gaps if gap.heals_ns is None and gap.lost_ns is not None]
        if ends:
            yield f"the sender keeps them until {moment(min(ends))} at least; then they cannot be had any more"
    for one in catch.lost[:SHOWN]:
        yield f"stream {one.stream.hex()} {_blocks(one)}: the sender lost {_them(one)}"
    counts = catch.blocks
    if counts.lost:
        yield f"{counted(counts.lost, 'block')} cannot come any more: the sender lost them"
    if counts.expired > counts.lost:
        yield f"{counted(counts.expired - counts.lost, 'block')} cannot come any more: the sender keeps them no longer"
    if counts.damaged:
        yield f"of the missing, {counted(counts.damaged, 'block')} journaled here can no longer be read"
    if not catch.gaps:
        yield "no block is missing"
    fates = ("expected", "whole", "repaired", "healed", "missing", "expired")
    yield "blocks: " + ", ".join(f"{fate} {getattr(counts, fate)}" for fate in fates)


def _line(gap: Gap, moment: Callable[[int], str]) -> str:
    which, since = f"stream {gap.stream.hex()} {_blocks(gap)}", moment(gap.since_ns)
    if gap.damaged:
        return f"{which}: damaged or absent here since {since}, use the code"
    if gap.heals_ns is None:
        return f"{which}: missing since {since}, no repeat is left: use the code"
    return f"{which}: missing since {since}, will be repeated at about {moment(gap.heals_ns)}"


def _blocks(gap: Gap | LostBlocks) -> str:
    """Which numbers, for people: the last one too."""
    last = gap.after - 1
    return f"block {last}" if gap.first == last else f"blocks {gap.first} to {last}"


def _them(gap: LostBlocks) -> str:
    return "it" if gap.after - gap.first == 1 else "them"

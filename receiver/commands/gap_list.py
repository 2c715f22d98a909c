"""The text of `checkvalve gaps`: what is missing, what will become of it, and what to do. Pure.

A list of gaps, longest missing first; then, where no repeat is left, the words to type on the high side; then what
cannot come any more. What was here and can no longer be read stands among the gaps, in words of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

SHOWN = 50
"""Most gaps listed; all of them are in `--json`, and in the codes."""


def lines(catch: Mapping[str, Any], moment: Callable[[int], str]) -> Iterator[str]:
    """One after another.

    Args:
        catch: What catch says of itself.
        moment: A time [ns since 1970 UTC] for people.
    """
    gaps = catch["gaps"]
    for gap in gaps[:SHOWN]:
        yield _line(gap, moment)
    if len(gaps) > SHOWN:
        yield f"and {len(gaps) - SHOWN} more"
    codes = catch.get("codes", [])
    if codes:
        yield "no repeat is left for some: on the high side type"
        yield from (f"  checkvalve replay SENDER.toml {one['code']}" for one in codes)
        ends = [gap["lost_ns"] for gap in gaps if gap["heals_ns"] is None and gap.get("lost_ns") is not None]
        if ends:
            yield f"the sender keeps them until {moment(min(ends))} at least; then they cannot be had any more"
    for one in catch.get("lost", [])[:SHOWN]:
        yield f"stream {one['stream']} {_blocks(one)}: the sender lost {_them(one)}"
    counts = dict(catch["blocks"])
    damaged, lost = counts.pop("damaged", 0), counts.pop("lost", 0)
    if lost:
        yield f"{lost} blocks cannot come any more: the sender lost them"
    if counts.get("expired", 0) > lost:
        yield f"{counts['expired'] - lost} blocks cannot come any more: the sender keeps them no longer"
    if damaged:
        yield f"{damaged} of the missing blocks were journaled here and can no longer be read"
    if not gaps:
        yield "no block is missing"
    yield "blocks: " + ", ".join(f"{key} {value}" for key, value in counts.items())


def _line(gap: Mapping[str, Any], moment: Callable[[int], str]) -> str:
    heals, since = gap["heals_ns"], moment(gap["since_ns"])
    if gap.get("damaged"):
        return f"stream {gap['stream']} {_blocks(gap)}: damaged or absent here since {since}, use the code"
    when = "no repeat is left: use the code" if heals is None else f"will be repeated at about {moment(heals)}"
    return f"stream {gap['stream']} {_blocks(gap)}: missing since {since}, {when}"


def _blocks(gap: Mapping[str, Any]) -> str:
    last = gap["to"] - 1
    return f"block {last}" if gap["from"] == last else f"blocks {gap['from']} to {last}"


def _them(gap: Mapping[str, Any]) -> str:
    return "it" if gap["to"] - gap["from"] == 1 else "them"

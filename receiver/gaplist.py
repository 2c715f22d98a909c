"""The text of `checkvalve gaps`: what is missing, what will become of it, and what to do. Pure.

A list of gaps, longest missing first; then, where no repeat is left, the words to type on the high side.
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
    counts = catch["blocks"]
    if counts.get("expired"):
        yield f"{counts['expired']} blocks cannot come any more: the sender keeps them no longer"
    if not gaps:
        yield "no block is missing"
    yield "blocks: " + ", ".join(f"{key} {value}" for key, value in counts.items())


def _line(gap: Mapping[str, Any], moment: Callable[[int], str]) -> str:
    last = gap["to"] - 1
    what = f"block {last}" if gap["from"] == last else f"blocks {gap['from']} to {last}"
    heals = gap["heals_ns"]
    when = "no repeat is left: use the code" if heals is None else f"will be repeated at about {moment(heals)}"
    return f"stream {gap['stream']} {what}: missing since {moment(gap['since_ns'])}, {when}"

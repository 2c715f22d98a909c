"""Journaled and not published: when that is an alarm, and what a person is told (pure).

    waits     an output's own process: blocks that it cannot open, and what they wait for
    behind    publish, and not the output's process, which may be dead: the journal's end against the output's place
    stands    an output's own trouble (its disk, its destination) that does not pass

All count running time, so a wall clock that steps makes no alarm and hides none. A minute is longer than two rounds of
the carousel, in which a sender says again what opens its blocks, and than any restart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime

from protocol.store.resync import START, Place
from receiver.publish.known import Lack
from receiver.publish.waiting import WaitingBlocks
from receiver.status.publish import Unpublished

UNPUBLISHED_S = 60.0
"""A journaled block may be unpublished for this long before it is an alarm [s]."""
ENDS_KEPT = 3600
"""So many ends of the journal are remembered, one a second: an output that is further behind is told as that."""
NEAR = 0.5
"""Share of what the journal keeps, from which on it is said that something will be lost."""
STREAMS_NAMED = 3
"""Most streams that are named in an alarm."""

_WHY = {
    None: ("they are tried again since the start", "It takes as long as reading the journal once"),
    Lack.SIGNER: (
        "they are signed with the key {detail}, which is no `sign` key of [keys] senders",
        "Compare `checkvalve keys show` of both sides, carry the high side's .pub over, then restart publish",
    ),
    Lack.KEY: (
        "they are sealed for {detail}, and the `open` key here is {own}",
        "Compare `checkvalve keys show` of both sides: put the right open.key under [keys] own here and restart "
        "publish, or this side's .pub under [keys] receivers of sender.toml",
    ),
    Lack.OPEN: ("the OPEN of their stream has not come", "{gaps}"),
    Lack.EPOCH: ("the EPOCH with their key has not come (epoch {detail})", "{gaps}"),
    Lack.CATALOG: ("no CATALOG page has come that describes what is in them", "{gaps}"),
}
_GAPS = (
    "It comes again by itself while its sender runs; else type the code that `checkvalve gaps` names on the high side"
)


def waiting_alarms(
    waiting: Iterable[WaitingBlocks], now: float, *, since: float, own: str
) -> tuple[list[str], Unpublished]:
    """Lines for people, and the same as numbers, of blocks that wait longer than they may.

    Args:
        waiting: What an output's opener cannot open yet.
        now: Running time [s].
        since: When that process began [s]: for what it has not met again yet.
        own: How the `open` key's fingerprint begins.
    """
    late: dict[Lack | None, list[WaitingBlocks]] = {}
    for one in waiting:
        if one.numbers.count and now - (since if one.met is None else one.met) > UNPUBLISHED_S:
            late.setdefault(one.lack, []).append(one)
    lines = [_line(lack, late[lack], own) for lack in sorted(late, key=lambda lack: lack or 0)]
    held = [one for those in late.values() for one in those]
    return lines, Unpublished(
        blocks=sum(one.numbers.count for one in held),
        streams=len({one.stream for one in held}),
        since_ns=min((one.time_ns for one in held if one.time_ns), default=None),
    )


class JournalEnds:
    """How far the outputs are behind the journal's end, by looking once a second."""

    def __init__(self) -> None:
        self._ends: list[Place] = []
        self._times: list[float] = []
        """When each end was seen first, rising as the ends do."""

    def note(self, end: Place, now: float) -> None:
        """Take the journal's end as it is now.

        Args:
            now: Running time [s].
        """
        if self._ends and end < self._ends[-1]:
            self._ends.clear()  # another journal
            self._times.clear()
        if end > (self._ends[-1] if self._ends else START):
            self._ends.append(end)
            self._times.append(now)
            del self._ends[:-ENDS_KEPT], self._times[:-ENDS_KEPT]

    def lag_s(self, place: Place, now: float) -> float:
        """Since when there is something behind this place in the journal, as far as was looked [s]; 0.0 for nothing."""
        at = bisect_right(self._ends, place)
        return now - self._times[at] if at < len(self._ends) else 0.0


def lag_alarm(name: str, seconds: float, trouble: str, *, runs: bool, silent_s: float) -> str | None:
    """A line for people where an output is further behind than it may be.

    Args:
        name: The output's.
        seconds: From `JournalEnds.behind_s` [s].
        trouble: What it said last of itself; empty for nothing.
        runs: Whether its process is there.
        silent_s: How long its status has not changed [s].
    """
    if seconds <= UNPUBLISHED_S:
        return None
    if not runs:
        why = "its process ended and is started again and again: its log says why"
    elif silent_s > UNPUBLISHED_S:
        why = "its process runs and says nothing any more: its log may say why; restart publish"
    elif trouble:
        why = f"it says: {trouble[:200]}"
    else:
        why = "it is slower than what comes, or is reading much again"
    return f"{name} is behind: what was journaled {_span(seconds)} ago is not published there; {why}"


def loss_ahead(used: float) -> str:
    """More of that line: what it has not read goes by retention; empty while that is far away.

    Args:
        used: From `JournalRoom.used`.
    """
    if used < NEAR:
        return ""
    return (
        f". It has used {100 * min(used, 1.0):.0f} % of what the journal keeps: beyond that, retention takes what it "
        "has not read. Mend it now, or raise [retention] journal and max_gb and restart catch"
    )


def skipped_line(segments: int) -> str:
    """A line for people: retention took what an output had not read."""
    return (
        f"{segments} segments of the journal went by retention before they were read: what stood in them does not "
        'reach this output by itself. `begin = "history"` in its table hands it over from the history'
    )


class StandingTrouble:
    """An output's trouble, and since when there is one without a break; its words may change meanwhile."""

    def __init__(self) -> None:
        self._since: float | None = None

    def line(self, trouble: str, next_step: str, now: float) -> str:
        """A line for people where it has lasted longer than it may; empty elsewhere.

        Args:
            trouble: What the output says of itself; empty for nothing.
            next_step: What a person does about it; may be empty.
            now: Running time [s].
        """
        if not trouble:
            self._since = None
            return ""
        self._since = now if self._since is None else self._since
        lasted = now - self._since
        if lasted <= UNPUBLISHED_S:
            return ""
        return f"for {_span(lasted)}: {trouble}" + (f". {next_step}" if next_step else "")


def _line(lack: Lack | None, those: list[WaitingBlocks], own: str) -> str:
    blocks = sum(one.numbers.count for one in those)
    streams = sorted({one.stream.hex() for one in those})
    more = f" and {len(streams) - STREAMS_NAMED} more" if len(streams) > STREAMS_NAMED else ""
    began = min((one.time_ns for one in those if one.time_ns), default=0)
    details = sorted({one.lacks[lack] for one in those if lack is not None and one.lacks[lack]})
    why, step = _WHY[lack]
    words = {"detail": " or ".join(details[:STREAMS_NAMED]), "own": own, "gaps": _GAPS}
    many = "" if blocks == 1 else "s"
    return (
        f"{blocks} block{many} of stream {', '.join(streams[:STREAMS_NAMED])}{more}: journaled and not published"
        f"{f' since {_moment(began)}' if began else ''}; {why.format(**words)}. {step.format(**words)}"
    )


def _moment(time_ns: int) -> str:
    try:
        return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{time_ns} ns"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"

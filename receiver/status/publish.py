"""`status-publish.json` and `status-OUTPUT.json`: what publish says of its children, and an output's process of itself.

The writers make these documents too: publish is no end of the link.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.content.applied import AppliedChange
from protocol.store.resync import START, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStatus:
    """A process that publish keeps alive."""

    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishStatus:
    """publish itself."""

    children: Mapping[str, ChildStatus] = field(default_factory=dict)
    """By name: the outputs, and the portal."""
    alarms: tuple[str, ...] = ()
    """A line for each output that is further behind than it may be, which begins with the output's name, and for each
    report of `[[report]]` that failed or is late."""
    warnings: tuple[str, ...] = ()
    """About the journal as a whole, and what the pages' settings open beyond this machine."""
    open: str = ""
    """What anyone reads on the pages without signing in, in a sentence; empty: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpublished:
    """Blocks that wait to be opened for longer than they may."""

    blocks: int = 0
    streams: int = 0
    since_ns: int | None = None
    """When the first of them was journaled [ns since 1970 UTC]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputStatus:
    """An output's process; beside these keys stand the output's own counters (`Output.status`)."""

    place: tuple[int, ...] = ()
    """How far it read the journal: segment, offset."""
    waiting: int = 0
    """Blocks that cannot be opened yet."""
    unpublished: Unpublished = Unpublished()
    alarms: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)
    """Blocks that will never open, by reason."""
    damaged: int = 0
    """Places of the journal that hold no records any more."""
    later_kinds: Mapping[str, int] = field(default_factory=dict)
    """Blocks of kinds that this build does not know."""
    skipped_segments: int = 0
    """Segments of the journal that retention took before they were read, ever."""
    scope: str = ""
    """What it is given, in words: `all`, `vendor Acme Pumps`."""
    behind_blocks: int = 0
    """Journaled and not yet acknowledged by its destination, about: what is not read yet is reckoned from its bytes."""
    behind_s: float = 0.0
    """How long ago the oldest of them was journaled, about [s]; 0.0 where there is none."""
    alarm: bool = False
    """Somebody should look: its trouble lasts for longer than a minute, or it says so itself."""

    @property
    def journal_place(self) -> Place:
        """How far it read; START where it does not say."""
        return Place(*self.place) if len(self.place) == 2 else START


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyMs:
    """From a sample's own time until it was stored [ms]; None where it does not say."""

    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputCounters:
    """What every output counts of itself, in samples; each has more. None: it does not say."""

    latency_ms: LatencyMs = LatencyMs()
    taken: int | None = None
    """Taken over from the journal, durably, since its store began."""
    acknowledged: int | None = None
    """The destination said yes to them; what that means stands in the output's README."""
    held: int | None = None
    """Acknowledged, and kept to be sent again in case the destination loses them."""
    aside: int | None = None
    """Refused by the destination one by one or by class, and kept aside."""
    trouble: str = ""
    """Why nothing can be stored or sent just now; empty while it can."""
    next_step: str = ""
    """What a person does about it; empty where waiting is enough."""
    changes: tuple[AppliedChange, ...] = ()
    """Of the historian: the newest changes of the sender's configuration, newest first."""

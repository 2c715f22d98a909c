"""`status-catch.json`: what catch says of the link once a second.

catch writes it from `receiver/catch/status/picture.py` and loads nothing of this: an end of the link carries no reader,
and no wording. So the file has figures under `watch` in place of the words and codes that are made of them, and
`wording.complete` makes it what readers are shown. A test holds the two together, key by key. All of it is of the link:
catch cannot open a block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from receiver.gap import Gap

STEPS_MOST = 1000
"""Most steps of a link test that are believed; a sender makes 64 at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStatus:
    """The link session, its frames, and what was refused."""

    session: str | None = None
    """In hex, as the sender's status has it; None before the first LINK."""
    confirmed: bool | None = None
    """Whether somebody confirmed the session, or nobody had to; None where it does not say."""
    beat_age_s: float | None = None
    """Age of the last beat when this was written [s]."""
    beat_wall_ns: int | None = None
    """The sender's wall clock in that beat [ns since 1970 UTC]."""
    frames_sent: int = 0
    """As beats said, over all sessions seen."""
    frames_received: int = 0
    frames_lost: int = 0
    """Of those sent between the first and the last beat of a session, as beats count them: on the way or here."""
    loss: float = 0.0
    """Frames lost between the last two beats, 0 to 1."""
    loss_total: float = 0.0
    """Since catch was started."""
    kernel_drops: int = 0
    """Buffers that the kernel dropped at the socket: at least so many frames, one may hold 64 that it had merged."""
    queue_overflow: int = 0
    """Blocks that the writing thread's queue refused."""
    again: int = 0
    """Authentic frames that came more often than they were sent."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Frames, by `protocol.errors.Reason`."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Frames of other wire versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFigures:
    """Blocks, each expected one in exactly one of the five after it."""

    expected: int = 0
    whole: int = 0
    repaired: int = 0
    healed: int = 0
    missing: int = 0
    expired: int = 0
    damaged: int = 0
    """Of the missing: these were journaled and can no longer be read."""
    lost: int = 0
    """Of the expired: these the sender cannot send though it keeps older ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatus(BlockFigures):
    """The blocks of one stream."""

    stream: bytes
    finished: int = 0
    """Numbers below it had their first sending."""
    sealed: int = 0
    """Numbers below it exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderStatus:
    """What the last beat said of the sender."""

    spool: Mapping[str, bool | int | float | str | None] = field(default_factory=dict)
    """Figures of its spool, as a beat of its version carries them."""
    backlog_s: float | None = None
    """How far it is behind [s]."""
    synced: int | None = None
    """Its clock: 1 synchronised, 0 not, 2 not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """Something of the sender that calls for a person (`concerns.py`)."""

    name: str
    """One word for programs, such as `clock-apart`."""
    value: str
    """How much, in a few letters."""
    cause: str
    """What is so, one line."""
    step: str
    """What to do."""
    grave: bool = False
    """It is an alarm, not only a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapCode:
    """What a person types on the high side."""

    stream: bytes = b""
    code: str
    blocks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LostBlocks:
    """Numbers that the sender lost: they can never come."""

    stream: bytes
    first: int = field(metadata={"key": "from"})
    after: int = field(metadata={"key": "to"})
    """One past the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTestStep:
    """One step of a link test, as far as it was received (`receiver/catch/status/probes.py`)."""

    session: int
    step: int
    first: int
    """The first step of its test."""
    last: int
    """The last one."""
    rate: int
    """[kb/s]"""
    burst: int
    """[bytes]"""
    length: int
    """UDP payload of a frame [bytes]."""
    of: int
    """Frames sent."""
    received: int
    """Different ones that came."""
    doubled: int = 0
    lost_kernel: int = 0
    lost_wire: int = 0
    lost_writer: int = 0
    """Blocks of data that the queue refused meanwhile."""
    run: int = 0
    """Longest run of frames that did not come."""

    def __post_init__(self) -> None:
        """Raises ValueError where no test has such a step."""
        if not (0 < self.of >= self.received >= 0 <= self.first <= self.step <= self.last < self.first + STEPS_MOST):
            raise ValueError("no step of a link test")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSession:
    """A session that frames or LINKs named, whether it is believed or not."""

    session: int
    age_s: float
    """How long ago, when this was written [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatOrigin:
    """Whose the last beat is."""

    session: int
    apart_s: float
    """The sender's wall clock in it less ours when this was written [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWatch:
    """Figures of the link that catch leaves to be worded (`alerts.py`)."""

    rates: Mapping[str, float] = field(default_factory=dict)
    """How fast the counts of what was refused or lost rise, over the last five seconds [1/s]."""
    beat: BeatOrigin | None = None
    refused: SeenSession | None = None
    """A session below the floor, heard last then."""
    waiting: SeenSession | None = None
    """The frame that waits longest for its LINK."""
    taken_bytes: int = 0
    """Of blocks that came on their first sending [bytes]."""
    taken_s: float = 0.0
    """In this time [s]."""
    gaps: int = 0
    """How many there are, listed or not."""

    def rate(self, *names: str) -> float:
        """Of these counts together [1/s]."""
        return sum(self.rates.get(name, 0.0) for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchStatus:
    """All of it."""

    warnings: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    """Lines of the concerns that are grave."""
    concerns: tuple[Concern, ...] = ()
    link: LinkStatus = LinkStatus()
    blocks: BlockFigures = BlockFigures()
    sender: SenderStatus = SenderStatus()
    streams: tuple[StreamStatus, ...] = ()
    """Those of the last beats and those that miss something, newest first."""
    gaps: tuple[Gap, ...] = ()
    """Longest missing first, the first thousand."""
    codes: tuple[GapCode, ...] = ()
    """For gaps that no repeat will heal."""
    lost: tuple[LostBlocks, ...] = ()
    probes: tuple[LinkTestStep, ...] = ()
    """Every step remembered, oldest first."""
    linktest: tuple[LinkTestStep, ...] = ()
    """The steps of the newest test."""
    confined: str = ""
    """How the kernel holds the process: on, strict, off or none."""
    confinement: str = ""
    """How the kernel holds the process, in words for people."""
    preflight: str = ""
    """What a fault of the diode's interface does at the start."""
    preflight_unread: tuple[str, ...] = ()
    """What of the interface could not be looked at."""

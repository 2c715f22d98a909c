"""`status-emit.json` and `status-poll.json`: what the two processes of the high side say of themselves, once a second.

emit writes its file from `sender/emit/process.py` and loads nothing of this: an end of the link carries no reader. A
test holds writers and documents together, key by key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.content.applied import AppliedChange


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrandStatus:
    """A replay or a link test that is under way; all empty while there is none."""

    name: str = ""
    kind: str = ""
    """`replay` or `linktest`."""
    step: int | None = None
    """Of a link test, from 1."""
    steps: int | None = None
    sent: int | None = None
    """Blocks of a replay so far."""
    blocks: int | None = None
    """All of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolDamage:
    """What of the spool can no longer be read, and so never be sent (again)."""

    blocks: int = 0
    """Lost; 0 where what stood there is kept a second time, which the warnings say."""
    bytes: int = 0
    """Damaged on the disk [bytes]."""
    ranges: tuple[tuple[str | int, ...], ...] = ()
    """Stream in hex, first, one past the last; the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitStatus:
    """The emitter."""

    session: str = ""
    """The link session, in hex."""
    frames_total: int = 0
    """Over all sessions."""
    frames: int = 0
    """Of this session."""
    bytes: int = 0
    """Of this session."""
    backlog_s: float | None = None
    """How far it is behind [s]; None where it does not say."""
    repeats_dropped: int = 0
    send_errors: int = 0
    skipped_segments: int = 0
    resent_whole_spool: bool = False
    damaged: SpoolDamage = SpoolDamage()
    errand: ErrandStatus = ErrandStatus()
    engine: str = ""
    """What computes the erasure code."""
    clock_synced: int = 2
    """1: the kernel says that the clock is synchronised, 0: that it is not, 2: it does not say."""
    confined: str = ""
    """How the kernel holds the process: on, strict, off or none."""
    confinement: str = ""
    """How the kernel holds the process, in words for people."""
    preflight: str = ""
    """What a fault of the diode's interface does at the start."""
    preflight_unread: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRows:
    """Samples of one asset since the start."""

    read: int = 0
    sent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningConfiguration:
    """The configuration that poll runs."""

    sha256: str = ""
    """Of its file, in hex."""
    change: AppliedChange = field(default_factory=AppliedChange)
    """How it came to run; without a kind: nothing is known of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollStatus:
    """The poller; what it says of its spool and its devices is theirs, and shown as it is."""

    stream: str = ""
    """The stream that it writes, in hex."""
    number: int = 0
    """Number that the next block of the stream gets."""
    counts: Mapping[str, AssetRows] = field(default_factory=dict)
    """By asset."""
    spool: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    assets: Mapping[str, Mapping[str, bool | int | float | str]] = field(default_factory=dict)
    """By name: state, trouble and counters of each device."""
    not_kept: int = 0
    """Rows that a full disk did not take."""
    configuration: RunningConfiguration = RunningConfiguration()
    warnings: tuple[str, ...] = ()

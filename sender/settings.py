"""The settings of the link, `[outlet]` and `[keys]` of `sender.toml`: keys, units, ranges, defaults.

The emitter needs these two tables and no other (read by `link_file.py`); the plant's are in `poll/tables.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from protocol.limits import MTU_LEAST
from protocol.settings.table import File, LinkAddress, Seconds, SettingsTable, Share, Size, listed, one_or_more
from protocol.wire.frame import width_for
from sender.geometry import Geometry

ETHERNET = 14
"""Bytes of an Ethernet header (IEEE 802.3, 3.1)."""


class OutletTable(SettingsTable):
    """The only way out; there is no listening key here."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"to": "192.0.2.2:5005"}

    to: LinkAddress
    """IPv4 address and port of the receiver, or a directed broadcast; never a name, never a multicast group."""
    rate_mbit: Annotated[float, Field(gt=0, le=100_000)] = 20.0
    """Most that leaves [Mbit/s], Ethernet, IP and UDP headers counted; find yours with `linktest`."""
    mtu: Annotated[int, Field(ge=MTU_LEAST, le=65_535)] = 1500
    """Largest IP packet [bytes] (1500: IEEE 802.3; above it jumbo frames and loopback)."""
    loss_target: Annotated[Share, Field(ge=0, lt=0.5)] | None = None
    """Independent loss for which a block shall fail less than once in 1e9; chooses the spares."""
    spare: Annotated[Share, Field(ge=0, le=4)] | None = None
    """Spares as a part of the data, in place of `loss_target`; with neither, 2 a block."""
    spread_ms: Annotated[float, Field(ge=0, le=10_000)] = 50.0
    """Spares leave this much later than the data [ms]: a shorter burst costs nothing."""
    repeat: Annotated[tuple[Seconds, ...], BeforeValidator(listed)] = (20.0, 900.0)
    """Whole blocks again, so long after their first sending [s], rising; empty: never."""
    burst: Size | None = None
    """Most bytes of one send; by default the smaller of 64 KiB and 1 ms of the rate, at least a frame."""

    @property
    def geometry(self) -> Geometry:
        """How blocks are cut."""
        return Geometry(
            width=width_for(self.mtu),
            rate=self.rate_mbit * 1e6 / 8,
            repeats=len(self.repeat),
            loss=self.loss_target,
            share=self.spare,
        )

    def crossed(self) -> Iterator[tuple[str, str]]:
        if self.loss_target is not None and self.spare is not None:
            yield "spare", "excludes loss_target; keep one of the two"
        if list(self.repeat) != sorted(set(self.repeat)):
            yield "repeat", 'does not rise; write the shortest first, such as ["20s", "15m"]'
        if self.burst is not None and self.burst < self.mtu + ETHERNET:
            yield "burst", f"less than a frame ({self.mtu + ETHERNET} bytes); make it larger or leave it out"


class KeysTable(SettingsTable):
    """Whose keys: our own to sign with, theirs to seal for."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"own": "keys/high", "receivers": ["keys/low.pub"]}

    own: File
    """Folder of `sign.key` and `link-sign.key`."""
    receivers: Annotated[tuple[File, ...], BeforeValidator(one_or_more), Field(min_length=1, max_length=4)]
    """Public files of the receivers, carried over by a person; each LINK and EPOCH is sealed to each, so at most 4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """What the emitter is given."""

    path: Path
    outlet: OutletTable
    keys: KeysTable
    """Its paths are absolute."""

    @property
    def state(self) -> Path:
        """Folder of the spool and of the processes' own files: `state` beside the configuration."""
        return self.path.parent / "state"

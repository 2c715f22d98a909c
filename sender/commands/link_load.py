"""What a configuration will ask of the link and of the spool, before anything is sent. Pure.

An upper bound, as if no deadband held anything back, from the bytes a sample takes once packed (`SAMPLE_BYTES`);
`status` shows the true figures later. What leaves, and when, is decided in geometry.py and emit/interleave.py; here it
is asked of them for this load, so that `plan` never tells anything else than what will happen.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from protocol.limits import BLOCK_AGE
from protocol.store.record import HEAD
from protocol.written import duration
from sender.commands.forecast import DeviceLoad
from sender.emit.carousel import ROUND, round_time
from sender.emit.interleave import Portions, portions
from sender.geometry import Geometry

SAMPLE_BYTES = 3.0
"""Bytes a sample takes in a sealed block: 1 to 3 for plant data, 8 at worst (`bench codec`)."""

BLOCK_OVERHEAD = 150
"""Bytes of a block beside its samples: header, seal, column heads (measured on batches of 100 to 1,000 samples)."""

TAG_WIRE = 115
"""Bytes a described tag takes on the wire, spares and headers counted (measured on pages of 500 tags)."""

DAY = 86_400
"""[s]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLoad:
    """What the link and the spool have to carry."""

    samples_s: float
    packed_s: float
    """Sealed blocks [bytes/s]."""
    data_s: float
    """Data frames, headers counted, no spares [bytes/s]."""
    spare_s: float
    """The spares beside them [bytes/s]."""
    repeats: int
    rate_s: float
    """What the outlet may send [bytes/s]."""
    light: bool
    """Spares leave later and are as many as the data: a burst shorter than `spread_ms` costs nothing."""
    need: int
    """Data shards of a block at this load."""
    spare: int
    """Spare shards of a block."""
    frame_bytes: int
    """A frame on the wire, headers counted [bytes]."""
    spool_s: float
    """What the spool takes [bytes/s]."""
    carousel_s: float
    """One round of the catalog [s]: a receiver that starts cold knows every tag after it."""
    pause_s: float
    """Between two portions of a block [s]."""
    data_late_s: float
    """From a block's first portion to the one that completes it in good weather [s]."""
    last_late_s: float
    """And to its last one [s]."""

    @property
    def first_s(self) -> float:
        """First sendings, spares included [bytes/s]."""
        return self.data_s + self.spare_s

    @property
    def whole_s(self) -> float:
        """With every repeat [bytes/s]."""
        return self.first_s * (1 + self.repeats)

    @property
    def fits_s(self) -> float:
        """The highest load, spares included, at which every repeat can leave [bytes/s]."""
        return self.rate_s / (1 + self.repeats)

    @property
    def fits_samples_s(self) -> float:
        """The same in samples, spares as at this load [1/s]."""
        return self.samples_s * self.fits_s / self.first_s if self.first_s else 0.0

    @property
    def overhead(self) -> float:
        """What leaves in all beside the sealed blocks, as a part of them: headers, spares and repeats."""
        return self.whole_s / self.packed_s - 1 if self.packed_s else 0.0

    @property
    def burst_s(self) -> float:
        """The longest outage that costs nothing [s]: it touches one portion of any block, or its spares at once."""
        return self.pause_s or self.spare * self.frame_bytes / self.rate_s

    @property
    def burst_frames(self) -> float:
        """The same in frames at the full rate."""
        return self.burst_s * self.rate_s / self.frame_bytes


def link_load(loads: Sequence[DeviceLoad], geometry: Geometry, spread_s: float = 0.0) -> LinkLoad:
    """The link's load at most, with one block every `BLOCK_AGE` or as they fill.

    Args:
        loads: The devices.
        geometry: The outlet's.
        spread_s: Pause between a block's portions that is wished for [s].
    """
    samples_s = sum(one.samples_s for one in loads)
    bare_s = samples_s * SAMPLE_BYTES
    size = max(1, min(geometry.full, round(bare_s * BLOCK_AGE) + BLOCK_OVERHEAD))
    blocks_s = bare_s / max(1.0, size - BLOCK_OVERHEAD)
    data_s = blocks_s * geometry.on_wire(size)
    need, spare = geometry.cut(size, data_s)
    how: Portions = portions(need, spare, spread_s, geometry.rate)
    tags = sum(point.count for one in loads for scan in one.device.scans for point in scan.points)
    return LinkLoad(
        samples_s=samples_s,
        packed_s=blocks_s * size,
        data_s=data_s,
        spare_s=data_s * spare / need,
        repeats=geometry.repeats,
        rate_s=geometry.rate,
        light=geometry.light(data_s),
        need=need,
        spare=spare,
        frame_bytes=geometry.whole(size, need, spare) // (need + spare),
        spool_s=blocks_s * (size + HEAD.size),
        carousel_s=round_time(tags * TAG_WIRE, geometry.rate),
        pause_s=how.pause,
        data_late_s=latency(how, need),
        last_late_s=latency(how, need + spare),
    )


def latency(how: Portions, frames: int) -> float:
    """How long after the first portion of a block the one that holds its frame number `frames` may leave [s]."""
    total = itertools.accumulate(how.counts)
    return how.pause * next(at for at, after in enumerate(total) if after >= frames)


def lines(link: LinkLoad, repeat: Sequence[float], keep_s: float, max_gb: float) -> Iterator[str]:
    """What people are told.

    Args:
        repeat: Times of the repeats [s].
        keep_s: How long the spool shall keep a block [s].
        max_gb: Most that it takes [GB].
    """
    times = ", ".join(duration(one) for one in repeat) or "never"
    yield f"link: {link.samples_s:,.0f} samples/s by the scans' periods, of {_mbit(link.rate_s)}:"
    yield (
        f"  data {_mbit(link.data_s)}, with spares {_mbit(link.first_s)}, "
        f"with repeats ({times}) {_mbit(link.whole_s)}, {_gb_day(link.whole_s)}"
    )
    yield (
        f"  overhead {link.overhead:.0%} of the sealed blocks: headers, {link.spare} spares for {link.need} data "
        f"frames, {link.repeats} repeats"
    )
    fit = f"  repeats fit up to {_mbit(link.fits_s)} with spares, {link.fits_samples_s:,.0f} such samples/s"
    yield fit if link.first_s <= link.fits_s else f"{fit}: they do not; raise rate_mbit or take a repeat out"
    if link.first_s > link.rate_s:
        yield "  MORE THAN THE LINK CARRIES even without repeats: blocks pile up in the spool"
    yield (
        f"  a burst of loss up to {duration(round(link.burst_s, 4))} costs nothing "
        f"({link.burst_frames:,.0f} frames at the full rate)"
    )
    yield (
        f"  added latency: at most {duration(BLOCK_AGE)} until a block is closed, "
        f"{duration(round(link.data_late_s, 4))} in good weather, {duration(round(link.last_late_s, 4))} where its "
        "last spares are needed"
    )
    if link.carousel_s > ROUND:
        takes = duration(round(link.carousel_s))
        yield f"  a round of the tags' descriptions takes {takes}: it keeps to 10 % of the rate"
    yield from _spool(link, keep_s, max_gb)


def _spool(link: LinkLoad, keep_s: float, max_gb: float) -> Iterator[str]:
    wants = link.spool_s * keep_s / 1e9
    line = f"spool: {_gb_day(link.spool_s)}; {duration(keep_s)} are {wants:,.3g} GB of max_gb = {max_gb:g}"
    if wants <= max_gb:
        yield line
    else:
        yield f"{line}: it holds {duration(round(max_gb * 1e9 / link.spool_s))}, and the oldest sent blocks go first"


def _mbit(bytes_s: float) -> str:
    return f"{bytes_s * 8e-6:,.3g} Mb/s"


def _gb_day(bytes_s: float) -> str:
    return f"{bytes_s * DAY / 1e9:,.3g} GB a day"

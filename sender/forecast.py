"""What a configuration will ask of devices and of the link, before anything is sent. Pure.

For a device: each read request that its collector plans, how often, and how many bytes it puts on the device's network
(the protocol's own; TCP and IP headers come on top). For the link: an upper bound, as if no deadband held anything
back, from the bytes a sample takes once packed (`SAMPLE_BYTES`); `status` shows the true figure later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collectors.base import Device, Request
from protocol.limits import BLOCK_AGE
from sender.geometry import Geometry

SAMPLE_BYTES = 3.0
"""Bytes a sample takes in a sealed block: 1 to 3 for plant data, 8 at worst (`bench codec`)."""

BLOCK_OVERHEAD = 150
"""Bytes of a block beside its samples: header, seal, column heads (measured on batches of 100 to 1,000 samples)."""

SEGMENT = 40
"""IPv4 and TCP headers [bytes] (RFC 791, RFC 9293), counted once a request and once a reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLoad:
    """What one device has to answer."""

    device: Device
    requests: tuple[Request, ...]

    @property
    def requests_s(self) -> float:
        """Requests [1/s]."""
        return sum(1 / one.every_s for one in self.requests)

    @property
    def bytes_s(self) -> float:
        """Both ways, with TCP and IP headers [bytes/s]."""
        return sum((one.request_bytes + one.reply_bytes + 2 * SEGMENT) / one.every_s for one in self.requests)

    @property
    def samples_s(self) -> float:
        """Samples read [1/s]."""
        return sum(point.count / scan.every_s for scan in self.device.scans for point in scan.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLoad:
    """What the link has to carry."""

    samples_s: float
    data_s: float
    """Data frames, headers counted, no spares [bytes/s]."""
    spare_s: float
    """The spares beside them [bytes/s]."""
    repeats: int
    rate_s: float
    """What the outlet may send [bytes/s]."""
    light: bool
    """Spares leave later and are as many as the data: a burst shorter than `spread_ms` costs nothing."""

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


def link_load(loads: Sequence[DeviceLoad], geometry: Geometry) -> LinkLoad:
    """The link's load at most, with one block every `BLOCK_AGE` or as they fill."""
    samples_s = sum(one.samples_s for one in loads)
    packed_s = samples_s * SAMPLE_BYTES
    size = max(1, min(geometry.full, round(packed_s * BLOCK_AGE) + BLOCK_OVERHEAD))
    blocks_s = packed_s / max(1.0, size - BLOCK_OVERHEAD)
    data_s = blocks_s * geometry.on_wire(size)
    need, spare = geometry.cut(size, data_s)
    return LinkLoad(
        samples_s=samples_s,
        data_s=data_s,
        spare_s=data_s * spare / need,
        repeats=geometry.repeats,
        rate_s=geometry.rate,
        light=geometry.light(data_s),
    )

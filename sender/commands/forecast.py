"""What a configuration will ask of devices, before anything is sent. Pure.

Each read request that a collector plans, how often, and how many bytes it puts on the device's network (the
protocol's own; TCP and IP headers come on top). What the link will carry of it: link_load.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from collectors.base import Device, Request

SEGMENT = 40
"""IPv4 and TCP headers [bytes] (RFC 791, RFC 9293), counted once a request and once a reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLoad:
    """What one device has to answer."""

    device: Device
    requests: tuple[Request, ...]

    @property
    def requests_s(self) -> float:
        """Requests that the device is asked to answer [1/s]."""
        return sum(1 / one.every_s for one in self.requests)

    @property
    def bytes_s(self) -> float:
        """Both ways, with TCP and IP headers [bytes/s]."""
        return sum((one.request_bytes + one.reply_bytes + 2 * SEGMENT) / one.every_s for one in self.requests)

    @property
    def samples_s(self) -> float:
        """Samples read [1/s]."""
        return sum(point.count / scan.every_s for scan in self.device.scans for point in scan.points)

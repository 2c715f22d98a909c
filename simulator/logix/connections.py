"""The connection manager of a false controller: Forward Open and Close, and the route of an Unconnected Send.

    Forward Open   -> a connection id and a size; only transport class 3, to the message router
    SendUnitData   -> by that id, until it is closed, its session ends or it was silent for too long
    Forward Close  -> by serial, vendor and originator

A controller of the older kind refuses the large Forward Open (`refuse_large`), and clients fall back to 500 bytes; a
small one grants less (`largest`) and tells how much.
Connections of class 0 and 1 would drive outputs: refused.

Source: ODVA, The CIP Networks Library, volume 1 (3-5.5 services and table 3-5.33 error codes).
"""

from __future__ import annotations

import itertools
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simulator.logix.cip import CipError, Extended, GeneralStatus, PathSegment, SegmentType, parse_path

SEQUENCE = 2
"""Bytes of a connection's size that its sequence count takes."""

LARGEST = {False: 511, True: 4002}
"""Largest connection, plain and large [bytes]: the plain field has 9 bits; 4002 is what Logix grants."""

SMALLEST = 64
"""Smallest connection granted [bytes]: below it no tag list entry fits."""

MOST = 32
"""Connections of one session."""

MESSAGE_TRANSPORT = 3
"""Transport class of explicit messages; 0 and 1 are implicit I/O."""


@dataclass(slots=True)
class CipConnection:
    """One open connection."""

    to: int
    """The originator's connection id, which stands in every reply."""
    size: int
    """Most bytes of a message, sequence count included."""
    key: tuple[int, int, int]
    """Connection serial, vendor and originator serial: what Forward Close names it by."""
    silence_s: float
    """It ends after this long without a request: RPI x timeout multiplier."""
    last_s: float
    """When it was last used, by the monotonic clock [s]."""

    @property
    def room(self) -> int:
        """Most bytes of a reply."""
        return self.size - SEQUENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Chassis:
    """What all sessions of a controller share."""

    slot: int = 0
    """The link address behind port 1 at which the controller sits."""
    refuse_large: bool = False
    largest: int = LARGEST[True]
    """Largest connection granted [bytes]."""
    counts: Counter[str]
    numbers: Iterator[int]
    """Connection ids, none twice."""
    now: Callable[[], float] = time.monotonic


def chassis(
    counts: Counter[str], *, slot: int = 0, refuse_large: bool = False, largest: int = LARGEST[True]
) -> Chassis:
    """One chassis, its connection ids counting from 0x20010000."""
    numbers = itertools.count(0x20010000)
    return Chassis(slot=slot, refuse_large=refuse_large, largest=largest, counts=counts, numbers=numbers)


class Connections:
    """The connections of one session."""

    def __init__(self, shared: Chassis) -> None:
        self.shared = shared
        self._connections: dict[int, CipConnection] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def get(self, number: int) -> CipConnection | None:
        """The connection of that id, if it is open and was not silent for too long."""
        connection = self._connections.get(number)
        if connection is None:
            return None
        now = self.shared.now()
        if now - connection.last_s > connection.silence_s:
            del self._connections[number]
            self.shared.counts["connections_timed_out"] += 1
            return None
        connection.last_s = now
        return connection

    def clear(self) -> None:
        """Close every connection."""
        self._connections.clear()

    def open(self, data: bytes, *, large: bool) -> bytes:
        """Forward Open; gives back the data of its reply.

        Raises:
            CipError: refused, with the extended status that says why.
        """
        if large and self.shared.refuse_large:
            raise CipError(GeneralStatus.SERVICE_NOT_SUPPORTED)
        form = "<BBIIHHIB3xI" + ("IIIBB" if large else "HIHBB")
        fields = struct.unpack_from(form, data)
        _, _, _, to, serial, vendor, originator, multiplier, rpi, out, rpi_back, back, transport, words = fields
        key = (serial, vendor, originator)
        rest = struct.pack("<HHIBB", *key, 0, 0)
        path = data[struct.calcsize(form) :]
        if len(path) != words * 2:
            raise CipError(GeneralStatus.CONNECTION_FAILURE, Extended.INVALID_SEGMENT, rest=rest)
        self._route(parse_path(path), rest)
        if transport & 0x0F != MESSAGE_TRANSPORT:
            raise CipError(GeneralStatus.CONNECTION_FAILURE, Extended.TRANSPORT_NOT_SUPPORTED, rest=rest)
        mask = 0xFFFF if large else 0x1FF
        most = min(LARGEST[large], self.shared.largest)
        if not all(SMALLEST <= one & mask <= most for one in (out, back)):
            raise CipError(GeneralStatus.CONNECTION_FAILURE, Extended.INVALID_CONNECTION_SIZE, most, rest=rest)
        if any(one.key == key for one in self._connections.values()):
            raise CipError(GeneralStatus.CONNECTION_FAILURE, Extended.CONNECTION_IN_USE, rest=rest)
        if len(self._connections) >= MOST:
            raise CipError(GeneralStatus.CONNECTION_FAILURE, Extended.OUT_OF_CONNECTIONS, rest=rest)
        number = next(self.shared.numbers)
        silence_s = max(rpi / 1e6 * (4 << min(multiplier, 7)), 1.0)
        self._connections[number] = CipConnection(to, back & mask, key, silence_s, self.shared.now())
        self.shared.counts["large_forward_opens" if large else "forward_opens"] += 1
        return struct.pack("<IIHHIIIBB", number, to, *key, rpi, rpi_back, 0, 0)

    def close(self, data: bytes) -> bytes:
        """Forward Close; gives back the data of its reply.

        Raises:
            CipError: no such connection.
        """
        key = struct.unpack_from("<HHI", data, 2)
        rest = struct.pack("<HHIBB", *key, 0, 0)
        gone = [number for number, one in self._connections.items() if one.key == key]
        if not gone:
            raise CipError(GeneralStatus.CONNECTION_FAILURE, Extended.CONNECTION_NOT_FOUND, rest=rest)
        for number in gone:
            del self._connections[number]
        return rest

    def unwrap(self, data: bytes) -> bytes:
        """The request inside an Unconnected Send, if its route leads to this controller.

        Raises:
            CipError: it leads elsewhere, or the lengths contradict each other.
        """
        _, _, length = struct.unpack_from("<BBH", data)
        at = 4 + length + length % 2
        words = data[at]
        route = data[at + 2 : at + 2 + words * 2]
        if len(data) < at or len(route) != words * 2:
            raise CipError(GeneralStatus.NOT_ENOUGH_DATA)
        self._route(parse_path(route), bytes((words,)))
        return data[4 : 4 + length]

    def _route(self, path: list[PathSegment], rest: bytes) -> None:
        """Port segments must lead to our own slot, or there is none."""
        hops = [one for one in path if one.part is SegmentType.PORT]
        if not hops:
            return
        if len(hops) > 1 or hops[0].number != 1:
            raise CipError(GeneralStatus.CONNECTION_FAILURE, Extended.PORT_NOT_AVAILABLE, rest=rest)
        if hops[0].name != str(self.shared.slot):
            raise CipError(GeneralStatus.CONNECTION_FAILURE, Extended.LINK_ADDRESS_NOT_AVAILABLE, rest=rest)

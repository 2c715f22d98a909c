"""The library, held on a short line: pycomm3's LogixDriver with a guard, a deadline and checked replies.

What is changed, and why:

    tag list    kept as long as the controller's change counts stand: a large one takes seconds to upload
    _send       every message passes the allow list of `guard.py` before a byte of it leaves
    _sock       the library's socket waits 5 s for each 256 bytes, and spins for ever on a connection that is closed in
                the middle of a reply; ours has one deadline a reply and ends
    _receive    the reply must be to this request: command, encapsulation status, sequence number, service

Connections are never repaired: after any failure the driver is thrown away (the library's own state cannot be trusted
then; ottowayi/pycomm3#103). Blocking; it lives in one thread a device.

Sources: pycomm3 1.2.16 (cip_driver.py, logix_driver.py); 1756-PM020 (type words of replies, change detection).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import struct
import threading
import time
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import numpy as np
from pycomm3 import CommError, LogixDriver, PycommError, ResponseError
from pycomm3.cip import PADDED_EPATH, Array, DataSegment, DataTypes, LogicalSegment
from pycomm3.custom_types import FixedSizeString
from pycomm3.packets import SendUnitDataRequestPacket

from collectors.budget import Budget
from collectors.enip.config import Address, Config
from collectors.enip.guard import check
from collectors.enip.refusal import explain
from collectors.guard import Guard

logging.getLogger("pycomm3").setLevel(logging.CRITICAL)  # it logs every error with the bytes of the message

UPLOAD_S = 120.0
"""Longest time for one tag list [s]: 9.5 s were seen on a large program (ottowayi/pycomm3#286)."""

SMALL = 500
"""Connection size without a large Forward Open [bytes] (1756-PM020)."""

HEADER = 24
"""Bytes of the encapsulation header."""

CHANGE_COUNTS = struct.pack("<6H", 5, 1, 2, 3, 4, 10)
"""The attributes of class 0xAC that move when the tag list may be another (1756-PM020, "Detecting changes")."""

STRING_HANDLE = 0x0FCE
"""Handle of the predefined STRING: 4 bytes length, 82 of text, 2 of padding."""


UPLOADED: dict[tuple[Any, ...], tuple[bytes, dict[str, Any]]] = {}
"""Which controller -> change counts before its tag list was uploaded, and the list: assets of one controller and new
connections share it. One for each controller that is configured; replaced whole, never changed in place."""


class Depth(IntEnum):
    """How much the device is asked when the connection is opened."""

    LIST = 0
    """Who it is, and its tag list: a Logix controller."""
    NAME = 1
    """Who it is, as far as it tells."""
    NOTHING = 2
    """Only the session and the connection."""


class Transport:
    """The TCP connection, in the shape that the library calls.

    Args:
        timeout_s: Longest wait to connect, and for one whole reply [s].
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.sent_bytes = 0
        self.answered = False
        """The device has sent something."""
        self.given_up = threading.Event()
        """Somebody called `abort`: whoever waits shall go on and fail."""
        self._socket: socket.socket | None = None

    def connect(self, host: str, port: int) -> None:
        """Open the connection. Raises OSError."""
        self._socket = socket.create_connection((host, port), self.timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, message: bytes) -> None:
        """Send one message whole. Raises OSError."""
        held = self._held()
        held.settimeout(self.timeout_s)
        self.sent_bytes += len(message)
        held.sendall(message)

    def receive(self) -> bytes:
        """One whole message. Raises OSError; TimeoutError where it was not there in time."""
        until = time.monotonic() + self.timeout_s
        data = self._exactly(b"", HEADER, until)
        (length,) = struct.unpack_from("<H", data, 2)
        return self._exactly(data, HEADER + length, until)

    def _exactly(self, data: bytes, size: int, until: float) -> bytes:
        held = self._held()
        while len(data) < size:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no whole reply within {self.timeout_s:g} s")
            held.settimeout(left)
            part = held.recv(size - len(data))
            if not part:
                raise ConnectionResetError("the device closed the connection")
            self.answered = True
            data += part
        return data

    def _held(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionResetError("the connection was given up")
        return self._socket

    def abort(self) -> None:
        """Wake whoever waits for a reply; may be called from another thread."""
        self.given_up.set()
        held = self._socket
        if held is not None:
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let the socket go; may be called twice."""
        held, self._socket = self._socket, None
        if held is not None:
            held.close()


class NotConnected(CommError):
    """The device was reached, and opens no connection."""


class Driver(LogixDriver):
    """One connection to one controller.

    Args:
        config: Where it is and how it is reached.
        guard: Counts and reports what is not let through.
        timeout_s: Longest wait for one reply [s].
        depth: How much it is asked.
        programs: The tag list includes the programs' own tags.
        budget: How often it may be asked.
    """

    def __init__(
        self, config: Config, guard: Guard, *, timeout_s: float, depth: Depth, programs: bool, budget: Budget
    ) -> None:
        route = "/".join(f"{port}/{link}" for port, link in config.route)
        super().__init__(f"0.0.0.0/{route}", init_tags=depth is Depth.LIST, init_program_tags=programs)
        self.depth, self._route = depth, route
        # the library takes a url apart at its colons and refuses port 65535: hand it the parts
        self._cfg["ip address"], self._cfg["port"] = config.host, config.port
        if not (config.large and depth is Depth.LIST):
            # without a tag list the size of what comes is not known, so the small size is the safe one
            self._cfg["extended forward open"], self._cfg["connection_size"] = False, SMALL
        self.transport = self._sock = Transport(timeout_s)
        self.guard = guard
        self._budget = budget
        if not config.route:
            self._cfg["cip_path"] = []  # the library puts slot 0 where nothing is typed
        self._asked = self._heard = b""
        self._upload_until: float | None = None

    # -- what the collector calls

    def enter(self) -> None:
        """Connect, identify, upload. Raises PycommError, OSError, or WriteRefused if the guard has a hole to show."""
        self._upload_until = time.monotonic() + UPLOAD_S
        if not self.open():
            raise CommError("the device registered no session")
        if not self._forward_open() and not self._fall_back():
            raise NotConnected(explain(self._heard[40:], self._product()))
        self._upload_until = None
        self.quicken()

    def reload(self, *, programs: bool) -> None:
        """Upload the tag list again."""
        self._upload_until = time.monotonic() + UPLOAD_S
        self._upload(programs)
        self._upload_until = None
        self.quicken()

    def leave(self) -> None:
        """Close the connection and the session as it should be, if that works; never raises."""
        with contextlib.suppress(PycommError, OSError):
            self.close()
        self.transport.close()

    def exchange(self, request: Any) -> Any:
        """Send one request of the library's by the connection; its response, `data` and `service_status` in it."""
        return self.send(request)

    def singly(self) -> None:
        """From now on one request a tag: this device knows no packets of several."""
        self._micro800 = True

    def change_counts(self) -> bytes | None:
        """What moves when the tag list may be another one; None where the device does not tell."""
        answer = self.generic_message(
            service=0x03, class_code=0xAC, instance=1, request_data=CHANGE_COUNTS, name="change_counts"
        )
        return bytes(answer.value) if answer.error is None and answer.value else None

    def by_name(self) -> None:
        """From now on address tags by name: instance numbers are not to be trusted here."""
        self._cfg["use_instance_ids"] = False

    def quicken(self) -> None:
        """Have arrays of numbers decoded in one go instead of element by element."""
        for tag in self._tags.values():
            letter = _DTYPES.get(tag["data_type"]) if tag["tag_type"] == "atomic" else None
            if tag["dim"] and letter is not None and not hasattr(tag["type_class"], "packed"):
                tag["type_class"] = _packed(tag["type_class"], np.dtype("<" + letter))

    def forget(self) -> None:
        """Know no tag any more."""
        self._tags.clear()

    def apart(self) -> None:
        """Have a tag list of its own, to which tags may be added that the controller does not list."""
        self._tags: dict[str, Any] = dict(self._tags)

    def learn(self, address: Address, count: int) -> bool:
        """Read one element to learn its type, and describe it as the tag list would; False if it cannot be read.

        An array may be named with element numbers and without, in any order: it stays an array.
        """
        prefix = self._type_of(address)
        info = None if prefix is None else _described(prefix, len(address.steps[-1].index) or int(count > 1))
        if info is None:
            return False
        place: dict[str, Any] = self._tags
        name = _spelled(address.scope + address.steps[0].name, place)
        for step, following in itertools.pairwise(address.steps):
            above = {"data_type": {"internal_tags": {}}, "dim": len(step.index), "dimensions": [0, 0, 0]}
            place = place.setdefault(name, above)["data_type"]["internal_tags"]
            name = _spelled(following.name, place)
        if name not in place or place[name]["dim"] <= info["dim"]:
            place[name] = info
        return True

    def _type_of(self, address: Address) -> bytes | None:
        """The first bytes of the reply to a Read Tag, which say the type."""
        segments: list[Any] = [DataSegment(address.scope[:-1])] if address.program else []
        for number, step in enumerate(address.steps):
            last = number == len(address.steps) - 1
            segments.append(DataSegment(step.name))
            segments += [LogicalSegment(0 if last else one, "member_id") for one in step.index]
        request = SendUnitDataRequestPacket(self._sequence)
        request.add(b"\x4c", PADDED_EPATH.encode(segments, length=True), b"\x01\x00")
        response = self.send(request)
        return bytes(response.data[:4]) if response and len(response.data) >= 2 else None

    # -- what the library calls

    def _initialize_driver(self, init_tags: bool, init_program_tags: bool, tag_namespace_filter: str = "") -> None:
        """After the session is registered: whatever `depth` asks for."""
        if self.depth is Depth.LIST:
            super()._initialize_driver(False, False)
            if init_tags:
                self._upload(init_program_tags)
        elif self.depth is Depth.NAME:
            self._micro800 = self._list_identity().get("product_name", "").startswith("2080")
            if self._micro800:
                self._cfg["cip_path"] = []  # these have no backplane
            with contextlib.suppress(ResponseError):
                self._info = self.get_plc_info()

    def _upload(self, programs: bool) -> None:
        """The tag list: the one that was uploaded before, where the controller says that nothing has moved since."""
        who = (self._cfg["ip address"], self._cfg["port"], self._route, programs, self._info.get("serial"), self.name)
        counts = self.change_counts()
        held = UPLOADED.get(who)
        if held is not None and held[0] == counts:
            self._tags = held[1]
            return
        self.get_tag_list(program="*" if programs else None)
        if counts is not None:
            UPLOADED[who] = counts, self._tags

    def _product(self) -> str:
        """What the device calls itself."""
        with contextlib.suppress(PycommError, OSError):
            return str(self._info.get("product_name") or self._list_identity().get("product_name", ""))
        return ""

    def _fall_back(self) -> bool:
        """The small connection, where the large one was refused."""
        if not self._cfg["extended forward open"]:
            return False
        self._cfg["extended forward open"], self._cfg["connection_size"] = False, SMALL
        return bool(self._forward_open())

    def _send(self, message: bytes) -> None:
        reason = check(message)
        if reason is not None:
            self.guard.refuse(reason)
        if self._upload_until is not None and time.monotonic() > self._upload_until:
            raise CommError(f"the tag list took longer than {UPLOAD_S:g} s")
        self._budget.pause(self.transport.given_up)
        self._asked = message
        super()._send(message)

    def _receive(self) -> bytes:
        reply: bytes = super()._receive()
        asked, self._heard = self._asked, reply
        if reply[:2] != asked[:2]:
            raise CommError("the reply is to another command")
        (status,) = struct.unpack_from("<I", reply, 8)
        if status:
            raise CommError(f"the device answered with encapsulation status 0x{status:02x}")
        connected = asked[:2] == b"\x70\x00"
        if connected and (len(reply) < HEADER + 26 or reply[44:46] != asked[44:46] or reply[46] != asked[46] | 0x80):
            raise CommError("the reply is to another request")
        return reply


def _spelled(name: str, place: Mapping[str, Any]) -> str:
    """The name as it was first spelled there: names do not distinguish case."""
    return next((one for one in place if one.lower() == name.lower()), name)


_DTYPES = {
    "SINT": "i1",
    "INT": "i2",
    "DINT": "i4",
    "LINT": "i8",
    "USINT": "u1",
    "UINT": "u2",
    "UDINT": "u4",
    "ULINT": "u8",
    "REAL": "f4",
    "LREAL": "f8",
}


def _packed(kind: Any, dtype: np.dtype[Any]) -> type[Any]:
    """The library's array type, decoding to a numpy array."""

    class Packed(kind):
        packed = True

        @classmethod
        def decode(cls, buffer: Any, length: int | None = None) -> Any:
            count = length or cls.length
            raw = buffer.read(count * dtype.itemsize)
            if len(raw) < count * dtype.itemsize:
                raise ValueError("fewer elements than asked for")
            return np.frombuffer(raw, dtype)

    return Packed


def _described(prefix: bytes, dims: int) -> dict[str, Any] | None:
    """A tag's description as the library makes it from the tag list; None for a type that only the list explains.

    Args:
        prefix: The reply's first bytes: type word, and for a structure its handle.
        dims: Dimensions, of unknown size.
    """
    code, handle = struct.unpack("<HH", prefix.ljust(4, b"\0"))
    if code == 0x02A0:
        if handle != STRING_HANDLE:
            return None
        template = {"structure_size": 88, "structure_handle": handle}
        data_type = {"name": "STRING", "string": 82, "template": template, "attributes": [], "internal_tags": {}}
        kind: Any = FixedSizeString(84)
        info = {"tag_type": "struct", "data_type": data_type, "data_type_name": "STRING"}
    else:
        name = DataTypes.get(code & 0xFF)
        if name is None:
            return None
        kind = DataTypes.get_type(code & 0xFF)
        info = {"tag_type": "atomic", "data_type": name, "data_type_name": name}
    sized = Array(1, kind) if dims else kind
    return {**info, "type_class": sized, "instance_id": None, "dim": dims, "dimensions": [0, 0, 0]}

"""The listening side of the false OPC UA device: the library's server, watched, and spoiled as its faults say.

    refuse [0x80..]      a service fault with that StatusCode (BadInternalError unless given)
    busy                 a service fault BadServerTooBusy
    hang                 no response, to publish requests neither: the device froze
    late, slow           the response later; in pieces
    reset                RST
    short                one result too few
    wrong_function       a response of another service
    wrong_transaction    under another request id
    wrong_unit           under another secure channel's id
    garbage              random bytes in place of a chunk

Requests about sessions and channels meet no fault: a session can always be had. What cannot be a chunk ends the
connection, counted, where the library would keep it and try it again with every byte that comes.

Source: OPC 10000-6, 6.7.2 (chunks), 7.1 (connection protocol); OPC 10000-4, 7.39 (service results).
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

from asyncua import Server, ua
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import header_from_binary, nodeid_from_binary

from simulator.device_faults import Act, DeviceFaults, Fault

CHUNK_BYTES = 65535
"""Longest chunk taken."""

MESSAGE_BYTES = 4 << 20
"""Longest request of several chunks."""

PIECES = 10
"""Into so many a slow response is cut, at most."""

MOST_SESSIONS = 500
"""Sessions at once, those included whose connection was lost and that have not timed out yet."""

SESSION_MS = 60_000
"""Longest session timeout granted."""

BAD_INTERNAL_ERROR = 0x80020000
BAD_SERVER_TOO_BUSY = 0x80EE0000
BAD_TOO_MANY_SESSIONS = 0x80560000

_SUFFIX = "Request_Encoding_DefaultBinary"
SERVICES: dict[int, str] = {
    int(getattr(ua.ObjectIds, name)): name.removesuffix(_SUFFIX) for name in dir(ua.ObjectIds) if name.endswith(_SUFFIX)
}
"""Number of a request's encoding -> its service."""

ABOUT_SESSIONS = frozenset(
    (
        *("CreateSession", "ActivateSession", "CloseSession", "OpenSecureChannel", "CloseSecureChannel"),
        *("GetEndpoints", "FindServers", "RegisterServer", "RegisterServer2", "FindServersOnNetwork"),
    )
)

CHANGING = frozenset(("Write", "Call", "AddNodes", "DeleteNodes", "AddReferences", "DeleteReferences", "HistoryUpdate"))
"""Services that change something, or act; refused, and counted."""

COUNTS = ("requests", "refused", "malformed")


class DeviceWire:
    """What the connections of one device share."""

    def __init__(self, faults: DeviceFaults, asked: Callable[[str], None]) -> None:
        self.faults = faults
        self.asked = asked
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))


class _Processor(UaProcessor):  # type: ignore[misc]
    """One connection's requests."""

    def __init__(self, iserver: Any, transport: Any, limits: Any, wire: DeviceWire) -> None:
        super().__init__(iserver, transport, limits)
        self._watch = wire
        self._spoiled: dict[int, Fault] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._slow: asyncio.Queue[tuple[bytes, float]] | None = None

    async def process_message(self, seqhdr: Any, body: Any) -> Any:
        """Count it, and let it meet its fault."""
        service = SERVICES.get(nodeid_from_binary(body.copy()).Identifier, "unknown service")
        wire = self._watch
        wire.counts["requests"] += 1
        wire.asked(service)
        if service in CHANGING:
            wire.counts["refused"] += 1
        if service == "CreateSession" and len(self.iserver._external_sessions) >= MOST_SESSIONS:
            self._refuse(seqhdr, body, BAD_TOO_MANY_SESSIONS)
            return True
        fault = wire.faults.meet("", 0, 1) if wire.faults and service not in ABOUT_SESSIONS else None
        if fault is None:
            return await super().process_message(seqhdr, body)
        match fault.act:
            case Act.HANG | Act.ABSENT:
                return True
            case Act.RESET:
                reset(self._transport)
                return True
            case Act.LATE:
                task = asyncio.create_task(self._answer_later(fault.seconds, seqhdr, body))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
                return True
            case Act.REFUSE | Act.BUSY:
                code = fault.code if fault.code > 0xFFFF else BAD_INTERNAL_ERROR
                self._refuse(seqhdr, body, BAD_SERVER_TOO_BUSY if fault.act is Act.BUSY else code)
                return True
        self._spoiled[seqhdr.RequestId] = fault
        return await super().process_message(seqhdr, body)

    def send_response(self, requesthandle: Any, seqhdr: Any, response: Any, msgtype: Any = None) -> None:
        """Encode and send; spoiled where its request met a fault."""
        if self._transport.is_closing():
            return  # a subscription outlives its connection for a while
        fault = self._spoiled.pop(seqhdr.RequestId, None)
        kind = ua.MessageType.SecureMessage if msgtype is None else msgtype
        number = seqhdr.RequestId
        if fault is not None and fault.act is Act.SHORT:
            _shorten(response)
        elif fault is not None and fault.act is Act.WRONG_FUNCTION:
            response = ua.ReadResponse() if isinstance(response, ua.BrowseResponse) else ua.BrowseResponse()
        elif fault is not None and fault.act is Act.WRONG_TRANSACTION:
            number ^= 0x5555
        response.ResponseHeader.RequestHandle = requesthandle
        data = self._connection.message_to_binary(
            ua.ua_binary.struct_to_binary(response), message_type=kind, request_id=number
        )
        if fault is not None and fault.act is Act.WRONG_UNIT:
            data = data[:8] + bytes(one ^ 0x55 for one in data[8:12]) + data[12:]
        elif fault is not None and fault.act is Act.GARBAGE:
            data = self._watch.faults.random.randbytes(len(data))
        if self._slow is not None:
            self._slow.put_nowait((data, 0.0))
        elif fault is not None and fault.act is Act.SLOW:
            self._slow = asyncio.Queue()
            self._slow.put_nowait((data, fault.seconds))
            task = asyncio.create_task(self._dribble(self._slow))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        else:
            self._transport.write(data)

    def _refuse(self, seqhdr: Any, body: Any, code: int) -> None:
        inner = body.copy()
        nodeid_from_binary(inner)
        header = ua.ua_binary.struct_from_binary(ua.RequestHeader, inner)
        response = ua.ServiceFault()
        response.ResponseHeader.ServiceResult = ua.StatusCode(code)
        self.send_response(header.RequestHandle, seqhdr, response)

    async def close(self) -> None:
        """The connection is over, with what was still to be said."""
        for task in tuple(self._late):
            task.cancel()
        await super().close()

    async def _answer_later(self, seconds: float, seqhdr: Any, body: Any) -> None:
        await asyncio.sleep(seconds)
        await super().process_message(seqhdr, body)

    async def _dribble(self, queue: asyncio.Queue[tuple[bytes, float]]) -> None:
        """Send in pieces what waits; what comes meanwhile waits behind it."""
        while not queue.empty():
            data, seconds = queue.get_nowait()
            size = -(-len(data) // PIECES) if seconds else len(data)
            for at in range(0, len(data), size):
                self._transport.write(data[at : at + size])
                await asyncio.sleep(seconds / PIECES)
        self._slow = None


class _WireProtocol(OPCUAProtocol):  # type: ignore[misc]
    """One connection's bytes."""

    def __init__(self, wire: DeviceWire, **given: Any) -> None:
        super().__init__(**given)
        self._buffer = b""
        self._watch = wire

    def connection_made(self, transport: Any) -> None:
        """Give a client that came a processor of its own."""
        super().connection_made(transport)
        if self.transport is not None:
            self.processor = _Processor(self.iserver, transport, self.limits, self._watch)
            self.processor.set_policies(self.policies)

    def data_received(self, data: bytes) -> None:
        """Whole chunks go to be processed; what cannot begin a chunk ends the connection."""
        self._buffer += data
        while len(self._buffer) >= 8 and self.transport is not None and not self.transport.is_closing():
            kind, final, size = struct.unpack_from("<3scI", self._buffer)
            if kind not in _KINDS or final not in _FINALS or not 8 < size <= CHUNK_BYTES:
                self._broken()
                return
            if len(self._buffer) < size:
                return
            chunk, self._buffer = self._buffer[:size], self._buffer[size:]
            try:
                buffer = Buffer(chunk)
                self.messages.put_nowait((header_from_binary(buffer), buffer))
            except Exception:  # noqa: BLE001 - whatever the library's decoder makes of hostile bytes, it is the client's
                self._broken()

    async def _process_one_msg(self, header: Any, buf: Any) -> bool:
        try:
            going_on: bool = await super()._process_one_msg(header, buf)
        except Exception:  # noqa: BLE001 - same
            self._broken()
            return False
        return going_on

    def _broken(self) -> None:
        self._watch.counts["malformed"] += 1
        self._buffer = b""
        if self.transport is not None:
            self.transport.close()


class _Listener(BinaryServer):  # type: ignore[misc]
    """Accepts connections of our kind."""

    def __init__(self, wire: DeviceWire, *given: Any) -> None:
        super().__init__(*given)
        self._watch = wire

    def _make_protocol(self) -> _WireProtocol:
        return _WireProtocol(
            self._watch,
            iserver=self.iserver,
            policies=self._policies,
            clients=self.clients,
            closing_tasks=self.closing_tasks,
            limits=self.limits,
        )


class WatchedServer(Server):  # type: ignore[misc]
    """The library's server with our listener; it can leave and come back without building its address space anew."""

    def __init__(self, wire: DeviceWire, user_manager: Any) -> None:
        super().__init__(user_manager=user_manager)
        self.watch = wire
        self.iserver.max_session_timeout_ms = SESSION_MS
        self.limits = TransportLimits(
            max_recv_buffer=CHUNK_BYTES,
            max_send_buffer=CHUNK_BYTES,
            max_chunk_count=MESSAGE_BYTES // CHUNK_BYTES + 1,
            max_message_size=MESSAGE_BYTES,
        )

    async def start(self) -> None:
        """Listen, for the first time."""
        await self._setup_server_nodes()
        await self.iserver.start()
        host, port = self._get_bind_socket_info()
        self.bserver = _Listener(self.watch, self.iserver, host, port, self.limits)
        self.bserver.set_policies(self._policies)
        await self.bserver.start()

    async def leave(self) -> None:
        """Reset every connection, forget sessions and subscriptions, listen no more."""
        for transport in tuple(self.iserver.asyncio_transports):
            reset(transport)
        await self.bserver.stop()
        for session in tuple(self.iserver._external_sessions.values()):
            await session.close_session(True)
        owner = self.iserver.subscription_service
        await owner.delete_subscriptions(list(owner.subscriptions))

    async def back(self) -> None:
        """Listen on the same port."""
        await self.bserver.start()


def reset(transport: Any) -> None:
    """End a connection with RST."""
    owner = transport.get_extra_info("socket")
    if owner is not None and not transport.is_closing():
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # on, 0 s
    transport.abort()


def draw_of(seed: int, starts: int) -> random.Random:
    """Where the numbers of NodeIds come from after so many starts."""
    return random.Random(f"{seed} {starts}")


def _shorten(response: Any) -> None:
    """The last result is missing."""
    holder = response if hasattr(response, "Results") else getattr(response, "Parameters", None)
    if holder is not None and getattr(holder, "Results", None):
        holder.Results = holder.Results[:-1]


_KINDS = frozenset((b"HEL", b"OPN", b"MSG", b"CLO", b"ERR", b"ACK"))
_FINALS = frozenset((b"F", b"C", b"A"))

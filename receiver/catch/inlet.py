"""The one way in: a UDP socket with one verb, `receive`.

It is bound and nothing else: never connected, never a member of a group (joining one speaks to the network), and no
call here could put a datagram on the wire. The kernel may hand over up to 64 equally long datagrams of one sender as
one buffer (UDP_GRO); where it does not, those that wait are laid side by side here, so that both come to the same. What
the kernel dropped because nobody took it in time is told by the kernel itself (SO_RXQ_OVFL), so that it is never taken
for loss on the link.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import time

from protocol.errors import ConfigError, HeldError
from protocol.process.confine import pin
from receiver.catch.datagrams import Datagrams

_RCVBUFFORCE, _RXQ_OVFL = 33, 40  # asm-generic/socket.h
_UDP_GRO = 104  # linux/udp.h
_WORD = struct.Struct("=I")
_CONTROL = 2 * socket.CMSG_SPACE(_WORD.size)
_LARGEST = 65_536
"""No datagram and no merged buffer is longer [bytes]."""


class Inlet:
    """Datagrams in, nothing out."""

    def __init__(self, host: str, port: int, buffer_bytes: int, *, pinned: bool = False) -> None:
        """
        Args:
            host: IPv4 address of this machine, or a directed broadcast of its network.
            port: UDP port.
            buffer_bytes: Receive buffer asked for [bytes].
            pinned: At the descriptor that the system-call filter names.

        Raises:
            ConfigError: the address is not this machine's.
            HeldError: another process listens there.
        """
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.buffer_bytes = _enlarge(self._socket, buffer_bytes)
        """Receive buffer that the kernel granted [bytes]."""
        self.kernel_drops = 0
        """What the kernel dropped here, as of the last datagram; datagrams that it had merged count as one."""
        self._socket.setsockopt(socket.SOL_SOCKET, _RXQ_OVFL, 1)
        with contextlib.suppress(OSError):  # a kernel before 5.0 gives one datagram a call
            self._socket.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            text = f"inlet.listen: {host}:{port}: {error.strerror}"
            raise (HeldError if error.errno == errno.EADDRINUSE else ConfigError)(text) from None
        if pinned:
            self._socket = socket.socket(fileno=pin(self._socket.detach()))
        self._view = memoryview(bytearray(2 * _LARGEST))
        self._odd: Datagrams | None = None
        """Read already, and not of the length of those before it."""
        self._receive = self._socket.recvmsg_into
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def receive(self, until: float) -> Datagrams | None:
        """The next datagrams; they lie in one buffer and are true until the next call.

        Args:
            until: Wait no longer than this [s, monotonic]; None where none came in time.
        """
        try:
            return self._select()
        except BlockingIOError:
            wait_s = until - time.monotonic()
        if wait_s > 0 and self._poll.poll(wait_s * 1000):
            with contextlib.suppress(BlockingIOError):  # a datagram whose checksum was wrong wakes and is not there
                return self._select()
        return None

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _select(self) -> Datagrams:
        """What waits: the kernel's own buffer, or as many equally long datagrams as there are and fit."""
        if self._odd is not None:
            odd, self._odd = self._odd, None
            return odd
        each, end = self._read(0)
        if not 0 < each == end:
            return Datagrams(self._view[:end], each)
        while end <= _LARGEST:
            try:
                each_next, end_next = self._read(end)
            except BlockingIOError:
                break
            if not each_next == each == end_next - end:
                self._odd = Datagrams(memoryview(bytes(self._view[end:end_next])), each_next)
                break
            end = end_next
        return Datagrams(self._view[:end], each)

    def _read(self, at: int) -> tuple[int, int]:
        """Read one buffer to a place in the view: (length of a datagram, end of the buffer).

        Raises:
            BlockingIOError: nothing waits.
        """
        size, control, _, _ = self._receive((self._view[at:],), _CONTROL, socket.MSG_DONTWAIT)
        each = size
        for level, kind, data in control:
            (value,) = _WORD.unpack_from(data)
            if level == socket.IPPROTO_UDP and kind == _UDP_GRO:
                each = value
            elif level == socket.SOL_SOCKET and kind == _RXQ_OVFL:
                self.kernel_drops += (value - self.kernel_drops) % 2**32  # the kernel counts in 32 bits
        return each, at + size


def _enlarge(sock: socket.socket, size: int) -> int:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, size)  # needs CAP_NET_ADMIN
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)  # up to net.core.rmem_max
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # the kernel tells it with its own overhead

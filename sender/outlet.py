"""The one way out: a UDP socket with one verb, `send`.

It is never connected (a connected socket would hear ICMP errors), never bound by us, and deaf: a locked filter
discards whatever comes before it is queued, so there is nothing to receive and no call here that could. DF is set and
path-mtu news from the network are ignored (IP_PMTUDISC_PROBE): the sender learns nothing from the other side.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct

from protocol.confine import pin
from protocol.errors import ConfigError

_UDP_SEGMENT = 103  # linux/udp.h
_MTU_DISCOVER, _PROBE = 10, 3  # linux/in.h: IP_MTU_DISCOVER, IP_PMTUDISC_PROBE
_ATTACH_FILTER, _LOCK_FILTER = 26, 44  # asm-generic/socket.h
_PASSING = (errno.ENOBUFS, errno.EAGAIN, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EPERM)


class Outlet:
    """Frames out, nothing in."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.IPPROTO_IP, _MTU_DISCOVER, _PROBE)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)  # two receivers: a directed broadcast
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        _deafen(self._socket)
        self._segments = True
        self.errors = 0
        """Sends that the system refused (interface down, no route): those frames are lost, repeats heal them."""

    def send(self, frames: memoryview, length: int) -> None:
        """Send equally long frames, one after another in `frames` (the last may be shorter).

        Raises:
            ConfigError: a frame is larger than the interface's mtu.
        """
        try:
            if len(frames) > length and self._segments:
                control = [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", length))]
                self._socket.sendmsg([frames], control, 0, self._to)
                return
            for at in range(0, len(frames), length):
                self._socket.sendto(frames[at : at + length], self._to)
        except OSError as error:
            self._failed(error, frames, length)

    def pin(self) -> None:
        """Move the socket to the descriptor that the system-call filter names."""
        self._socket = socket.socket(fileno=pin(self._socket.detach()))

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _failed(self, error: OSError, frames: memoryview, length: int) -> None:
        if error.errno == errno.EMSGSIZE:
            text = f"a frame of {length} bytes does not fit the mtu of the interface to {self._to[0]}"
            raise ConfigError(text, hint="lower [outlet] mtu, or raise the interface's") from None
        if error.errno in (errno.EIO, errno.EINVAL) and self._segments and len(frames) > length:
            self._segments = False  # a device without checksum offload: plain sends from now on
            self.send(frames, length)
            return
        if error.errno not in _PASSING:
            raise error
        self.errors += -(-len(frames) // length)


def _deafen(sock: socket.socket) -> None:
    """Discard everything at the socket, before it is queued; cannot be undone (SO_LOCK_FILTER), needs no privilege."""
    code = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: ret 0
    program = struct.pack("HxxxxxxQ" if struct.calcsize("P") == 8 else "HxxI", 1, ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
    sock.setsockopt(socket.SOL_SOCKET, _LOCK_FILTER, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)

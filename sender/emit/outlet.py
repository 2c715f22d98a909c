"""The one way out: a UDP socket with one verb, `send`.

It is never connected (a connected socket would hear ICMP errors), never bound by us, and deaf: a locked filter
discards whatever comes before it is queued, so there is nothing to receive and no call here that could. DF is set and
path-mtu news from the network are ignored (IP_PMTUDISC_PROBE): the sender learns nothing from the other side.

What the system answers to a send is of this machine alone, and none of it ends the sender:

    no room just now                            the frames are lost and counted, repeats heal them
    larger than the mtu, down, gone, no route   nothing of them left: they may be given again, `trouble` says the fix
    anything else                               lost, counted and told
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct

from protocol.limits import UDP_HEADERS
from protocol.process.confine import pin

_UDP_SEGMENT = 103  # linux/udp.h
_MTU_DISCOVER, _PROBE = 10, 3  # linux/in.h: IP_MTU_DISCOVER, IP_PMTUDISC_PROBE
_ATTACH_FILTER, _LOCK_FILTER = 26, 44  # asm-generic/socket.h
_FULL = (errno.ENOBUFS, errno.EAGAIN)
_GONE = (
    errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL, errno.EINVAL,
    errno.EIO,
)  # fmt: skip
_REFUSED = (errno.EPERM, errno.EACCES)


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
        """Frames that the system refused, each as often as they were given."""
        self.trouble = ""
        """Why it takes nothing, and the next step; empty while it does."""
        self._too_large = 0

    def send(self, frames: memoryview, length: int) -> bool:
        """Send equally long frames, one after another in `frames` (the last may be shorter).

        Returns:
            False where the interface does not take them as it is now; they may be given again.
        """
        try:
            if len(frames) > length and self._segments:
                control = [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", length))]
                self._socket.sendmsg([frames], control, 0, self._to)
            else:
                for at in range(0, len(frames), length):
                    self._socket.sendto(frames[at : at + length], self._to)
        except OSError as error:
            return self._failed(error, frames, length)
        if self.trouble and length >= self._too_large:
            self.trouble, self._too_large = "", 0
        return True

    def pin(self) -> None:
        """Move the socket to the descriptor that the system-call filter names."""
        self._socket = socket.socket(fileno=pin(self._socket.detach()))

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _failed(self, error: OSError, frames: memoryview, length: int) -> bool:
        code = error.errno
        if code in (errno.EIO, errno.EINVAL) and self._segments and len(frames) > length:
            self._segments = False  # a device without checksum offload: plain sends from now on
            return self.send(frames, length)
        self.errors += -(-len(frames) // length)
        if code in _FULL:
            return True
        host, why = self._to[0], error.strerror
        if code == errno.EMSGSIZE:
            size = length + UDP_HEADERS
            self._too_large = length
            self.trouble = (
                f"packets of {size} bytes do not fit the mtu of the interface to {host}; data wait for it. Raise it "
                f"(ip link set dev INTERFACE mtu {size}) and they leave by themselves, or lower [outlet] mtu and start "
                "emit again"
            )
        elif code in _GONE:
            self.trouble = (
                f"the interface to {host} takes nothing ({why}): it is down, or its address or route is gone "
                "(`checkvalve setup high --verify`). What is new waits in the spool, and leaves by itself afterwards"
            )
        elif code in _REFUSED:
            self.trouble = f"this machine's own firewall refuses what is sent to {host} ({why}): nft list ruleset"
        else:
            self.trouble = (
                f"sending to {host} fails ({why}, errno {code}): those frames are lost, repeats must heal them"
            )
            return True
        return False


def _deafen(sock: socket.socket) -> None:
    """Discard everything at the socket, before it is queued; cannot be undone (SO_LOCK_FILTER), needs no privilege."""
    code = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: ret 0
    program = struct.pack("HxxxxxxQ" if struct.calcsize("P") == 8 else "HxxI", 1, ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
    sock.setsockopt(socket.SOL_SOCKET, _LOCK_FILTER, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)

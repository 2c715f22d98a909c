"""The bad link between two real sockets: datagrams go from `listen` to `to`, and nothing goes back.

    high side --> [inlet] LinkModel, heap of times [outlet] --> low side
                                                       ^ counted, never forwarded: datagrams and ICMP errors

The inlet is only received from and the outlet only sent from; there is no line here that sends towards the high side.
What the outlet hears all the same is what a diode would have stopped, so it is counted as `frames_back`: datagrams to
its port (it is unconnected, so from any address), and ICMP errors, which the kernel queues one by one with IP_RECVERR.
A datagram that arrives at the inlet from the low side's own address is counted too, not carried. An error that is
pending makes the next send fail without sending (udp(7)); that send is repeated, so the relay itself loses nothing.
"""

from __future__ import annotations

import errno
import heapq
import os
import select
import socket
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError
from simulator import status
from simulator.link.model import FateTrace, LinkModel

Address = tuple[str, int]

BUFFER_BYTES = 64 * 1024 * 1024
"""Asked of the kernel for the inlet [bytes]: half a second of 1 Gbit/s; without privilege it gives rmem_max."""

BATCH = 256
"""Datagrams taken from the inlet before the outlet and the clock are looked at again."""

WAIT_S = 0.2
"""Longest wait [s]: bounds how late a stop or a status is."""

TRIES = 8
"""Sends repeated because an error from the low side was pending; each one takes one error away."""

IP_RECVERR = 11
SO_RCVBUFFORCE = 33
FROM_ICMP = 2
"""SO_EE_ORIGIN_ICMP (linux/errqueue.h): the error came in a datagram, not from this machine."""


class Relay:
    """One direction of a link, in the calling thread."""

    def __init__(
        self,
        model: LinkModel,
        listen: Address,
        to: Address,
        clock: Callable[[], float],
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """
        Args:
            model: What the link does; its time starts at 0 now.
            listen: Where the high side sends to; a taken port moves up, port 0 is any.
            to: The low side's address.
            clock: Seconds that never go back.
            tell: Takes the lines of the trace; None for no trace.

        Raises:
            ConfigError: an address that is not ours, or no free port.
        """
        self.model = model
        self.to = to
        self.back_datagrams = 0
        """Heard from the low side."""
        self.back_errors = 0
        """ICMP errors from the low side."""
        self.unsent = 0
        """Datagrams that this machine would not send (too long, no route); nothing else is lost here."""
        self._clock = clock
        self._start = clock()
        self._tell = tell
        self._trace = FateTrace()
        self._waiting: list[tuple[float, int, bytes]] = []
        self._order = 0
        self._inlet = _bound(listen)
        self._outlet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._outlet.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        self._outlet.bind(("127.0.0.1" if to[0].startswith("127.") else "", 0))
        self._poll = select.poll()
        self._poll.register(self._inlet, select.POLLIN)
        self._poll.register(self._outlet, select.POLLIN)
        self._buffer = bytearray(65536)

    @property
    def listening(self) -> Address:
        """Where the inlet really is."""
        host, port = self._inlet.getsockname()
        return str(host), int(port)

    @property
    def frames_back(self) -> int:
        """All that came from the low side."""
        return self.back_datagrams + self.back_errors

    def report(self) -> dict[str, Any]:
        """The counters and the settings, as plain values."""
        return {
            **asdict(self.model.counts),
            "frames_back": self.frames_back,
            "back_datagrams": self.back_datagrams,
            "back_errors": self.back_errors,
            "unsent": self.unsent,
            "overflow": self._overflow(),
            "waiting": len(self._waiting),
            "uptime_s": round(self._clock() - self._start, 3),
            "listen": f"{self.listening[0]}:{self.listening[1]}",
            "to": f"{self.to[0]}:{self.to[1]}",
            "settings": self.model.settings(),
        }

    def run(self, stop: Callable[[], bool], status_file: Path | None = None) -> None:
        """Carry datagrams until `stop()`; the status file is renewed once a second and at the end."""
        due = 0.0
        while not stop():
            self.step(WAIT_S)
            now = self._clock()
            if status_file is not None and now >= due:
                due = now + 1.0
                status.write(status_file, self.report())
        self._send_due(float("inf"))
        if self._tell is not None and (line := self._trace.rest()):
            self._tell(line)
        if status_file is not None:
            self._hear()
            status.write(status_file, self.report())

    def step(self, wait_s: float) -> None:
        """One turn: wait for something to come or to be due, at most `wait_s`; take it in, send what is due."""
        if self._waiting:
            wait_s = min(wait_s, max(0.0, self._waiting[0][0] - (self._clock() - self._start)))
        for descriptor, _ in self._poll.poll(int(wait_s * 1000 + 0.999)):
            if descriptor == self._inlet.fileno():
                self._receive()
            else:
                self._hear()
        self._send_due(self._clock() - self._start)

    def close(self) -> None:
        """Let go of both sockets."""
        self._inlet.close()
        self._outlet.close()

    def _receive(self) -> None:
        """From the inlet into the model, and straight on where there is nothing to wait for."""
        now = self._clock() - self._start
        buffer, carry = self._buffer, self.model.carry
        view = memoryview(buffer)
        for _ in range(BATCH):
            try:
                size, sender = self._inlet.recvfrom_into(buffer)
            except BlockingIOError:
                return
            if sender == self.to:
                self.back_datagrams += 1
                continue
            arrivals = carry(now, bytes(view[:size]))
            if self._tell is not None and (line := self._trace.add(now, self.model.fate)):
                self._tell(line)
            for at, datagram in arrivals:
                if at <= now and not self._waiting:
                    self._send(datagram)
                else:
                    heapq.heappush(self._waiting, (at, self._order, datagram))
                    self._order += 1

    def _send_due(self, now: float) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            self._send(heapq.heappop(self._waiting)[2])

    def _send(self, datagram: bytes) -> None:
        for _ in range(TRIES):
            try:
                self._outlet.sendto(datagram, self.to)
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    break
                self._hear()
            else:
                return
        self.unsent += 1

    def _hear(self) -> None:
        """Count what came from the low side. It is read to be forgotten."""
        for _ in range(BATCH):
            try:
                _, extra, _, _ = self._outlet.recvmsg(0, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            for level, kind, data in extra:
                if (level, kind) == (socket.IPPROTO_IP, IP_RECVERR) and struct.unpack_from("=IB", data)[1] == FROM_ICMP:
                    self.back_errors += 1
        for _ in range(BATCH):
            try:
                self._outlet.recvmsg(0, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                continue  # the error that was counted above, told once more
            self.back_datagrams += 1

    def _overflow(self) -> int:
        """Datagrams that the kernel dropped because the inlet's buffer was full."""
        inode = str(os.fstat(self._inlet.fileno()).st_ino)
        for line in Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            if words[9] == inode:
                return int(words[12])
        return 0


def _bound(address: Address) -> socket.socket:
    """A non-blocking UDP socket with a large buffer, on the port or the next free one above."""
    host, port = address
    for wanted in range(port, min(port + 200, 65536)) if port else (0,):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.bind((host, wanted))
        except OSError as error:
            made.close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise ConfigError(f"{host}:{wanted}: {error.strerror}", hint="give an address of this machine") from error
        try:
            made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        except PermissionError:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        made.setblocking(False)
        return made
    raise ConfigError(f"{host}: no free port from {port} on", hint="give another port")

"""Laws of the one way out: nothing that this machine answers to a send ends the sender, and each answer is told."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

import pytest

from sender.emit.outlet import Outlet


class Kernel:
    """Stands for the socket: takes datagrams up to an mtu, or answers with an error."""

    def __init__(self) -> None:
        self.mtu = 1500
        self.answer = 0
        self.segments = True
        self.taken: list[int] = []

    def sendto(self, frame: memoryview, to: Any) -> None:
        """One datagram."""
        if self.answer:
            raise OSError(self.answer, os.strerror(self.answer))
        if len(frame) + 28 > self.mtu:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        self.taken.append(len(frame))

    def sendmsg(self, buffers: list[memoryview], control: Any, flags: int, to: Any) -> None:
        """Several at once."""
        if not self.segments:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        length = int.from_bytes(control[0][2], "little")
        for at in range(0, len(buffers[0]), length):
            self.sendto(buffers[0][at : at + length], to)


@pytest.fixture
def out() -> Iterator[tuple[Outlet, Kernel]]:
    """An outlet and the kernel under it."""
    made, kernel = Outlet("192.0.2.2", 5005), Kernel()
    own = made._socket
    made._socket = kernel  # type: ignore[assignment]
    yield made, kernel
    own.close()


def test_an_mtu_that_was_lowered_is_told_and_heals_by_itself(out: tuple[Outlet, Kernel]) -> None:
    """Full frames are given back, small ones leave, the line names the fix and goes when a full one left again."""
    outlet, kernel = out
    full, small = memoryview(bytes(3 * 1472)), memoryview(bytes(184))
    assert outlet.send(full, 1472)
    kernel.mtu = 1400
    assert not outlet.send(full, 1472)
    assert not outlet.send(full[:1472], 1472)
    assert outlet.send(small, 184)
    assert "packets of 1500 bytes do not fit" in outlet.trouble
    assert "mtu 1500" in outlet.trouble
    assert outlet.errors == 4
    kernel.mtu = 1500
    assert outlet.send(full, 1472)
    assert outlet.trouble == ""
    assert kernel.taken == [1472] * 3 + [184] + [1472] * 3


@pytest.mark.parametrize(
    ("code", "kept", "says"),
    [
        (errno.ENETUNREACH, True, "down, or its address or route is gone"),
        (errno.EHOSTUNREACH, True, "down, or its address or route is gone"),
        (errno.ENETDOWN, True, "down, or its address or route is gone"),
        (errno.ENODEV, True, "down, or its address or route is gone"),
        (errno.EADDRNOTAVAIL, True, "down, or its address or route is gone"),
        (errno.EINVAL, True, "down, or its address or route is gone"),
        (errno.EIO, True, "down, or its address or route is gone"),
        (errno.EPERM, True, "firewall"),
        (errno.ENOBUFS, False, ""),
        (errno.EAGAIN, False, ""),
        (errno.EFAULT, False, "errno 14"),
        (errno.ENOMEM, False, "errno 12"),
    ],
)
def test_no_answer_ends_the_sender(out: tuple[Outlet, Kernel], code: int, kept: bool, says: str) -> None:
    """Frames are kept where the interface is in the way, lost and counted else; what is not a moment's is told."""
    outlet, kernel = out
    kernel.answer = code
    assert outlet.send(memoryview(bytes(2 * 200)), 200) is not kept
    assert outlet.errors == 2
    assert (says in outlet.trouble) if says else not outlet.trouble
    kernel.answer = 0
    assert outlet.send(memoryview(bytes(100)), 100)
    assert outlet.trouble == ""


def test_a_device_without_segments_is_sent_to_one_by_one(out: tuple[Outlet, Kernel]) -> None:
    """And that is no error."""
    outlet, kernel = out
    kernel.segments = False
    assert outlet.send(memoryview(bytes(5 * 200)), 200)
    assert (kernel.taken, outlet.errors, outlet.trouble) == ([200] * 5, 0, "")

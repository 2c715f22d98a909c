"""Laws of the one socket: datagrams come whole and apart, waits end, and there is no verb that sends."""

from __future__ import annotations

import ast
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import ConfigError, HeldError
from receiver.catch import inlet as module
from receiver.catch.inlet import Inlet


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def datagrams(inlet: Inlet, until: float) -> list[memoryview]:
    """The next datagrams, one by one; none where none came in time."""
    found = inlet.receive(until)
    return [] if found is None else found.split()


@pytest.fixture
def ends() -> Iterator[tuple[Inlet, socket.socket]]:
    """An inlet, and a socket connected to it."""
    port = free_port()
    inlet = Inlet("127.0.0.1", port, 1 << 20)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        yield inlet, sender
    inlet.close()


def test_datagrams_come_as_they_were_sent(ends: tuple[Inlet, socket.socket]) -> None:
    """Empty, small and the largest ones, in order."""
    inlet, sender = ends
    for size in (0, 1, 1472, 65_507):
        sender.send(bytes([size % 251]) * size)
        assert [bytes(one) for one in datagrams(inlet, time.monotonic() + 5)] == [bytes([size % 251]) * size]


def test_datagrams_merged_by_the_kernel_are_cut_apart(ends: tuple[Inlet, socket.socket]) -> None:
    """A segmented send arrives as the datagrams it was made of, the short last one too."""
    inlet, sender = ends
    sent = [bytes([index]) * 1000 for index in range(40)] + [b"last"]
    control = [(socket.IPPROTO_UDP, 103, struct.pack("=H", 1000))]  # UDP_SEGMENT
    sender.sendmsg([b"".join(sent)], control)
    got: list[bytes] = []
    calls = 0
    while len(got) < len(sent):
        found = datagrams(inlet, time.monotonic() + 5)
        assert found, f"only {len(got)} came"
        got += [bytes(one) for one in found]
        calls += 1
    assert got == sent
    assert calls < len(sent), "the kernel merged nothing"


def test_datagrams_that_wait_come_as_one_run_where_the_kernel_merged_nothing(
    ends: tuple[Inlet, socket.socket],
) -> None:
    """Equally long ones side by side; one of another length begins a buffer, an empty one and a merged one too."""
    inlet, sender = ends
    sent = [bytes([index]) * 700 for index in range(30)]
    sent += [b"short", b"", b"x" * 1200, *(bytes([index]) * 700 for index in range(8)), b"y" * 60_000, b"z" * 60_000]
    for one in sent:
        sender.send(one)
    merged = [bytes([index]) * 350 for index in range(4)]
    for _ in range(2):
        sender.sendmsg([b"".join(merged)], [(socket.IPPROTO_UDP, 103, struct.pack("=H", 350))])
    sizes: list[int] = []
    got: list[bytes] = []
    while len(got) < len(sent) + 2 * len(merged):
        found = datagrams(inlet, time.monotonic() + 5)
        assert found, f"only {len(got)} came"
        sizes.append(len(found))
        got += [bytes(one) for one in found]
    assert got == sent + 2 * merged
    assert sizes[:4] == [30, 1, 1, 1], "those of one length did not come together"


def test_a_wait_ends_at_its_time(ends: tuple[Inlet, socket.socket]) -> None:
    """Nothing came: an empty list, not before the time; a time that has passed does not wait."""
    inlet, _ = ends
    started = time.monotonic()
    assert inlet.receive(started + 0.05) is None
    assert 0.05 <= time.monotonic() - started < 1.0
    assert inlet.receive(started - 1) is None


def test_what_the_kernel_drops_is_counted(ends: tuple[Inlet, socket.socket]) -> None:
    """With a buffer that is too small, received and dropped together are what was sent."""
    inlet, sender = ends
    inlet._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    for _ in range(500):
        sender.send(bytes(1000))
    count = 0
    while found := datagrams(inlet, 0.0):
        count += len(found)
    sender.send(b"one more, which tells the count")
    count += len(datagrams(inlet, time.monotonic() + 5))
    assert inlet.kernel_drops > 300
    assert count + inlet.kernel_drops == 501


def test_the_buffer_that_was_granted_is_told(ends: tuple[Inlet, socket.socket]) -> None:
    """As much as was asked, or less where the kernel does not allow it; never an invented figure."""
    inlet, _ = ends
    assert inlet.buffer_bytes == inlet._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    assert 0 < inlet.buffer_bytes <= 1 << 20


def test_an_address_that_is_not_ours_is_the_operators_and_one_that_is_taken_may_be_free_soon(
    ends: tuple[Inlet, socket.socket],
) -> None:
    """Both name the key of the configuration; only the first is a mistake in it."""
    port = ends[1].getpeername()[1]
    with pytest.raises(ConfigError, match=r"inlet\.listen: 192\.0\.2\.77"):
        Inlet("192.0.2.77", port, 1 << 16)
    with pytest.raises(HeldError, match=r"inlet\.listen"):
        Inlet("127.0.0.1", port, 1 << 16)


def test_the_inlet_has_no_verb_that_sends_connects_or_joins() -> None:
    """Its source names none of them, and it stays short enough to be read at a glance."""
    source = Path(module.__file__).read_text()
    names = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    assert "recvmsg_into" in names
    assert not {name for name in names if "send" in name or "connect" in name or "write" in name}
    assert not names & {"IP_ADD_MEMBERSHIP", "IPV6_JOIN_GROUP", "MCAST_JOIN_GROUP", "listen", "accept"}
    assert len(source.splitlines()) < 150

"""The relay on real sockets: it loses only what the model loses, hears the low side and passes nothing back."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol.errors import ConfigError
from simulator.link.model import LinkModel
from simulator.link.relay import Relay

ROOT = Path(__file__).parents[3]


@contextmanager
def port() -> Iterator[socket.socket]:
    """A UDP socket on a free port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        yield made


@contextmanager
def relay(to: tuple[str, int], model: LinkModel | None = None) -> Iterator[Relay]:
    made = Relay(model or LinkModel(1), ("127.0.0.1", 0), to, time.monotonic)
    try:
        yield made
    finally:
        made.close()


def turn(made: Relay, until: Callable[[], object], wait_s: float = 5.0) -> None:
    """Let the relay work until the condition holds."""
    deadline = time.monotonic() + wait_s
    while not until():
        assert time.monotonic() < deadline, made.report()
        made.step(0.01)


def received(where: socket.socket) -> list[tuple[bytes, tuple[str, int]]]:
    """All that waits in a socket."""
    got = []
    waiting = select.poll()  # select() bears no descriptor above 1,023, and a neighbour's test may hold thousands
    waiting.register(where, select.POLLIN)
    while waiting.poll(0):
        got.append(where.recvfrom(65536))
    return got


def carried(made: Relay, high: socket.socket, low: socket.socket, sent: list[bytes]) -> list[bytes]:
    """Send, let the relay take it in, and collect; a few at a time, for a plain socket's buffer is small."""
    got: list[bytes] = []
    for at in range(0, len(sent), 20):
        offered = made.model.counts.offered + len(sent[at : at + 20])
        for one in sent[at : at + 20]:
            high.sendto(one, made.listening)
        turn(made, lambda offered=offered: made.model.counts.offered == offered)  # type: ignore[misc]
        got += [one for one, _ in received(low)]
    return got


def test_a_good_relay_carries_everything_in_order_unaltered() -> None:
    """Every size from nothing to the largest datagram, byte for byte."""
    sent = [os.urandom(size) for size in (0, 1, 32, 1400, 1472, 9000, 65507)] + [
        bytes([at % 256]) * 900 for at in range(500)
    ]
    with port() as high, port() as low, relay(low.getsockname()) as made:
        assert carried(made, high, low, sent) == sent
        report = made.report()
        assert (report["offered"], report["carried"], report["unsent"], report["overflow"]) == (len(sent),) * 2 + (0, 0)


def test_what_the_low_side_sends_is_counted_and_goes_nowhere() -> None:
    """Datagrams planted from the low side, to the relay's sending and its receiving port, never reach the high side."""
    with port() as high, port() as low, port() as stranger, relay(low.getsockname()) as made:
        high.sendto(b"down", made.listening)
        turn(made, lambda: made.model.counts.carried == 1)
        [(one, outlet)] = received(low)
        assert one == b"down"
        assert made.frames_back == 0
        for _ in range(3):
            low.sendto(b"up", outlet)
        stranger.sendto(b"up", outlet)
        low.sendto(b"up", made.listening)
        turn(made, lambda: made.frames_back == 5)
        assert carried(made, high, low, [b"down again"]) == [b"down again"]
        assert received(high) == []
        assert (made.report()["back_datagrams"], made.report()["back_errors"]) == (5, 0)
        assert made.report()["offered"] == 2


def test_icmp_errors_are_counted_and_cost_no_datagram() -> None:
    """Nobody listens: each refusal is counted. Once somebody does, every further datagram arrives."""
    with port() as taken:
        low_address = taken.getsockname()
    with port() as high, relay(low_address) as made:
        for _ in range(20):
            offered = made.model.counts.offered + 1
            high.sendto(b"nobody", made.listening)
            turn(made, lambda offered=offered: made.model.counts.offered == offered)  # type: ignore[misc]
        turn(made, lambda: made.back_errors == 20)
        high.sendto(b"nobody", made.listening)
        turn(made, lambda: made.model.counts.offered == 21)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as low:
            low.bind(low_address)
            sent = [bytes([at]) for at in range(20)]
            assert carried(made, high, low, sent) == sent
        assert (made.frames_back, made.back_datagrams, made.unsent) == (21, 0, 0)


def test_the_relay_loses_what_its_model_loses() -> None:
    """The frames that arrive are those that an equal model carries."""
    sent = [at.to_bytes(2, "big") for at in range(400)]
    twin = LinkModel(9, loss=0.2, duplicate=0.1)
    expected = [one for frame in sent for _, one in twin.carry(0.0, frame)]
    with port() as high, port() as low, relay(low.getsockname(), LinkModel(9, loss=0.2, duplicate=0.1)) as made:
        assert carried(made, high, low, sent) == expected
        assert made.model.counts == twin.counts


def test_a_delayed_frame_leaves_when_it_is_due() -> None:
    """With a delay nothing leaves before, and all of it leaves after."""
    now = [100.0]
    with port() as high, port() as low:
        made = Relay(LinkModel(1, delay_s=5.0), ("127.0.0.1", 0), low.getsockname(), lambda: now[0])
        high.sendto(b"late", made.listening)
        turn(made, lambda: made.report()["waiting"] == 1)
        now[0] = 104.9
        made.step(0)
        assert received(low) == []
        now[0] = 105.0
        made.step(0)
        assert [one for one, _ in received(low)] == [b"late"]
        made.close()


def test_a_taken_port_moves_up() -> None:
    """The relay says where it really listens."""
    with port() as taken, port() as low:
        made = Relay(LinkModel(1), taken.getsockname(), low.getsockname(), time.monotonic)
        assert made.listening[1] > taken.getsockname()[1]
        made.close()
    with pytest.raises(ConfigError):
        Relay(LinkModel(1), ("192.0.2.1", 5005), ("127.0.0.1", 1), time.monotonic)


def test_the_command_keeps_its_status_and_ends_cleanly(tmp_path: Path) -> None:
    """`relay` prints seed and settings, renews the status file, and ends with 0 on SIGTERM with the last counts."""
    status = tmp_path / "relay.json"
    with port() as high, port() as low, port() as free:
        listen = free.getsockname()
        free.close()
        command = [sys.executable, "-m", "simulator.cli", "relay", "--listen", f"{listen[0]}:{listen[1]}"]
        command += [
            "--to",
            "{}:{}".format(*low.getsockname()),
            "--seed",
            "77",
            "--loss",
            "50%",
            "--status",
            str(status),
            "--trace",
        ]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            first = running.stdout.readline()
            assert "seed 77, loss 0.5" in first
            host, _, number = first.split()[1].rpartition(":")
            for at in range(200):
                high.sendto(at.to_bytes(2, "big"), (host, int(number)))
            deadline = time.monotonic() + 10
            while not status.exists() or json.loads(status.read_text())["offered"] < 200:
                assert time.monotonic() < deadline
                select.select([], [], [], 0.02)
            running.send_signal(signal.SIGTERM)
            assert running.wait(10) == 0
            said = running.stdout.read()
        assert "dropped" in said
        told = json.loads(status.read_text())
        letters = "".join(line.split()[1] for line in said.splitlines() if line.startswith("  "))
        assert (len(letters), letters.count("x")) == (200, told["dropped"])
        assert told["offered"] == 200 == told["carried"] + told["dropped"]
        assert len(received(low)) == told["carried"]
        assert {"doubled", "reordered", "cut", "frames_back"} <= set(told)
        assert told["settings"]["seed"] == 77
        assert os.listdir(tmp_path) == ["relay.json"]


def test_the_relay_never_writes_towards_the_high_side() -> None:
    """In its source the inlet is bound, received from, watched and closed, and the outlet alone is sent from."""
    source = (ROOT / "simulator" / "link" / "relay.py").read_text(encoding="utf-8")
    assert "inlet.send" not in source
    assert source.count(".sendto(") == 1 == source.count("self._outlet.sendto(")
    assert not any(word in source for word in (".sendmsg(", ".sendall(", ".send(", "sendfile"))

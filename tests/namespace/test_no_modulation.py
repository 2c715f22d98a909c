"""Nothing at the receiver's end modulates the sender: not its being there, its pace, its closing, nor its full queue.

Bytes: emit runs by a clock that only its own waits move, and random bytes from a seed, while something else happens at
the other end of the cable each time. What leaves must be the same frames in the same order. Not compared is what
others draw: the source port and the checksums of the kernel, and the sealed key in LINK, which the library draws.

Times: emit runs by the machine's clock, the conditions turn by turn so that a busy machine meets all alike, and at a
rate at which it waits between any two frames. (Here the receiver's kernel works inside the sender's call, the cable
being of one machine: frames sent back to back are some 13 microseconds further apart while somebody reads. Two machines
share no processor.) Of each run the median pause between frames is taken and the time from the first to the last, as
the kernel stamped them. Were they independent of the condition, then the ROUNDS values of a condition would lie all
below or all above those of the first one in 2 of C(12, 6) = 924 cases; and in both of two tries, on the same side, in
one of 430,000. So much is asked before a difference is claimed. That the measure sees one is tried on a sender that
does adapt.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import HIGH, HIGH_MAC, LOW, PORT, Lab, configure, lab, missing, plain, run, udp, within
from test_ends import fill

from protocol import keymaking
from protocol.wire.frame import FrameKind

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"no lab: {missing()}")

ROUNDS = 6
BLOCKS = 16
_TIMESTAMP_NS = 35  # asm-generic/socket.h: SO_TIMESTAMPNS
_PAYLOAD = 42
Condition = Callable[[Lab], contextlib.AbstractContextManager[object]]


@contextlib.contextmanager
def _reader(one: Lab, act: Callable[[threading.Event], None]) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=within, args=(one.low, lambda: act(stop)))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _reads(one: Lab) -> contextlib.AbstractContextManager[object]:
    """A receiver that keeps up."""

    def act(stop: threading.Event) -> None:
        with udp(one.low, LOW) as held:
            held.settimeout(0.01)
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    held.recv(2048)

    return _reader(one, act)


@contextlib.contextmanager
def _never_reads(one: Lab) -> Iterator[None]:
    """Its queue is full after a few frames."""
    with udp(one.low, LOW) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield


def _opens_and_closes(one: Lab) -> contextlib.AbstractContextManager[object]:
    """There for a moment, gone for a moment, with what waits in its queue."""

    def act(stop: threading.Event) -> None:
        while not stop.wait(0.003):
            with udp(one.low, LOW):
                stop.wait(0.003)

    return _reader(one, act)


@contextlib.contextmanager
def _refused(one: Lab) -> Iterator[None]:
    """Nobody listens: the low side's kernel says so, by ICMP, and it arrives."""
    yield


CONDITIONS: dict[str, Condition] = {
    "reads": _reads,
    "never reads": _never_reads,
    "opens and closes": _opens_and_closes,
    "refused by ICMP": _refused,
}


class Watch:
    """Every frame at the high side's interface, with the kernel's time of it [ns]."""

    def __init__(self, one: Lab) -> None:
        self._socket = within(one.high, self._bound)

    @staticmethod
    def _bound() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        made.setsockopt(socket.SOL_SOCKET, _TIMESTAMP_NS, 1)
        made.bind(("hi0", 0x0003))  # linux/if_ether.h: ETH_P_ALL
        made.setblocking(False)
        return made

    def take(self) -> tuple[list[tuple[int, bytes]], list[bytes]]:
        """What went out, in order, and what came in, since the last time."""
        out: list[tuple[int, bytes]] = []
        back: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, told, _, _ = self._socket.recvmsg(65_536, 64)
                if frame[6:12] == bytes.fromhex(HIGH_MAC.replace(":", "")):
                    second, nanosecond = struct.unpack("qq", told[0][2])
                    out.append((second * 10**9 + nanosecond, frame))
                else:
                    back.append(frame)
        return out, back

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


class Bench:
    """A sender with a spool of its own for each run, a receiver's end without a recipe, and the watch between."""

    def __init__(self, one: Lab, folder: Path) -> None:
        self.lab, self._folder, self._runs = one, folder, 0
        for side in ("high", "low"):
            (folder / side).mkdir()
            keymaking.make(side, folder / side / "keys")
        (folder / "high/sender.toml").write_text(
            f'site = "north"\n[outlet]\nto = "{LOW}:{PORT}"\nrate_mbit = 8\n'
            '[keys]\nown = "keys"\nreceivers = ["../low/keys.pub"]\n'
        )
        (folder / "high/state").mkdir()
        fill(folder / "high", BLOCKS)
        words = ["ip", "netns", "exec", one.high, sys.executable, str(Path(__file__).with_name("repeatable_emit.py"))]
        self._emit = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._watch = Watch(one)

    def run(self, kind: str, condition: str) -> tuple[list[tuple[int, bytes]], list[bytes]]:
        """One run of emit while the condition holds: what left, what came back."""
        assert self._emit.stdin
        assert self._emit.stdout
        self._runs += 1
        own = self._folder / f"run{self._runs}"
        shutil.copytree(self._folder / "high", own, ignore=shutil.ignore_patterns("doorbell*"))
        with CONDITIONS[condition](self.lab):
            self._watch.take()
            self._emit.stdin.write(f"{kind} {own}\n")
            self._emit.stdin.flush()
            assert self._emit.stdout.readline().strip() == kind
            time.sleep(0.01)  # for what the other side still answers
            taken = self._watch.take()
        shutil.rmtree(own)
        return taken

    def close(self) -> None:
        """The process ends with its input."""
        assert self._emit.stdin
        assert self._emit.stdout
        self._emit.stdin.close()
        self._emit.wait(30)
        self._emit.stdout.close()
        self._watch.close()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """The high side by the recipe, but for the hook that would keep what comes back from it; the low side by none."""
    with lab() as one, tempfile.TemporaryDirectory(prefix="checkvalve-") as folder:
        configure(one.high_ground())
        run("ip", "netns", "exec", one.high, "nft", "delete", "table", "netdev", "checkvalve")
        run("ip", "-n", one.high, "link", "set", "dev", "hi0", "gso_max_segs", "1")  # a frame each, as a card sends
        plain(one.low, "lo0", LOW)
        run("ip", "-n", one.low, "neigh", "replace", HIGH, "lladdr", HIGH_MAC, "dev", "lo0", "nud", "permanent")
        run("ip", "netns", "exec", one.low, "sysctl", "-qw", "net/ipv4/icmp_ratelimit=0", check=False)
        made = Bench(one, Path(folder))
        try:
            yield made
        finally:
            made.close()


def _comparable(frame: bytes) -> bytes:
    """A frame without what the kernel and the library draw."""
    held = bytearray(frame)
    for begin, end in ((18, 20), (24, 26), (34, 36), (40, 42)):  # identification, checksum, source port, checksum
        held[begin:end] = bytes(end - begin)
    if held[_PAYLOAD + 3] == FrameKind.LINK:
        held[_PAYLOAD + 4 :] = bytes(len(held) - _PAYLOAD - 4)
    return bytes(held)


def test_what_leaves_is_the_same_byte_for_byte_whatever_the_receiver_does(bench: Bench) -> None:
    """First sendings, spares, LINK, BEAT and a repeat, for 22 s: the same frames in the same order."""
    runs = {condition: bench.run("virtual", condition) for condition in CONDITIONS}
    assert any(frame[23] == 1 and frame[34] == 3 for frame in runs["refused by ICMP"][1])  # it did come back
    frames = {condition: [_comparable(frame) for _, frame in out] for condition, (out, _) in runs.items()}
    kinds = {one[_PAYLOAD + 3] for one in frames["reads"]}
    assert kinds >= {FrameKind.SHARD, FrameKind.LINK, FrameKind.BEAT}
    assert len(frames["reads"]) > 100
    for condition in CONDITIONS:
        assert frames[condition] == frames["reads"], condition


def _measures(out: list[tuple[int, bytes]]) -> tuple[float, float]:
    """Median pause and whole time of one run [s]."""
    times = [at for at, frame in out if frame[_PAYLOAD + 3] == FrameKind.SHARD]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    return statistics.median(pauses) / 1e9, (times[-1] - times[0]) / 1e9


def _rounds(bench: Bench, kind: str, conditions: list[str]) -> dict[str, list[tuple[float, float]]]:
    out: dict[str, list[tuple[float, float]]] = {condition: [] for condition in conditions}
    for turn in range(ROUNDS):
        for condition in conditions if turn % 2 else reversed(conditions):
            out[condition].append(_measures(bench.run(kind, condition)[0]))
    return out


def _apart(found: dict[str, list[tuple[float, float]]]) -> set[tuple[str, int, bool]]:
    """Conditions of which a measure lies wholly on one side of the first one's: condition, measure, whether above."""
    first, *others = found
    out = set()
    for condition in others:
        for measure in (0, 1):
            mine, theirs = ([one[measure] for one in found[which]] for which in (condition, first))
            if min(mine) > max(theirs) or max(mine) < min(theirs):
                out.add((condition, measure, min(mine) > max(theirs)))
    return out


def test_when_frames_leave_does_not_depend_on_the_receiver(bench: Bench) -> None:
    """Pauses and whole time are alike, whoever is or is not at the other end."""
    conditions = list(CONDITIONS)
    apart = _apart(_rounds(bench, "real", conditions))
    if apart:
        again = _rounds(bench, "real", conditions)
        assert not apart & _apart(again), again


def test_a_sender_that_adapts_is_seen_by_the_same_measure(bench: Bench) -> None:
    """A connected socket that waits where it was refused: all its runs are slower, so the measure can fail."""
    found = _rounds(bench, "adapting", ["reads", "refused by ICMP"])
    assert ("refused by ICMP", 0, True) in _apart(found) or ("refused by ICMP", 1, True) in _apart(found), found

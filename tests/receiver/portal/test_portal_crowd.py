"""Who may hold a connection to the pages: silent, slow and greedy ones go, and everybody else is served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from portal_plant import ask

from receiver.portal import streams
from receiver.portal.serving.crowd import ANSWER_S, KEEP_S, REQUEST_S, Crowd, Phase, origin
from receiver.portal.serving.serve import bind
from receiver.portal.streams import Listener, Streams, Topic

GREEDY, OTHER = "127.0.0.2", "127.0.0.3"


def arrive(crowd: Crowd, one: int, address: str, now: float) -> bool:
    """As the doorstep does it: whoever has to leave for it leaves."""
    welcome, leaver = crowd.room(address)
    if leaver is not None:
        crowd.go(leaver)
    if welcome:
        crowd.come(one, address, now)
    return welcome


@pytest.mark.parametrize("seed", range(20))
def test_bounds_hold_whatever_comes_and_an_idle_crowd_never_keeps_anybody_out(seed: int) -> None:
    """In all and per address, over random comings, goings and phases."""
    chance = random.Random(seed)
    crowd = Crowd(connections=24, each=10)
    alive: dict[int, str] = {}
    for number in range(3000):
        address = chance.choice([GREEDY] * 8 + [OTHER, "::1", "a", "b"])
        if arrive(crowd, number, address, number):
            alive[number] = address
        for one in chance.sample(sorted(alive), min(len(alive), 3)):
            crowd.turn(one, chance.choice(list(Phase)), number)
            if chance.random() < 0.2:
                crowd.go(one)
        alive = {one: held for one, held in alive.items() if crowd.phase(one)}
        plain = [held for one, held in alive.items() if crowd.phase(one) is not Phase.STREAM]
        assert len(crowd) == len(plain), f"seed {seed}"
        assert len(plain) <= 24 + len(alive), f"seed {seed}"
    for one in alive:
        crowd.go(one)
    assert len(crowd) == 0
    assert crowd.overdue(1e9) == []


def test_the_address_that_holds_most_gives_way_with_its_oldest_idle_one() -> None:
    """Its own newcomer pushes out its own; another's newcomer too; one that waits for an answer stays."""
    crowd = Crowd(connections=8, each=6)
    assert all(arrive(crowd, one, GREEDY, one) for one in range(6))
    crowd.turn(0, Phase.TAKING, 6)
    assert arrive(crowd, 6, GREEDY, 7)
    assert crowd.phase(1) is None
    assert all(arrive(crowd, one, OTHER, 8) for one in (7, 8, 9))
    assert [one for one in range(10) if crowd.phase(one) is None] == [1, 2]
    assert len(crowd) == 8
    assert crowd.phase(0) is Phase.TAKING
    assert crowd.crowded == 2


def test_answers_that_are_not_taken_in_give_way_to_an_address_with_far_less_and_to_no_other() -> None:
    """Slow readers cannot hold all places against others, and are not shut out by their own."""
    crowd = Crowd(connections=6, each=6)
    for one in range(6):
        assert arrive(crowd, one, GREEDY, one)
        crowd.turn(one, Phase.TAKING, one)
    assert not arrive(crowd, 6, GREEDY, 7)
    assert arrive(crowd, 7, OTHER, 8)
    assert crowd.phase(0) is None
    even = Crowd(connections=3, each=3)
    for one, address in enumerate((GREEDY, OTHER, "a")):
        assert arrive(even, one, address, one)
        even.turn(one, Phase.TAKING, one)
    assert not arrive(even, 3, "b", 4)


def test_every_phase_has_its_deadline_and_a_stream_has_none() -> None:
    """A request that trickles in does not renew its time; the next request begins a new one."""
    crowd = Crowd()
    for one, phase in enumerate((None, Phase.RESTING, Phase.TAKING, Phase.STREAM)):
        crowd.come(one, GREEDY, 0.0)
        if phase:
            crowd.turn(one, phase, 0.0)
    assert crowd.overdue(REQUEST_S) == []
    assert crowd.overdue(REQUEST_S + 0.1) == [0]
    assert crowd.overdue(KEEP_S + 0.1) == [0, 1]
    assert crowd.overdue(ANSWER_S + 0.1) == [0, 1, 2]
    crowd.turn(2, Phase.TAKING, ANSWER_S)
    assert 2 not in crowd.overdue(ANSWER_S + 0.1)


def test_a_network_of_64_bits_counts_as_one_address() -> None:
    """One machine has all of it; an IPv4 address stays what it is, in either form."""
    assert origin("2001:db8::1") == origin("2001:db8::ffff:1") != origin("2001:db8:0:1::1")
    assert origin("::ffff:192.0.2.7") == origin("192.0.2.7") == "192.0.2.7"
    assert origin("::ffff:192.0.2.8") != origin("::ffff:192.0.2.7")
    assert origin("fe80::1%eth0") == origin("fe80::2")
    assert origin("") == ""


def test_the_address_that_listens_most_gives_a_place_up_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """And turns away its own: a proxy's readers do not end each other's streams."""
    monkeypatch.setattr(streams, "LISTENERS", 4)
    held = Streams()
    everybody = [Listener(Topic(), GREEDY) for _ in range(4)]
    for one in everybody:
        assert held.room(GREEDY)
        held.add(one)
    assert not held.room(GREEDY)
    for _ in range(2):
        assert held.room(OTHER)
        held.add(Listener(Topic(), OTHER))
    assert not held.room(OTHER)
    oldest = min(one.number for one in everybody)
    assert sorted(one.number - oldest for one in held.listeners) == [2, 3, 4, 5]


class Pages:
    """The pages in a process of their own, with a limit of descriptors."""

    def __init__(self, folder: Path, files: int) -> None:
        state = folder / "state"
        state.mkdir()
        code = (
            "from pathlib import Path; from receiver.outputs.historian.views import Scope;"
            "from receiver.portal.serving.serve import run; import resource;"
            f"resource.setrlimit(resource.RLIMIT_NOFILE, ({min(files, 64)}, {files}));"
            f"run(Path({str(folder / 'history')!r}), Path({str(state)!r}), '127.0.0.1:0', Scope())"
        )
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen([sys.executable, "-c", code], stderr=log, env=os.environ)
        note = state / "portal.json"
        deadline = time.monotonic() + 30
        while not note.exists():
            assert time.monotonic() < deadline, "the pages did not come up"
            assert self.child.poll() is None, "the pages ended"
            time.sleep(0.01)
        self.base = json.loads(note.read_text())["url"].rstrip("/")
        self.port = int(self.base.rpartition(":")[2])

    def used_s(self, watched_s: float) -> float:
        """Processor time that the pages take while they are watched [s]."""
        before, start = self.cpu_s(), time.monotonic()
        while time.monotonic() - start < watched_s:
            time.sleep(0.1)
        return self.cpu_s() - before

    def cpu_s(self) -> float:
        """Processor time that the process has taken."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def connect(self, address: str, text: bytes = b"") -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=20, source_address=(address, 0))
        sock.sendall(text)
        return sock

    def read(self, address: str) -> float:
        """One page for a reader of this address; how long it took [s]."""
        start = time.monotonic()
        with self.connect(address, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") as sock:
            answer = b""
            while more := sock.recv(65536):
                answer += more
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"</html>\n") or answer.rstrip().endswith(b"</html>")
        return time.monotonic() - start

    def end(self) -> None:
        self.child.send_signal(signal.SIGTERM)
        try:
            assert self.child.wait(timeout=20) == 0
        finally:
            self.child.kill()
            self.child.wait()


@contextlib.contextmanager
def pages(folder: Path, files: int = 1024) -> Iterator[Pages]:
    held = Pages(folder, files)
    try:
        yield held
        held.end()
    finally:
        held.child.kill()
        held.child.wait()


@contextlib.contextmanager
def many(held: Pages, count: int, address: str) -> Iterator[list[socket.socket]]:
    """Silent connections; some are closed by the pages meanwhile."""
    socks: list[socket.socket] = []
    try:
        socks.extend(held.connect(address) for _ in range(count))
        yield socks
    finally:
        for sock in socks:
            sock.close()


def closed(sock: socket.socket, within_s: float) -> bool:
    """Whether the pages end this connection in time."""
    sock.settimeout(within_s)
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def test_the_end_of_an_answer_waits_for_no_acknowledgement_of_its_beginning() -> None:
    """Head and body leave at once (tcp(7), TCP_NODELAY): with the other's delayed acknowledgement a page took 40 ms."""

    async def delayed() -> int:
        with bind("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname()[:2]):
            taken, _ = sock.accept()
            taken.setblocking(False)
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, taken)
            held: socket.socket = transport.get_extra_info("socket")
            found = held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            transport.close()
            await asyncio.sleep(0)
            return found

    assert asyncio.run(delayed())


def test_5000_silent_connections_keep_nobody_out_and_end_in_seconds(tmp_path: Path) -> None:
    """A reader of another address and one of the same get their pages; no core spins, and the log stays empty."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(5000, hard - 200)
    try:
        with pages(tmp_path) as held, many(held, count, GREEDY) as silent:
            taken = [min(held.read(address) for _ in range(3)) for address in (OTHER, GREEDY, "127.0.0.1")]
            assert max(taken) < 1.0, taken
            assert held.descriptors() < 600
            assert closed(silent[-1], 3 * REQUEST_S)
            before, start = held.cpu_s(), time.monotonic()
            taken = [held.read(address) for address in (OTHER, GREEDY)]
            while time.monotonic() - start < 1.0:
                time.sleep(0.1)  # the time that the pages are watched for
            assert held.cpu_s() - before < 0.6
            assert held.descriptors() < 100
            assert held.log.stat().st_size == 0
            health = ask(held.base + "/healthz").json
            assert health["closed_late"] + health["closed_crowded"] >= count - 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_descriptors_the_pages_wait_and_say_so_once(tmp_path: Path) -> None:
    """64 descriptors in all: streams may take them; no core spins, the log has one line, and readers come back in."""
    with pages(tmp_path, files=64) as held:
        stream = b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"
        socks = [held.connect(GREEDY, stream) for _ in range(80)]
        ends = time.monotonic() + 30
        while (used := held.used_s(2.0)) >= 1.2:  # the streams' first messages are still being made, on a busy machine
            assert time.monotonic() < ends, used
        for sock in socks:
            sock.close()
        assert held.read(OTHER) < 20
        assert held.log.read_text().count("no connection can be taken in") == 1
        assert held.log.stat().st_size < 500


def test_a_request_that_trickles_and_one_that_is_no_http_end_in_seconds(tmp_path: Path) -> None:
    """A byte now and then renews nothing; the body of a question is not waited for; nothing of it is logged."""
    with pages(tmp_path) as held:
        head = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
        slow = held.connect(GREEDY, head)
        body = held.connect(GREEDY, head + b"Content-Length: 1000000\r\n\r\n")
        again = held.connect(GREEDY, head + b"\r\n")
        start = time.monotonic()
        ended = dict.fromkeys((slow, body, again), 0.0)
        while not all(ended.values()):
            assert time.monotonic() - start < 4 * REQUEST_S, ended
            for sock in [one for one in ended if not ended[one]]:
                try:
                    sock.sendall(b"X")
                    sock.settimeout(0.05)
                    while sock.recv(65536):
                        pass
                    ended[sock] = time.monotonic() - start
                except TimeoutError:
                    continue
                except OSError:
                    ended[sock] = time.monotonic() - start
        for sock in ended:
            sock.close()
        for _ in range(50):
            with held.connect(GREEDY, b"\x16\x03\x01\x00nonsense\r\n\r\n") as sock:
                assert closed(sock, 5)
        assert held.read(OTHER) < 5
        assert held.log.stat().st_size == 0

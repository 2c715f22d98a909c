"""The real recipe on a real kernel: data arrive, and nothing that asks for an answer gets one."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from lab import (
    HIGH,
    HIGH_MAC,
    LOW,
    LOW_MAC,
    PORT,
    Lab,
    checkvalve,
    configure,
    counter,
    lab,
    missing,
    plain,
    run,
    udp,
    within,
)

from audit.check import Check, CheckStatus
from audit.provoke import provoke
from audit.provoke.provocations import AddressPair, marked, to_low

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"no lab: {missing()}")

WAIT = 1.7
"""Seconds for answers; the lab gives a lone fragment up after 1 s in place of Linux's 30."""
DATA = 40
"""Data frames sent beside the provocations."""
MARK = b"positive control of this run"


def quick_fragments(low: str) -> None:
    """A fragment without its rest is given up, and answered, after a second."""
    run("ip", "netns", "exec", low, "sysctl", "-qw", "net/ipv4/ipfrag_time=1")


def settled(low: str) -> None:
    """An IPv6 address that is still tried for doubles (RFC 4862, 5.4) answers nothing yet."""
    ends = time.monotonic() + 20
    while (
        "link" not in (told := run("ip", "-6", "-n", low, "addr", "show", "dev", "lo0").stdout) or "tentative" in told
    ):
        assert time.monotonic() < ends, told
        time.sleep(0.05)


def asked(one: Lab, control: bytes = b"", wait_s: float = WAIT) -> dict[str, Check]:
    """`audit provoke` from the high side's place."""
    question = provoke.ProvokeQuestion(
        interface="hi0", address=HIGH, peer=LOW, peer_mac=LOW_MAC, port=PORT, wait_s=wait_s, control=control
    )
    found = within(one.high, lambda: provoke.run(question, wall=time.time_ns))
    return {check.id: check for check in found.checks}


class Listener:
    """Counts the datagrams that reach the link's port, until it is closed."""

    def __init__(self, low: str) -> None:
        self.count = 0
        self._socket = udp(low, LOW)
        self._stop = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop:
            try:
                self.count += len(self._socket.recv(2048)) == 200
            except TimeoutError:
                continue

    def close(self) -> int:
        """Ends; returns how many came."""
        self._stop = True
        self._thread.join()
        self._socket.close()
        return self.count


def send_data(one: Lab) -> None:
    """The link's own traffic."""
    with udp(one.high) as sender:
        for _ in range(DATA):
            sender.sendto(b"d" * 200, (LOW, PORT))


def as_tester(one: Lab) -> None:
    """The high side as a tester's laptop: an address and a neighbour entry, no firewall that could hide an answer."""
    plain(one.high, "hi0", HIGH)
    run("ip", "-n", one.high, "neigh", "replace", LOW, "lladdr", LOW_MAC, "dev", "hi0", "nud", "permanent")


@pytest.mark.parametrize("listening", [False, True])
def test_an_unprotected_machine_answers(listening: bool) -> None:
    """The proof can fail: without the recipe more than ten frames come back, and both counts say the same."""
    with lab() as one:
        plain(one.low, "lo0", LOW)
        as_tester(one)
        quick_fragments(one.low)
        settled(one.low)
        listener = Listener(one.low) if listening else None
        check = asked(one)["PRV-1"]
        if listener:
            listener.close()
        value = check.evidence[0].value
        assert check.status == CheckStatus.FAIL
        assert value["listener"] == value["rx_packets grew by"] >= 10, value["answers"]
        assert len(value["sent"]) == 12
        kinds = " ".join(value["answers"])
        for answer in ("ARP reply", "ICMP type 0", "ICMP type 3 code 2", "ICMP type 11", "TCP", "IPv6 ICMP"):
            assert answer in kinds, answer


@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize("hook", [True, False])
def test_the_recipe_answers_nothing(listening: bool, hook: bool) -> None:
    """Twelve provocations, 40 data frames: none back by listener and counters, also without the firewall's hook."""
    with lab() as one:
        configure(one.low_ground(), without=lambda step: not hook and "nft" in step.argv)
        as_tester(one)
        quick_fragments(one.low)
        listener = Listener(one.low) if listening else None
        before = counter(one.low, "lo0", "rx_packets")
        sender = threading.Thread(target=send_data, args=(one,))
        sender.start()
        check = asked(one)["PRV-1"]
        sender.join()
        assert check.status == CheckStatus.PASS, check.found
        assert check.evidence[0].value["listener"] == check.evidence[0].value["rx_packets grew by"] == 0
        assert (one.rx(), one.tx()) == (0, 0)
        assert counter(one.low, "lo0", "rx_packets") - before >= DATA + 12
        if listener:
            assert listener.close() == DATA


def test_the_hook_alone_answers_nothing() -> None:
    """Everything else as it comes from the shop, the firewall's hook alone holds: IPv6, ARP and ICMP stay inside."""
    with lab() as one:
        configure(one.low_ground(), without=lambda step: "nft" not in step.argv)
        plain(one.low, "lo0", LOW)
        as_tester(one)
        quick_fragments(one.low)
        check = asked(one)["PRV-1"]
        assert check.status == CheckStatus.PASS, check.found
        assert (one.rx(), one.tx()) == (0, 0)


def test_a_marked_frame_from_the_cable_is_seen() -> None:
    """The positive control: what somebody puts on the tester's side is seen, told apart, and is no answer."""
    with lab(bridge=True) as one:
        configure(one.low_ground())
        as_tester(one)
        assert one.cable
        place = AddressPair(mac="02:dd:00:00:00:77", address=LOW, peer_mac=HIGH_MAC, peer=HIGH, port=PORT)

        def put() -> None:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
                raw.bind(("to-high", 0))
                raw.send(marked(place, MARK))

        timer = threading.Timer(WAIT / 2, lambda: within(one.cable or "", put))
        timer.start()
        checks = asked(one, MARK)
        timer.join()
        assert checks["PRV-1"].status == CheckStatus.PASS, checks["PRV-1"].found
        assert checks["PRV-2"].status == CheckStatus.PASS
        assert checks["PRV-1"].evidence[0].value["rx_packets grew by"] == 1


def test_without_the_marked_frame_the_control_fails() -> None:
    """Asked for and not seen is FAIL; not asked for is SKIP."""
    with lab() as one:
        configure(one.low_ground())
        as_tester(one)
        assert asked(one, MARK, 0.1)["PRV-2"].status == CheckStatus.FAIL
        assert asked(one, wait_s=0.1)["PRV-2"].status == CheckStatus.SKIP


def from_low(one: Lab) -> Check:
    """Root on the low side tries."""
    question = provoke.ProvokeQuestion(
        interface="lo0", address=LOW, peer=HIGH, peer_mac=HIGH_MAC, port=PORT, wait_s=0.1, from_low=True
    )
    return within(one.low, lambda: provoke.run(question, wall=time.time_ns)).checks[0]


def test_roots_raw_frames_stop_at_the_hook() -> None:
    """Raw sockets, the queue bypassed, forged addresses: nothing leaves, and the hook has counted each attempt."""
    with lab() as one:
        configure(one.high_ground())
        configure(one.low_ground())
        check = from_low(one)
        assert check.status == CheckStatus.PASS, check.found
        assert (one.rx(), one.tx()) == (0, 0)
        listing = run("ip", "netns", "exec", one.low, "nft", "list", "counters").stdout
        assert f"packets {len(check.evidence[0].value['attempts'])} " in listing


def test_without_the_hook_roots_raw_frames_arrive() -> None:
    """The same attempts without the hook: software that root takes off holds nothing; only a diode would."""
    with lab() as one:
        configure(one.high_ground())
        configure(one.low_ground(), without=lambda step: "nft" in step.argv)
        check = from_low(one)
        assert check.status == CheckStatus.WARN, check.found
        assert one.rx() == one.tx() >= 10


@pytest.fixture(scope="module")
def twins() -> Iterator[Lab]:
    """One sender, two receivers behind a splitter."""
    with lab(receivers=2) as one:
        configure(one.high_ground("ff:ff:ff:ff:ff:ff"))
        for low in one.lows:
            configure(one.low_ground(low))
        yield one


def test_two_receivers_both_hear_and_neither_speaks(twins: Lab) -> None:
    """The broadcast address as a permanent neighbour reaches both; no group is joined and nothing comes back."""
    listeners = [Listener(low) for low in twins.lows]
    send_data(twins)
    ends = time.monotonic() + 10
    while time.monotonic() < ends and not all(one.count == DATA for one in listeners):
        time.sleep(0.01)
    assert [one.close() for one in listeners] == [DATA, DATA]
    assert (twins.rx(), twins.tx()) == (0, 0)


def test_the_command_line_provokes() -> None:
    """`audit provoke --json` in a namespace, as a tester would call it: exit 1 with an answer, 0 without."""
    with lab() as one:
        as_tester(one)
        words = ("--interface", "hi0", "--address", HIGH, "--to", f"{LOW}:{PORT}", "--peer-mac", LOW_MAC)
        argv = checkvalve(one.high, "audit", "provoke", *words, "--wait", "0.3", "--json")
        plain(one.low, "lo0", LOW)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1, done.stderr
        assert json.loads(done.stdout)["checks"][0]["status"] == "FAIL"
        configure(one.low_ground())
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout


def test_the_twelve_differ() -> None:
    """Twelve names, twelve frames, none shorter than Ethernet's least (60 bytes without its checksum)."""
    place = AddressPair(mac=HIGH_MAC, address=HIGH, peer_mac=LOW_MAC, peer=LOW, port=PORT)
    twelve = to_low(place)
    assert len({one.name for one in twelve}) == len({one.frame for one in twelve}) == 12
    assert all(60 <= len(one.frame) <= 1514 for one in twelve)

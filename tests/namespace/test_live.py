"""`audit live` on the real recipe: all is well, and each protection taken away fails the check that names it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from lab import HIGH, HIGH_MAC, LOW, LOW_MAC, PORT, Lab, configure, lab, missing, run, udp, within

from audit.check import AuditFindings, Check, CheckStatus
from audit.machine import live_checks
from audit.machine.ground import Subject

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"no lab: {missing()}")

Tamper = Callable[[Lab], None]


def looked(
    one: Lab, side: str, *, appliance: str | None = None, by: str = "", peer_mac: str = LOW_MAC
) -> AuditFindings:
    """`audit live` on one side."""
    high = side == "high"
    subject = Subject(
        side=side,
        interface="hi0" if high else "lo0",
        peer_mac=peer_mac if high else None,
        appliance=appliance,
        by=by,
    )
    return live_checks.run(
        live_checks.MachineQuestion(subject=subject, namespace=one.high if high else one.low), wall=time.time_ns
    )


def bad(found: AuditFindings) -> dict[str, CheckStatus]:
    """What did not pass, but for what this machine cannot tell (SKIP)."""
    return {one.id: one.status for one in found.checks if one.status in (CheckStatus.FAIL, CheckStatus.WARN)}


def one_of(found: AuditFindings, ident: str) -> Check:
    """One check of a run."""
    return next(one for one in found.checks if one.id == ident)


@pytest.fixture(scope="module")
def hard() -> Iterator[Lab]:
    """Both ends as the recipe makes them."""
    with lab() as one:
        configure(one.high_ground())
        configure(one.low_ground())
        yield one


def ip(side: str, *words: str) -> Tamper:
    """`ip` in the side's namespace."""
    return lambda one: void(run("ip", "-n", getattr(one, side), *words))


def sysctl(side: str, setting: str) -> Tamper:
    """A kernel setting of one side."""
    return lambda one: void(run("ip", "netns", "exec", getattr(one, side), "sysctl", "-qw", setting))


def nft(side: str, *words: str) -> Tamper:
    """A firewall command on one side."""
    return lambda one: void(run("ip", "netns", "exec", getattr(one, side), "nft", *words))


def again(side: str) -> Tamper:
    """The whole recipe anew."""
    return lambda one: configure(one.high_ground() if side == "high" else one.low_ground())


def void(done: object) -> None:
    """Drop a result."""


EXTRA = "ip saddr 192.0.2.1 udp dport 53 accept"

CASES: dict[str, tuple[str, Tamper, Tamper, set[str]]] = {
    "low ARP on": (
        "low",
        ip("low", "link", "set", "lo0", "arp", "on"),
        ip("low", "link", "set", "lo0", "arp", "off"),
        {"LNK-1"},
    ),
    "low multicast on": (
        "low",
        ip("low", "link", "set", "lo0", "multicast", "on"),
        ip("low", "link", "set", "lo0", "multicast", "off"),
        {"LNK-2"},
    ),
    "low promiscuous": (
        "low",
        ip("low", "link", "set", "lo0", "promisc", "on"),
        ip("low", "link", "set", "lo0", "promisc", "off"),
        {"LNK-3"},
    ),
    "low IPv6 on": (
        "low",
        sysctl("low", "net/ipv6/conf/lo0/disable_ipv6=0"),
        again("low"),
        {"IP-1", "IP-2", "RT-1"},  # an address and a route of its own come at once
    ),
    "low forwarding": (
        "low",
        sysctl("low", "net/ipv4/conf/lo0/forwarding=1"),
        sysctl("low", "net/ipv4/conf/lo0/forwarding=0"),
        {"IP-3"},
    ),
    "low not alone": (
        "low",
        ip("low", "link", "add", "other", "up", "address", "02:dd:00:00:02:01", "type", "veth", "peer", "name", "lo0x"),
        ip("low", "link", "del", "lo0x"),
        {"IP-4"},
    ),
    "low has a way out": (
        "low",
        ip("low", "route", "add", f"{HIGH}/32", "dev", "lo0", "scope", "link"),
        ip("low", "route", "del", f"{HIGH}/32", "dev", "lo0"),
        {"RT-1"},
    ),
    "low filters by reverse path": (
        "low",
        sysctl("low", "net/ipv4/conf/all/rp_filter=1"),
        sysctl("low", "net/ipv4/conf/all/rp_filter=0"),
        {"RT-2"},
    ),
    "low without hook": ("low", nft("low", "delete", "table", "netdev", "checkvalve"), again("low"), {"NFT-1"}),
    "low hook lets something out": (
        "low",
        nft("low", "insert", "rule", "netdev", "checkvalve", "egress", "ip protocol icmp accept"),
        again("low"),
        {"NFT-1"},
    ),
    "high ARP on": (
        "high",
        ip("high", "link", "set", "hi0", "arp", "on"),
        again("high"),
        {"LNK-1", "NB-1"},
    ),  # the entry goes with it
    "high without neighbour": ("high", ip("high", "neigh", "del", LOW, "dev", "hi0"), again("high"), {"NB-1"}),
    "high with another neighbour": (
        "high",
        ip("high", "neigh", "replace", LOW, "lladdr", "02:dd:00:00:00:99", "dev", "hi0", "nud", "permanent"),
        again("high"),
        {"NB-1"},
    ),
    "high with a second route": (
        "high",
        ip("high", "route", "add", "198.51.100.0/24", "dev", "hi0"),
        ip("high", "route", "del", "198.51.100.0/24", "dev", "hi0"),
        {"RT-1"},
    ),
    "high without hooks": (
        "high",
        nft("high", "delete", "table", "netdev", "checkvalve"),
        again("high"),
        {"NFT-1", "NFT-2"},
    ),
    "high lets a second flow out": (
        "high",
        nft("high", "insert", "rule", "netdev", "checkvalve", "egress", EXTRA),
        again("high"),
        {"NFT-2"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_protection_taken_away_fails_its_check(hard: Lab, name: str) -> None:
    """All is well; one thing is taken away: exactly the check that names it fails; it is put back."""
    side, take, put, expected = CASES[name]
    assert bad(looked(hard, side)) == {}
    take(hard)
    try:
        assert {ident for ident, status in bad(looked(hard, side)).items() if status == CheckStatus.FAIL} == expected
    finally:
        put(hard)


def test_what_a_live_link_needs_is_all_there(hard: Lab) -> None:
    """Both sides: nothing fails or warns, and what is skipped says why."""
    for side, least in (("high", 17), ("low", 17)):
        found = looked(hard, side)
        assert bad(found) == {}
        assert found.exit_code == 0
        assert sum(one.status == CheckStatus.PASS for one in found.checks) >= least
        assert {one.id for one in found.checks if one.status == CheckStatus.SKIP} == {
            "L1-1", "PR-1", "PR-2", "PR-3", "PR-4", "PR-5", "PR-6", "PR-8", "KEY-1",
        }  # fmt: skip
        assert all(one.found for one in found.checks)


def test_an_interface_of_another_namespace_on_the_card_is_found(hard: Lab) -> None:
    """It speaks by the card, and nothing in the card's own namespace shows it but the address that is let in."""
    made = run("ip", "-n", hard.low, "link", "add", "link", "lo0", "name", "mv0", "type", "macvlan", check=False)
    if made.returncode:
        pytest.skip("this kernel has no macvlan")
    try:
        run("ip", "-n", hard.low, "link", "set", "mv0", "netns", hard.high)
        run("ip", "-n", hard.high, "link", "set", "mv0", "addrgenmode", "none", "up")
        assert bad(looked(hard, "low")) == {"LNK-3": CheckStatus.FAIL}
        assert "another namespace" in one_of(looked(hard, "low"), "LNK-3").found
    finally:
        run("ip", "-n", hard.high, "link", "del", "mv0", check=False)


@pytest.mark.parametrize(
    ("ident", "make"),
    [
        ("SK-1", lambda: _listening(socket.AF_INET, socket.SOCK_STREAM)),
        ("SK-1", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
        ("SK-2", lambda: _listening(socket.AF_INET, socket.SOCK_DGRAM)),
        ("SK-4", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)),
    ],
)
def test_a_strange_socket_is_found(hard: Lab, ident: str, make: Callable[[], socket.socket]) -> None:
    """A listener, a raw socket, a second UDP socket, a packet socket: each fails its check while it stands."""
    with ExitStack() as held:
        held.enter_context(udp(hard.low, LOW))  # the link's own
        assert bad(looked(hard, "low")) == {}
        held.enter_context(within(hard.low, make))
        assert bad(looked(hard, "low")) == {ident: CheckStatus.FAIL}


def _listening(family: int, kind: int) -> socket.socket:
    made = socket.socket(family, kind)
    made.bind((LOW, 0))
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


def test_what_waits_in_the_wrong_direction_is_found(hard: Lab) -> None:
    """A datagram in the receive queue of a socket on the high side fails SK-3; the deaf socket never has one."""
    with udp(hard.high) as ears:
        ears.bind((HIGH, 0))  # it lives in that namespace, wherever it is called from
        run("ip", "-n", hard.high, "link", "set", "lo", "up")
        with udp(hard.high) as mouth:
            mouth.sendto(b"x", ears.getsockname())
        assert "SK-3" in bad(looked(hard, "high"))


def _speak(one: Lab, mac: str) -> None:
    """A raw frame from the low side, whose hook is gone."""
    nft("low", "delete", "table", "netdev", "checkvalve")(one)

    def put() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
            raw.bind(("lo0", 0))
            raw.send(bytes.fromhex((HIGH_MAC + mac).replace(":", "")) + b"\x88\xb5" + bytes(46))

    within(one.low, put)
    again("low")(one)


def test_one_frame_back_fails_for_ever() -> None:
    """One frame that came back is found on both sides by the counters, and by the hook that met it."""
    with lab() as one:
        configure(one.high_ground())
        configure(one.low_ground())
        _speak(one, LOW_MAC)
        assert bad(looked(one, "high")) == {"CNT-1": CheckStatus.FAIL, "CNT-2": CheckStatus.FAIL}
        assert bad(looked(one, "low")) == {"CNT-1": CheckStatus.FAIL}


def test_an_appliances_own_frames_are_attested_and_no_others() -> None:
    """Its plant-side port is counted apart and attested by a named person; any other source fails."""
    mine = "02:dd:00:00:0a:01"
    with lab() as one:
        configure(replace(one.high_ground(), appliance_mac=mine))
        configure(one.low_ground())
        _speak(one, mine)
        found = looked(one, "high", appliance=mine, by="A. Person")
        assert bad(found) == {}
        assert one_of(found, "CNT-1").status == one_of(found, "CAP-4").status == CheckStatus.ATTESTED
        assert "A. Person" in one_of(found, "CAP-4").found
        nobody = bad(looked(one, "high", appliance=mine))
        assert nobody == {"CNT-1": CheckStatus.WARN, "CAP-4": CheckStatus.WARN}
        assert bad(looked(one, "high"))["CNT-1"] == CheckStatus.FAIL
        _speak(one, LOW_MAC)
        found = looked(one, "high", appliance=mine, by="A. Person")
        assert bad(found) == {"CNT-1": CheckStatus.FAIL, "CNT-2": CheckStatus.FAIL}


def test_frames_that_came_before_the_hook_are_no_appliances(hard: Lab) -> None:
    """What the hook did not count is not attested away."""
    with lab() as one:
        configure(one.high_ground(), without=lambda step: "nft" in step.argv)
        configure(one.low_ground())
        _speak(one, "02:dd:00:00:0a:01")
        found = looked(one, "high", appliance="02:dd:00:00:0a:01", by="A. Person")
        assert one_of(found, "CNT-1").status == CheckStatus.FAIL


def test_the_low_kernels_wishes_are_told() -> None:
    """A datagram to a closed port: nothing leaves, and CNT-3 says that something would have."""
    with lab() as one:
        configure(one.high_ground())
        configure(one.low_ground())
        with udp(one.high) as sender:
            sender.sendto(b"x", (LOW, PORT))
        ends = time.monotonic() + 5
        while bad(looked(one, "low")) != {"CNT-3": CheckStatus.WARN}:
            assert time.monotonic() < ends
        assert (one.rx(), one.tx()) == (0, 0)

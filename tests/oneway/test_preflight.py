"""What refuses a start, what is only a warning, and what is told as unread: by readings, without a kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oneway.doctor.both_sides import interface_troubles
from oneway.preflight import SMALL_BUFFER, Finding, Level, Policy, decide, high, low
from oneway.readings import MEMBER, MULTICAST, NOARP, Interface, Neighbour, Readings, Route
from oneway.recipe import BROADCAST_MAC, Ground, Side, steps
from protocol.errors import ConfigError

HIGH, LOW, MAC = "192.0.2.1", "192.0.2.2", "02:dd:00:00:00:02"
ROUTE = Route(network=0xC0000202, mask=0xFFFFFFFF, gateway=None, interface="dd0", metric=0)
CARD = Interface(name="dd0", flags=NOARP, mac="02:dd:00:00:00:01", addresses=(HIGH,), ipv6=False, rp_filter=0)
SENDING = Readings(
    interfaces=(CARD,),
    neighbours=(Neighbour(address=LOW, interface="dd0", mac=MAC, permanent=True),),
    routes=(ROUTE,),
    rp_filter_all=0,
    buffer_bytes=64 << 20,
    hooks={("dd0", "ingress"): "drop", ("dd0", "egress"): "drop"},
)
HEARING = replace(SENDING, interfaces=(replace(CARD, addresses=(LOW,)),), neighbours=(), routes=())


def card(given: Readings, **change: object) -> Readings:
    """The same readings with another interface."""
    return replace(given, interfaces=(replace(given.interfaces[0], **change),))  # type: ignore[arg-type]


def test_an_mtu_that_full_frames_do_not_fit_refuses_the_start() -> None:
    """Where it is known what will be sent; a larger one, and one that cannot be read, are right."""
    (found,) = high(card(SENDING, mtu=1400), LOW, 1500)
    assert found.level == Level.FAULT
    assert "1400" in found.text
    assert "mtu 1500" in found.fix
    assert high(card(SENDING, mtu=1400), LOW) == high(card(SENDING, mtu=9000), LOW, 1500) == []
    assert high(SENDING, LOW, 1500) == []


def levels(found: list[Finding]) -> list[Level]:
    """How bad each is."""
    return [one.level for one in found]


def test_the_recipes_interface_has_no_finding() -> None:
    """What every other case changes one thing of."""
    assert high(SENDING, LOW) == low(HEARING, LOW) == []


FAULTS = {
    "no route": (Side.HIGH, replace(SENDING, routes=())),
    "no neighbour, ARP off": (Side.HIGH, replace(SENDING, neighbours=())),
    "no neighbour, ARP on": (Side.HIGH, card(replace(SENDING, neighbours=()), flags=0)),
    "learnt neighbour": (Side.HIGH, replace(SENDING, neighbours=(replace(SENDING.neighbours[0], permanent=False),))),
    "its own address": (Side.HIGH, replace(SENDING, neighbours=(replace(SENDING.neighbours[0], mac=CARD.mac),))),
    "a macvlan, high": (Side.HIGH, card(SENDING, driver="macvlan", under=("eth3",))),
    "a VLAN elsewhere, low": (Side.LOW, card(HEARING, driver="802.1Q VLAN Support")),
    "a new kind that has one under it": (Side.LOW, card(HEARING, driver="new", under=("eth3",))),
    "a bridge's member": (Side.LOW, card(HEARING, above=("br0",))),
    "a bond's member": (Side.HIGH, card(SENDING, flags=NOARP | MEMBER)),
    "IPv6, high": (Side.HIGH, card(SENDING, ipv6=True)),
    "no hook, high": (Side.HIGH, replace(SENDING, hooks={})),
    "rp_filter of the interface": (Side.LOW, card(HEARING, rp_filter=2)),
    "rp_filter of all": (Side.LOW, replace(HEARING, rp_filter_all=1)),
    "IPv6, low": (Side.LOW, card(HEARING, ipv6=True)),
    "no hook, low": (Side.LOW, replace(HEARING, hooks={})),
    "a hook that lets pass": (Side.LOW, replace(HEARING, hooks={("dd0", "egress"): "accept"})),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_silent_killer_refuses_the_start_and_names_its_remedy(name: str) -> None:
    """Refused by default, with the command that mends it; started with `warn`, which every status then tells."""
    side, readings = FAULTS[name]
    found = [one for one in (high if side == Side.HIGH else low)(readings, LOW) if one.level == Level.FAULT]
    assert found
    assert all(one.fix for one in found)
    with pytest.raises(ConfigError, match="not safe to start on") as refused:
        decide(found, Policy.REFUSE, side)
    assert found[0].fix in str(refused.value)
    told = decide(found, Policy.WARN, side)
    assert told.policy == "warn"
    assert told.warnings[0].startswith("preflight overridden: ")


def test_doctor_names_what_the_interface_stands_on() -> None:
    """A way back does not stop data: it is said while the process runs, and named as a cause where it does not."""
    found = low(card(HEARING, driver="macvlan", under=("eth3",)), LOW)
    for runs in (True, False):
        (ailment,) = interface_troubles(found, runs=runs)
        assert "dd0 is a macvlan on eth3" in ailment.cause
        assert "a network card of its own" in ailment.step


ODD = {
    "a small receive buffer": (Side.LOW, replace(HEARING, buffer_bytes=SMALL_BUFFER - 1), "rmem_max"),
    "a route out of the low side": (Side.LOW, replace(HEARING, routes=(ROUTE,)), "could answer"),
    "frames have left the low side": (Side.LOW, card(HEARING, tx_packets=3), "3 frames have left"),
    "frames have come in": (Side.HIGH, card(SENDING, rx_packets=1), "there is a way back"),
    "ARP on": (Side.HIGH, card(SENDING, flags=0), "ARP is on"),
    "multicast on": (Side.LOW, card(HEARING, flags=NOARP | MULTICAST), "multicast is on"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_only_worth_knowing_is_a_warning(name: str) -> None:
    """One finding, no refusal, told with its remedy."""
    side, readings, text = ODD[name]
    found = (high if side == Side.HIGH else low)(readings, LOW)
    assert levels(found) == [Level.ODD]
    (warning,) = decide(found, Policy.REFUSE, side).warnings
    assert text in warning
    assert found[0].fix in warning


def test_what_may_not_be_seen_is_told_as_unread() -> None:
    """No firewall listing, no sysctl, no /proc: never taken for right, and no refusal either."""
    hidden = replace(card(HEARING, ipv6=None, rp_filter=None), hooks=None, hooks_unread="not permitted")
    found = low(hidden, LOW)
    assert levels(found) == [Level.UNREAD] * 3
    assert len(decide(found, Policy.REFUSE, Side.LOW).unread) == 3
    assert levels(high(None, LOW)) == levels(low(None, LOW)) == [Level.UNREAD]


def test_two_receivers_take_the_broadcast_address_and_join_no_group() -> None:
    """The recipe differs by the neighbour entry alone, and preflight takes it as it takes one machine's."""
    one = Ground(side=Side.HIGH, interface="dd0", address=HIGH, port=5005, peer=LOW, peer_mac=MAC)
    two = replace(one, peer_mac=BROADCAST_MAC)
    differ = [(a.argv, b.argv) for a, b in zip(steps(one), steps(two), strict=True) if a != b]
    assert differ == [(differ[0][0], tuple(BROADCAST_MAC if word == MAC else word for word in differ[0][0]))]
    assert differ[0][0][:3] == ("ip", "neigh", "replace")
    assert high(replace(SENDING, neighbours=(replace(SENDING.neighbours[0], mac=BROADCAST_MAC),)), LOW) == []
    with pytest.raises(ConfigError, match="group's address"):
        replace(one, peer_mac="01:00:5e:00:00:01")

"""What must be true of the diode's interface before an end of the link starts: the faults that nobody would see.

    high   no route, or no permanent neighbour entry: `sendto` says ok and nothing arrives, ever
           ARP off and no entry: the frames go to this machine's own hardware address
           an mtu smaller than [outlet] mtu: full frames cannot leave
    low    reverse path filtering: every datagram is dropped without a log line
    both   an interface that speaks by another, or by which others speak: what passes there meets no rule here
           IPv6 on: router and neighbour discovery speak by themselves
           no firewall hook at the device: what the kernel wants to answer leaves

Those refuse the start, with the command that mends them. What is only worth knowing is a warning, and what this user
may not read is told as unread, never as right. Nothing is looked at where the link runs over loopback. With `warn` for
a policy it starts all the same, and every status says so.

Pure: readings in (readings.py), findings out.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from oneway.readings import MEMBER, MULTICAST, NOARP, Interface, Readings, Route
from oneway.recipe import Side
from protocol.errors import ConfigError


class Policy(StrEnum):
    """What a fault does to the start."""

    REFUSE = "refuse"
    WARN = "warn"


class Level(StrEnum):
    """How bad a finding is."""

    FAULT = "fault"
    """Silent loss, or a way back."""
    ODD = "odd"
    UNREAD = "unread"
    """This user may not see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    level: Level
    text: str
    """What is so, and what it does."""
    fix: str = ""
    """The command that mends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightOutcome:
    """What a start goes on with; for status and reports."""

    policy: str
    """`refuse` (and nothing did), `warn` (started all the same), or `loopback` (nothing to look at)."""
    warnings: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As the status of the process at the link tells it."""
        return {"preflight": self.policy, "preflight_unread": list(self.unread), "warnings": list(self.warnings)}


SMALL_BUFFER = 4 << 20
"""A smaller receive buffer holds less than 0.05 s of a full 1 Gb/s link [bytes]; the kernel's own default, 212,992,
holds 92 datagrams of 1,200 bytes (measured)."""


def high(readings: Readings | None, to: str, mtu: int | None = None) -> list[Finding]:
    """What is wrong on the sending side.

    Args:
        readings: As `readings.read` returns it.
        to: The receiver's IPv4 address.
        mtu: Largest packet that will be sent [bytes]; None where that is not known.
    """
    if readings is None:
        return [Finding(level=Level.UNREAD, text="no Linux /proc: nothing of the interface could be looked at")]
    if any(to in one.addresses for one in readings.interfaces):
        return []  # this machine itself
    route = _best(readings.routes, to)
    if route is None:
        fix = f"ip route add {to}/32 dev INTERFACE scope link"
        return [Finding(level=Level.FAULT, text=f"no route leads to {to}: nothing would leave", fix=fix)]
    interface = next((one for one in readings.interfaces if one.name == route.interface), None)
    if interface is None:
        return [Finding(level=Level.UNREAD, text=f"{route.interface} cannot be looked at by this user")]
    out = stacked(interface) + _neighbour(readings, interface, route.gateway or to)
    if mtu is not None and interface.mtu is not None and interface.mtu < mtu:
        text = f"the mtu of {interface.name} is {interface.mtu}: packets of {mtu} bytes ([outlet] mtu) cannot leave"
        fix = f"ip link set dev {interface.name} mtu {mtu}, or [outlet] mtu = {interface.mtu}"
        out.append(Finding(level=Level.FAULT, text=text, fix=fix))
    out += _spoken(interface)
    out += _hook(readings, interface.name, "ingress", "what comes in reaches this machine")
    if interface.rx_packets:
        text = f"{interface.rx_packets} frames have come in by {interface.name} since it was made: there is a way back"
        out.append(Finding(level=Level.ODD, text=text, fix=f"find who spoke: tcpdump -i {interface.name} -Q in"))
    return out


def low(readings: Readings | None, listen: str) -> list[Finding]:
    """What is wrong on the receiving side.

    Args:
        readings: As `readings.read` returns it.
        listen: The IPv4 address that is listened on.
    """
    if readings is None:
        return [Finding(level=Level.UNREAD, text="no Linux /proc: nothing of the interface could be looked at")]
    if listen == "0.0.0.0":  # noqa: S104  it is what is warned about
        text = "listens on every interface, so that none could be looked at; name the address on the diode's"
        return [Finding(level=Level.ODD, text=text)]
    here = [one for one in readings.interfaces if listen in (*one.addresses, *one.broadcasts)]
    if not here:
        return []  # binding to it says so
    interface = here[0]
    name = interface.name
    out = stacked(interface) + _filtering(readings, interface) + _spoken(interface)
    out += _hook(readings, name, "egress", "what this machine answers leaves by the link")
    ways = [route for route in readings.routes if route.interface == name]
    if ways:
        text = f"{len(ways)} routes lead out by {name}: this machine could answer"
        out.append(Finding(level=Level.ODD, text=text, fix=f"give {name} the address {listen}/32"))
    if interface.tx_packets:
        text = f"{interface.tx_packets} frames have left by {name} since it was made"
        out.append(Finding(level=Level.ODD, text=text, fix=f"find who spoke: tcpdump -i {name} -Q out"))
    if readings.buffer_bytes is not None and readings.buffer_bytes < SMALL_BUFFER:
        text = f"net.core.rmem_max is {readings.buffer_bytes >> 10} KiB: a short pause of the receiver loses data"
        out.append(Finding(level=Level.ODD, text=text, fix="sysctl -w net.core.rmem_max=67108864"))
    return out


STACKED = {
    "macvlan": "macvlan",
    "ipvlan": "ipvlan",
    "802.1Q VLAN Support": "VLAN",
    "bridge": "bridge",
    "bonding": "bond",
    "team": "team",
    "vxlan": "VXLAN",
    "macsec": "MACsec",
}
"""Interfaces that speak by others, by the names that their drivers give (ethtool -i)."""


def stacked(interface: Interface) -> list[Finding]:
    """What passes an interface beside its own traffic, or by what other interface its own goes."""
    name, out = interface.name, []
    kind = STACKED.get(interface.driver, "interface" if interface.under else "")
    fix = "give the link a network card of its own that nothing else uses, and `checkvalve setup` --interface CARD"
    if kind:
        under = ", ".join(interface.under) or "another interface"
        text = f"{name} is a {kind} on {under}: no rule and no counter of {name} meets what {under} sends by itself"
        out.append(Finding(level=Level.FAULT, text=text, fix=fix))
    if interface.above or interface.flags & MEMBER:
        above = ", ".join(interface.above) or "a bond"
        text = f"{above} speaks by {name}, or has it as a member: its frames pass beside the link's"
        out.append(Finding(level=Level.FAULT, text=text, fix=fix))
    return out


def loopback(host: str) -> bool:
    """Whether nothing of this leaves the machine (127.0.0.0/8)."""
    return ipaddress.IPv4Address(host).is_loopback


def decide(findings: list[Finding], policy: Policy, side: Side) -> PreflightOutcome:
    """Refuse the start, or go on with what is known.

    Raises:
        ConfigError: a fault, and the policy is to refuse; every fault is named with what mends it.
    """
    faults = [one for one in findings if one.level == Level.FAULT]
    if faults and policy == Policy.REFUSE:
        lines = "".join(f"\n  {_line(one)}" for one in faults)
        raise ConfigError(
            f"the diode's interface is not safe to start on:{lines}",
            hint=f"`checkvalve setup {side}` prints every step and does it with --apply; "
            "--preflight=warn starts all the same, and every status says so",
        )
    warnings = [f"preflight overridden: {_line(one)}" for one in faults]
    warnings += [_line(one) for one in findings if one.level == Level.ODD]
    return PreflightOutcome(
        policy=policy.value,
        warnings=tuple(warnings),
        unread=tuple(one.text for one in findings if one.level == Level.UNREAD),
    )


def _best(routes: tuple[Route, ...], to: str) -> Route | None:
    """The main table's longest match; of equals the smallest metric."""
    wanted = int(ipaddress.IPv4Address(to))
    fitting = [one for one in routes if wanted & one.mask == one.network]
    return max(fitting, key=lambda one: (one.mask, -one.metric), default=None)


def _neighbour(readings: Readings, interface: Interface, address: str) -> list[Finding]:
    name = interface.name
    entry = next((one for one in readings.neighbours if (one.address, one.interface) == (address, name)), None)
    fix = f"ip neigh replace {address} lladdr MAC dev {name} nud permanent"
    if entry is None and interface.flags & NOARP:
        text = (
            f"ARP is off on {name} and {address} has no entry: frames would go to this machine's own address, silently"
        )
        return [Finding(level=Level.FAULT, text=text, fix=fix)]
    if entry is None and address in interface.broadcasts:
        return []  # the kernel knows the broadcast's address itself
    if entry is None or not entry.permanent:
        state = "no entry" if entry is None else "only an entry that was learnt from an answer"
        text = f"{address} has {state} in the neighbour table of {name}: what is sent would vanish, silently"
        return [Finding(level=Level.FAULT, text=text, fix=fix)]
    if entry.mac == interface.mac:
        text = f"the entry of {address} is {name}'s own hardware address: what is sent would vanish, silently"
        return [Finding(level=Level.FAULT, text=text, fix=fix)]
    return []


def _filtering(readings: Readings, interface: Interface) -> list[Finding]:
    name = interface.name
    if readings.rp_filter_all is None or interface.rp_filter is None:
        return [Finding(level=Level.UNREAD, text=f"rp_filter of {name} cannot be read by this user")]
    most = max(readings.rp_filter_all, interface.rp_filter)
    if not most:
        return []
    text = f"rp_filter is {most} on {name}: without a way back every datagram is dropped, silently"
    fix = f"sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{name}.rp_filter=0"
    return [Finding(level=Level.FAULT, text=text, fix=fix)]


def _spoken(interface: Interface) -> list[Finding]:
    """What an interface says of itself, without any program's doing."""
    name, out = interface.name, []
    if interface.ipv6 is None:
        out.append(Finding(level=Level.UNREAD, text=f"whether {name} has IPv6 cannot be read by this user"))
    elif interface.ipv6:
        text = f"IPv6 is on at {name}: it looks for routers and neighbours by itself"
        fix = f"ip link set {name} down; sysctl -w net.ipv6.conf.{name}.disable_ipv6=1; ip link set {name} up"
        out.append(Finding(level=Level.FAULT, text=text, fix=fix))
    if not interface.flags & NOARP:
        text = f"ARP is on at {name}: this machine asks and answers"
        out.append(Finding(level=Level.ODD, text=text, fix=f"ip link set {name} arp off"))
    if interface.flags & MULTICAST:
        text = f"multicast is on at {name}: IGMP and name services may speak"
        out.append(Finding(level=Level.ODD, text=text, fix=f"ip link set {name} multicast off"))
    return out


def _hook(readings: Readings, name: str, hook: str, otherwise: str) -> list[Finding]:
    if readings.hooks is None:
        text = f"the firewall's {hook} hook at {name} cannot be seen by this user ({readings.hooks_unread})"
        return [Finding(level=Level.UNREAD, text=text)]
    policy = readings.hooks.get((name, hook))
    if policy == "drop":
        return []
    state = "has no hook" if policy is None else f"has a hook of policy {policy}"
    text = f"the firewall {state} at {name}, {hook}: {otherwise}"
    return [Finding(level=Level.FAULT, text=text, fix="the table that `checkvalve setup` prints, with nft -f")]


def _line(one: Finding) -> str:
    return f"{one.text}; {one.fix}" if one.fix else one.text

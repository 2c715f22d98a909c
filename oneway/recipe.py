"""What makes a network interface one end of a one-way link: the exact commands, in order, from a few parameters.

    1  a network namespace of its own, so that no other program's chatter can reach the interface (where asked for)
    2  interface down, addresses off
    3  IPv6 off; low: reverse path filtering off, since there is no way back and it would drop every datagram silently
    4  ARP off, multicast off
    5  the firewall's hooks at the device (firewall.py)
    6  the address, /32: on the low side no route out of the interface exists
    7  interface up
    8  high: one host route, and the receiver's permanent neighbour entry, since ARP could never ask for it

Everything stands before the link comes up: IPv6 speaks in the first instant, and the counter would show it for ever.
`steps` is pure: the commands it returns are the ones that are printed, run and tested.

Two receivers behind an optical splitter: both have the same address, and the high side's neighbour entry is the
broadcast address (`peer_mac = "ff:ff:ff:ff:ff:ff"`); no group is joined, since joining one speaks.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from dataclasses import dataclass
from enum import StrEnum

from oneway.firewall import high_rules, low_rules
from protocol.errors import ConfigError

BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
"""Every receiver on the segment takes a frame with this address (IEEE 802.3, 3.2.3)."""
BUFFER_BYTES = 64 << 20
"""Receive buffer that the low side asks for [bytes]; receiver.toml's own default."""

_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")  # linux/if.h: IFNAMSIZ 16 with its ending zero
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class Side(StrEnum):
    """Which end of the link."""

    HIGH = "high"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One end's parameters.

    Raises:
        ConfigError: one of them is wrong; it is named as the option of `checkvalve setup` that sets it.
    """

    side: Side
    interface: str
    """The diode's network interface, as the kernel calls it."""
    address: str
    """This machine's IPv4 address on it."""
    port: int
    """UDP port of the link."""
    peer: str | None = None
    """High: the receiver's IPv4 address. Low: the sender's, whose datagrams alone are let in; None lets any in."""
    peer_mac: str | None = None
    """High: the receiver's hardware address, or `BROADCAST_MAC` for two receivers."""
    appliance_mac: str | None = None
    """High: hardware address of a diode appliance's own plant-side port, whose frames are counted apart."""
    namespace: str | None = None
    """Network namespace that the interface is moved to; None leaves it where it is."""
    mtu: int | None = None
    """Largest IP packet of the interface [bytes]; None leaves it as it is."""
    buffer_bytes: int = BUFFER_BYTES
    """Low: largest receive buffer that a process without privileges may ask for [bytes]."""

    def __post_init__(self) -> None:
        _whole(_INTERFACE, self.interface, "--interface", "such as enp3s0")
        _address(self.address, "--address")
        if not 0 < self.port < 65536:
            raise ConfigError(f"--port {self.port} is no UDP port", hint="1 to 65535, such as 5005")
        if self.peer is not None:
            _address(self.peer, "--to" if self.side == Side.HIGH else "--sender")
        if self.namespace is not None:
            _whole(_NAMESPACE, self.namespace, "--netns", "such as checkvalve")
        if self.mtu is not None and not 68 <= self.mtu <= 65_535:
            raise ConfigError(f"--mtu {self.mtu} is none", hint="68 to 65535 bytes, such as 1500")
        if self.side == Side.HIGH:
            if self.peer is None:
                raise ConfigError("--to is missing: the receiver's address", hint="such as --to 192.0.2.2:5005")
            if self.peer_mac is None:
                text = "--peer-mac is missing: without the receiver's hardware address every frame vanishes silently"
                raise ConfigError(text, hint="read it on the low side: ip link show; two receivers: broadcast")
            _whole(_MAC, self.peer_mac, "--peer-mac", "such as 02:00:5e:10:00:01, small letters")
            if self.appliance_mac is not None:
                _whole(_MAC, self.appliance_mac, "--appliance-mac", "such as 02:00:5e:10:00:03, small letters")
            if self.peer_mac != BROADCAST_MAC and int(self.peer_mac[:2], 16) & 1:
                raise ConfigError(
                    f"--peer-mac {self.peer_mac} is a group's address", hint="one machine's, or broadcast"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupStep:
    """One command of a recipe, and what it is for."""

    argv: tuple[str, ...]
    why: str
    """What it is for, a few words."""
    stdin: str = ""
    """What the command reads."""
    unless: tuple[str, ...] = ()
    """A command; where it succeeds, the step is done already and left out."""


def steps(ground: Ground) -> tuple[SetupStep, ...]:
    """The commands that make the interface this end of the link, in order, all as root."""
    one, name = _Inside(ground.namespace), ground.interface
    rules = _rules(ground)
    out = [*_moved(ground, one)]
    out.append(one.ip("link", "set", "dev", name, "down", why="all that follows stands before the link comes up"))
    out.append(one.ip("addr", "flush", "dev", name, why="no address that was there before"))
    out += _sysctls(ground, one)
    out.append(one.ip("link", "set", "dev", name, "arp", "off", "multicast", "off", why="no ARP, no IGMP, no mDNS"))
    if ground.mtu is not None:
        out.append(one.ip("link", "set", "dev", name, "mtu", str(ground.mtu), why="the largest packet"))
    out.append(one.run("nft", "-f", "-", stdin=rules, why="the firewall's hooks at the device"))
    out.append(one.ip("addr", "add", f"{ground.address}/32", "dev", name, why="/32: no route comes with it"))
    out.append(one.ip("link", "set", "dev", name, "up", why="up"))
    if ground.side == Side.HIGH:
        assert ground.peer is not None
        assert ground.peer_mac is not None
        route = ("route", "replace", f"{ground.peer}/32", "dev", name, "scope", "link", "src", ground.address)
        entry = ("neigh", "replace", ground.peer, "lladdr", ground.peer_mac, "dev", name, "nud", "permanent")
        out.append(one.ip(*route, why="the one route: to the receiver"))
        out.append(one.ip(*entry, why="without it frames go to this machine's own address, and no error says so"))
    return tuple(out)


def script(plan: tuple[SetupStep, ...]) -> str:
    """The commands as a shell script that can be read, kept, and run by `sh`."""
    lines = ["#!/bin/sh", "set -eu"]
    for step in plan:
        command = shlex.join(step.argv)
        if step.stdin:
            command += f" <<'END'\n{step.stdin}END"
        if step.unless:
            command = f"{shlex.join(step.unless)} >/dev/null 2>&1 || {command}"
        lines += [f"# {step.why}", command]
    return "\n".join(lines) + "\n"


def inside(namespace: str | None, *argv: str) -> tuple[str, ...]:
    """A command line that runs in a network namespace."""
    return argv if namespace is None else ("ip", "netns", "exec", namespace, *argv)


@dataclass(frozen=True, slots=True)
class _Inside:
    """Makes steps that act in one namespace."""

    namespace: str | None

    def ip(self, *words: str, why: str) -> SetupStep:
        return SetupStep(argv=("ip", *(() if self.namespace is None else ("-n", self.namespace)), *words), why=why)

    def run(self, *argv: str, why: str, stdin: str = "", unless: tuple[str, ...] = ()) -> SetupStep:
        before = inside(self.namespace, *unless) if unless else ()
        return SetupStep(argv=inside(self.namespace, *argv), why=why, stdin=stdin, unless=before)


def _moved(ground: Ground, one: _Inside) -> list[SetupStep]:
    name = ground.namespace
    if name is None:
        return []
    made = SetupStep(
        argv=("ip", "netns", "add", name),
        why="the interface's own namespace: nothing else lives there",
        unless=inside(name, "true"),
    )
    moved = SetupStep(
        argv=("ip", "link", "set", "dev", ground.interface, "netns", name),
        why="the interface moves in",
        unless=one.ip("link", "show", "dev", ground.interface, why="").argv,
    )
    return [made, moved]


def _sysctls(ground: Ground, one: _Inside) -> list[SetupStep]:
    """Keys with slashes: an interface's name may have dots."""
    name = ground.interface
    six = [f"net/ipv6/conf/{name}/disable_ipv6=1"]
    if ground.namespace is not None:  # elsewhere `all` would take IPv6 from the machine's other interfaces too
        six = ["net/ipv6/conf/all/disable_ipv6=1", "net/ipv6/conf/default/disable_ipv6=1", *six]
    out = [
        one.run("sysctl", "-qw", *six, why="IPv6 off, before it can speak", unless=("test", "!", "-e", _SIX)),
        one.run("sysctl", "-qw", f"net/ipv4/conf/{name}/forwarding=0", why="nothing is forwarded"),
    ]
    if ground.side == Side.LOW:
        keys = ("net/ipv4/conf/all/rp_filter=0", f"net/ipv4/conf/{name}/rp_filter=0")
        why = "the larger of the two counts; 1 or 2 would drop every datagram silently, there being no way back"
        out.append(one.run("sysctl", "-qw", *keys, why=why))
        most = SetupStep(
            argv=("sysctl", "-qw", f"net/core/rmem_max={ground.buffer_bytes}"),
            why="a receive buffer that outlasts a pause; the machine's, not the namespace's",
            unless=("sh", "-c", f"test $(cat /proc/sys/net/core/rmem_max) -ge {ground.buffer_bytes}"),
        )
        out.append(most)
    return out


_SIX = "/proc/sys/net/ipv6"


def _rules(ground: Ground) -> str:
    if ground.side == Side.LOW:
        return low_rules(ground.interface, ground.address, ground.port, ground.peer)
    assert ground.peer is not None
    return high_rules(ground.interface, ground.address, ground.peer, ground.port, ground.appliance_mac)


def _whole(pattern: re.Pattern[str], value: str, option: str, example: str) -> None:
    if not pattern.fullmatch(value):
        raise ConfigError(f"{option} {value!r} is none", hint=example)


def _address(value: str, option: str) -> None:
    try:
        given = ipaddress.IPv4Address(value)
    except ValueError:
        raise ConfigError(f"{option} {value!r} is no IPv4 address", hint="such as 192.0.2.1") from None
    if given.is_multicast or given.is_loopback or given.is_unspecified:
        raise ConfigError(f"{option} {value} is no machine's address on the diode", hint="such as 192.0.2.1")

"""What the kernel says of this machine's interfaces, as far as a user without privileges may ask.

    /proc/thread-self/net/dev, route, arp     interfaces with their counters, IPv4 routes, neighbours
    /proc/sys/net                      IPv6, reverse path filtering, buffers
    netdevice(7) questions             addresses, flags, hardware address, mtu
    nft list ruleset                   the firewall's hooks; needs CAP_NET_ADMIN, so most users cannot know

    ethtool's first question           the driver: what kind of interface it is
    /sys/class/net/NAME                what lies under it and what stands on it

All of it is of the network namespace that asks; sysfs may show another one's, so what it says of an interface counts
only where it tells the same index and hardware address. Nothing is sent, and the
socket that the questions need is closed before this returns. No `ip` and no netlink: a service whose address families
are restricted to IPv4 can still look.

Source: linux/sockios.h, linux/if.h, linux/if_arp.h, proc(5).
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from oneway.firewall import Hooks, hooks

UP, LOOPBACK, NOARP, MEMBER, MULTICAST = 0x1, 0x8, 0x80, 0x800, 0x1000
"""Interface flags (linux/if.h)."""
_CONF, _FLAGS, _BROADCAST, _MTU, _HARDWARE = 0x8912, 0x8913, 0x8919, 0x8921, 0x8927  # linux/sockios.h: SIOCGIF..
_INDEX, _ETHTOOL = 0x8933, 0x8946  # SIOCGIFINDEX, SIOCETHTOOL
_DRIVER, _DRIVER_BYTES = 3, 196  # linux/ethtool.h: ETHTOOL_GDRVINFO, struct ethtool_drvinfo
_POINTER = struct.Struct("16sP16x")  # struct ifreq with a pointer
_PERMANENT = 0x04  # linux/if_arp.h: ATF_PERM
_ROUTE_UP = 0x1  # linux/route.h: RTF_UP
_REQUEST = struct.Struct("16s24x")  # struct ifreq: name, then a union of 24 bytes (64-bit machines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One network interface."""

    name: str
    flags: int
    """IFF_ bits."""
    mac: str
    addresses: tuple[str, ...] = ()
    """IPv4."""
    broadcasts: tuple[str, ...] = ()
    """IPv4 directed broadcasts."""
    rx_packets: int = 0
    """Frames taken since the interface was made."""
    tx_packets: int = 0
    """Frames given since the interface was made."""
    mtu: int | None = None
    """Largest IP packet [bytes]."""
    ipv6: bool | None = None
    """IPv6 may speak here; None where that cannot be read."""
    rp_filter: int | None = None
    """Its own setting, 0 to 2; the kernel takes the larger of this and `all`."""
    driver: str = ""
    """What kind it is, as its driver calls itself; empty: it does not say."""
    under: tuple[str, ...] = ()
    """Interfaces that it speaks by."""
    above: tuple[str, ...] = ()
    """Interfaces that speak by it, or have it as a member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """One entry of the neighbour table that carries an address."""

    address: str
    interface: str
    mac: str
    permanent: bool
    """Put there by a person; others were learnt from somebody's answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One unicast route of the main table."""

    network: int
    mask: int
    gateway: str | None
    interface: str
    metric: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Everything preflight looks at."""

    interfaces: tuple[Interface, ...]
    neighbours: tuple[Neighbour, ...]
    routes: tuple[Route, ...]
    rp_filter_all: int | None
    buffer_bytes: int | None
    """Largest receive buffer that a process without privileges may ask for, net.core.rmem_max [bytes]."""
    hooks: Mapping[tuple[str, str], str] | None
    """See `firewall.Hooks`; None where they cannot be listed."""
    hooks_unread: str = field(default="")
    """Why they cannot."""


def read() -> Readings | None:
    """Look at this network namespace; None where there is no Linux /proc."""
    net, settings = Path("/proc/thread-self/net"), Path("/proc/sys/net")
    try:
        counters = _counters((net / "dev").read_text())
    except OSError:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        addresses = _addresses(asked)
        interfaces = [_interface(asked, name, counters[name], addresses, settings) for name in counters]
    listed, why = _hooks()
    return Readings(
        interfaces=tuple(one for one in interfaces if one is not None),
        neighbours=_neighbours(_text(net / "arp")),
        routes=_routes(_text(net / "route")),
        rp_filter_all=_number(settings / "ipv4/conf/all/rp_filter"),
        buffer_bytes=_number(settings / "core/rmem_max"),
        hooks=listed,
        hooks_unread=why,
    )


def _interface(
    asked: socket.socket,
    name: str,
    counted: tuple[int, int],
    addresses: Mapping[str, list[str]],
    settings: Path,
) -> Interface | None:
    try:
        (flags,) = struct.unpack_from("H", _ask(asked, _FLAGS, name), 16)
        mac = _ask(asked, _HARDWARE, name)[18:24].hex(":")
        (mtu,) = struct.unpack_from("i", _ask(asked, _MTU, name), 16)
    except OSError:  # it went away meanwhile
        return None
    off = _number(settings / f"ipv6/conf/{name}/disable_ipv6")
    own = addresses.get(name, [])
    return Interface(
        name=name,
        flags=flags,
        mac=mac,
        addresses=tuple(own),
        broadcasts=_broadcasts(asked, name) if own else (),
        rx_packets=counted[0],
        tx_packets=counted[1],
        mtu=mtu,
        ipv6=off != 1 if off is not None else (None if (settings / "ipv6").exists() else False),
        rp_filter=_number(settings / f"ipv4/conf/{name}/rp_filter"),
        driver=_driver(asked, name),
        under=_joined(asked, name, mac, "lower_"),
        above=_joined(asked, name, mac, "upper_"),
    )


def _driver(asked: socket.socket, name: str) -> str:
    buffer = array.array("B", struct.pack("I", _DRIVER) + bytes(_DRIVER_BYTES - 4))
    try:
        fcntl.ioctl(asked, _ETHTOOL, _POINTER.pack(name.encode(), buffer.buffer_info()[0]))
    except OSError:
        return ""
    return buffer[4:36].tobytes().split(b"\0")[0].decode(errors="replace")


def _joined(asked: socket.socket, name: str, mac: str, prefix: str) -> tuple[str, ...]:
    """Names in sysfs that begin so, where sysfs speaks of this very interface."""
    folder = Path("/sys/class/net") / name
    try:
        (index,) = struct.unpack_from("i", _ask(asked, _INDEX, name), 16)
        if (_number(folder / "ifindex"), _text(folder / "address").strip()) != (index, mac):
            return ()
        return tuple(sorted(one.name.removeprefix(prefix) for one in folder.iterdir() if one.name.startswith(prefix)))
    except OSError:
        return ()


def _broadcasts(asked: socket.socket, name: str) -> tuple[str, ...]:
    try:
        address = socket.inet_ntoa(_ask(asked, _BROADCAST, name)[20:24])
    except OSError:
        return ()
    return () if address == "0.0.0.0" else (address,)  # noqa: S104  no address to bind to: none was set


def _addresses(asked: socket.socket) -> dict[str, list[str]]:
    """Interface -> its IPv4 addresses (SIOCGIFCONF)."""
    buffer = array.array("B", bytes(_REQUEST.size * 1024))
    where, _ = buffer.buffer_info()
    answer = fcntl.ioctl(asked, _CONF, struct.pack("iP", len(buffer), where))
    (size,) = struct.unpack_from("i", answer)
    out: dict[str, list[str]] = {}
    for at in range(0, size, _REQUEST.size):
        label = buffer[at : at + 16].tobytes().split(b"\0")[0].decode()
        out.setdefault(label.split(":")[0], []).append(socket.inet_ntoa(buffer[at + 20 : at + 24].tobytes()))
    return out


def _ask(asked: socket.socket, question: int, name: str) -> bytes:
    return fcntl.ioctl(asked, question, _REQUEST.pack(name.encode()))


def _counters(text: str) -> dict[str, tuple[int, int]]:
    """Interface -> (rx_packets, tx_packets) of /proc/net/dev."""
    out = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.rpartition(":")
        words = rest.split()
        out[name.strip()] = (int(words[1]), int(words[9]))
    return out


def _neighbours(text: str) -> tuple[Neighbour, ...]:
    """/proc/net/arp; it leaves out what the kernel made up itself for an interface without ARP."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return tuple(
        Neighbour(address=row[0], mac=row[3], interface=row[5], permanent=bool(int(row[2], 16) & _PERMANENT))
        for row in rows
        if len(row) == 6 and row[3] != "00:00:00:00:00:00"
    )


def _routes(text: str) -> tuple[Route, ...]:
    """/proc/net/route: hexadecimal words in the machine's own byte order."""
    out = []
    for line in text.splitlines()[1:]:
        row = line.split()
        if int(row[3], 16) & _ROUTE_UP:
            gateway = _word(row[2])
            out.append(
                Route(
                    interface=row[0],
                    network=_word(row[1]),
                    mask=_word(row[7]),
                    gateway=socket.inet_ntoa(gateway.to_bytes(4, "big")) if gateway else None,
                    metric=int(row[6]),
                )
            )
    return tuple(out)


def _word(text: str) -> int:
    return int.from_bytes(struct.pack("=I", int(text, 16)), "big")


def _hooks() -> tuple[Hooks | None, str]:
    try:
        done = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        return None, "nft is not installed"
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"nft list ruleset: {error}"
    if done.returncode:
        return None, "nft list ruleset: " + (done.stderr.strip().splitlines() or ["failed"])[0]
    return hooks(done.stdout), ""


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None

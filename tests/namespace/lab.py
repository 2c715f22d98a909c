"""Two network namespaces and a cable, made for one test and always removed: a lab for the real recipe.

    high  hi0  192.0.2.1  02:dd:00:00:00:01  ----cable----  02:dd:00:00:00:02  192.0.2.2  lo0  low

The cable is a veth pair, or a bridge between two of them with room for a second receiver and for a tester who puts a
frame on it. Names are random, so that tests run beside each other.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from oneway.recipe import Ground, SetupStep, Side, steps

HIGH_MAC, LOW_MAC = "02:dd:00:00:00:01", "02:dd:00:00:00:02"
HIGH, LOW, PORT = "192.0.2.1", "192.0.2.2", 5005
T = TypeVar("T")


def missing() -> str | None:
    """Why there is no lab here, None where there is."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    lacking = [tool for tool in ("ip", "nft", "sysctl") if shutil.which(tool) is None]
    if lacking:
        return f"{', '.join(lacking)} is not installed"
    name = f"cvt{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return None


def run(*argv: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command that must not fail."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert not check or done.returncode == 0, (argv, done.stdout, done.stderr)
    return done


def within(namespace: str, act: Callable[[], T]) -> T:
    """Do something in a namespace, on a thread of its own that ends with it."""
    out: list[T] = []
    failed: list[BaseException] = []

    def inside() -> None:
        try:
            enter(namespace)
            out.append(act())
        except BaseException as error:  # noqa: BLE001  it is raised again below
            failed.append(error)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return out[0]


def enter(namespace: str) -> None:
    """This thread lives in that namespace from now on (setns(2), CLONE_NEWNET)."""
    held = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.setns(held, 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(held)


@dataclass
class Lab:
    """The two ends; `lows` has one more where a second receiver was asked for."""

    high: str
    lows: list[str]
    cable: str | None = None
    """Namespace of the bridge, where there is one."""
    made: list[str] = field(default_factory=list)

    @property
    def low(self) -> str:
        """The first receiver's namespace."""
        return self.lows[0]

    def high_ground(self, peer_mac: str = LOW_MAC) -> Ground:
        """The sending end's parameters."""
        return Ground(
            side=Side.HIGH,
            interface="hi0",
            address=HIGH,
            port=PORT,
            peer=LOW,
            peer_mac=peer_mac,
            namespace=self.high,
        )

    def low_ground(self, low: str | None = None) -> Ground:
        """A receiving end's parameters."""
        return Ground(
            side=Side.LOW,
            interface="lo0",
            address=LOW,
            port=PORT,
            peer=HIGH,
            namespace=low or self.low,
            buffer_bytes=1,  # leaves the machine's own setting alone
        )

    def rx(self) -> int:
        """Frames that came in on the high side."""
        return counter(self.high, "hi0", "rx_packets")

    def tx(self) -> int:
        """Frames that left the low side."""
        return sum(counter(low, "lo0", "tx_packets") for low in self.lows)


@contextlib.contextmanager
def lab(*, receivers: int = 1, bridge: bool = False) -> Iterator[Lab]:
    """Make the namespaces and the cable; nothing is configured or up."""
    token = secrets.token_hex(3)
    lows = [f"cv{token}l{at}" for at in range(receivers)]
    one = Lab(high=f"cv{token}h", lows=lows, cable=f"cv{token}c" if bridge or receivers > 1 else None)
    try:
        for name in (one.high, *lows, *([one.cable] if one.cable else [])):
            run("ip", "netns", "add", name)
            one.made.append(name)
        if one.cable is None:
            _pair(one.high, "hi0", HIGH_MAC, one.low, "lo0", LOW_MAC)
        else:
            _bridged(one, one.cable)
        yield one
    finally:
        for name in one.made:
            run("ip", "netns", "del", name, check=False)


def _pair(here: str, name: str, mac: str, there: str, other: str, other_mac: str) -> None:
    words = ("netns", here, "address", mac, "type", "veth", "peer", "name", other, "netns", there, "address", other_mac)
    run("ip", "link", "add", name, *words)


def _bridged(one: Lab, cable: str) -> None:
    """A switch that knows nobody: every frame goes to all ports, as behind an optical splitter."""
    for key in ("all", "default"):
        run("ip", "netns", "exec", cable, "sysctl", "-qw", f"net/ipv6/conf/{key}/disable_ipv6=1")
    run("ip", "-n", cable, "link", "add", "br0", "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
    ends = [(one.high, "hi0", HIGH_MAC, "to-high")]
    ends += [
        (low, "lo0", LOW_MAC if not at else f"02:dd:00:00:00:{at + 2:02x}", f"to-low{at}")
        for at, low in enumerate(one.lows)
    ]
    for at, (namespace, name, mac, port) in enumerate(ends):
        _pair(namespace, name, mac, cable, port, f"02:dd:00:00:01:{at:02x}")
        run("ip", "-n", cable, "link", "set", "dev", port, "master", "br0", "up")
        run("ip", "-n", cable, "link", "set", "dev", port, "type", "bridge_slave", "learning", "off")
    run("ip", "-n", cable, "link", "set", "dev", "br0", "up")


def configure(ground: Ground, *, without: Callable[[SetupStep], bool] = lambda step: False) -> None:
    """Do the recipe, all of it or all but some steps."""
    for step in steps(ground):
        if without(step) or (step.unless and run(*step.unless, check=False).returncode == 0):
            continue
        run(*step.argv, stdin=step.stdin)


def plain(namespace: str, name: str, address: str) -> None:
    """What somebody does who knows of no recipe: an address and up."""
    run("ip", "-n", namespace, "addr", "add", f"{address}/30", "dev", name)
    run("ip", "-n", namespace, "link", "set", "dev", name, "up")


def counter(namespace: str, interface: str, name: str) -> int:
    """One of the interface's counters."""
    text = run("ip", "netns", "exec", namespace, "cat", f"/sys/class/net/{interface}/statistics/{name}").stdout
    return int(text)


def checkvalve(namespace: str, *words: str) -> list[str]:
    """Command line of a Checkvalve command in a namespace."""
    return ["ip", "netns", "exec", namespace, sys.executable, "-P", "-m", "checkvalve", *words]


def udp(namespace: str, address: str | None = None) -> socket.socket:
    """A datagram socket that lives in a namespace, bound where an address is given."""

    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.settimeout(0.2)
        if address is not None:
            made.bind((address, PORT))
        return made

    return within(namespace, make)


class Tap:
    """A passive tap: keeps every frame that passes an interface, in both directions, until it is closed."""

    def __init__(self, namespace: str, interface: str) -> None:
        self._frames: list[bytes] = []
        self._stop = False
        self._socket = within(namespace, lambda: self._bound(interface))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @staticmethod
    def _bound(interface: str) -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        made.bind((interface, 0x0003))  # linux/if_ether.h: ETH_P_ALL
        made.settimeout(0.2)
        return made

    def _run(self) -> None:
        while True:
            try:
                self._frames.append(self._socket.recv(65_536))
            except TimeoutError:
                if self._stop:
                    return

    def close(self) -> list[bytes]:
        """Ends once nothing has come for 0.2 s; returns the frames."""
        self._stop = True
        self._thread.join()
        self._socket.close()
        return self._frames

"""Where the link is measured: two network namespaces and a veth pair with segmentation off, or the loopback.

In the pair the kernel makes real 1,500-byte packets, as a network card would get them; with veth's own offloads, and on
the loopback, whole 64 KiB buffers travel as they are. Loss is made by nftables in the receiver's namespace, at random.
Everything that was made is removed at the end.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchLink:
    """One link to measure on, and how a command is run at either end of it."""

    kind: str
    """`veth` or `loopback`."""
    high: tuple[str, ...]
    """Words before a command on the sending side."""
    low: tuple[str, ...]
    source: str
    """The sender's address."""
    address: str
    """The receiver's."""
    interfaces: tuple[str, str] | None
    """Names at the sender and at the receiver; None: the loopback."""

    def drop(self, share: float) -> None:
        """Drop this share of the datagrams from now on, at random.

        Raises:
            OSError: the loopback, or no nftables.
        """
        if self.kind != "veth":
            raise OSError("no loss is made on the loopback")
        rules = "flush ruleset\n"
        if share:
            rules += (
                "table inet loss {\n chain in {\n  type filter hook input priority 0;\n"
                f"  meta l4proto udp numgen random mod 1000 < {round(share * 1000)} drop\n }}\n}}\n"
            )
        done = subprocess.run([*self.low, "nft", "-f", "-"], input=rules, text=True, capture_output=True, check=False)
        if done.returncode:
            raise OSError(f"nft: {done.stderr.strip()}")


@contextmanager
def lab() -> Iterator[BenchLink]:
    """A link to measure on; a veth pair where this user may make one."""
    names = [f"cvbench{side}{os.getpid()}" for side in ("h", "l")]
    high, low = ([*("ip", "netns", "exec"), name] for name in names)
    steps = [
        ["ip", "netns", "add", names[0]],
        ["ip", "netns", "add", names[1]],
        [*high, "ip", "link", "add", "link0", "type", "veth", "peer", "name", "link1"],
        [*high, "ip", "link", "set", "link1", "netns", names[1]],
        [*high, "ip", "addr", "add", "10.77.0.1/24", "brd", "+", "dev", "link0"],
        [*low, "ip", "addr", "add", "10.77.0.2/24", "brd", "+", "dev", "link1"],
        [*high, "ip", "link", "set", "lo", "up"],
        [*low, "ip", "link", "set", "lo", "up"],
        [*high, "ip", "link", "set", "link0", "up"],
        [*low, "ip", "link", "set", "link1", "up"],
        [*high, "ip", "route", "add", "224.0.0.0/4", "dev", "link0"],
        [*low, "ip", "route", "add", "224.0.0.0/4", "dev", "link1"],
        [*high, "ethtool", "-K", "link0", "tx-udp-segmentation", "off"],
    ]
    made = all(_quiet(step) for step in steps)
    try:
        if made:
            yield BenchLink(
                kind="veth",
                high=tuple(high),
                low=tuple(low),
                source="10.77.0.1",
                address="10.77.0.2",
                interfaces=("link0", "link1"),
            )
        else:
            yield BenchLink(kind="loopback", high=(), low=(), source="127.0.0.1", address="127.0.0.1", interfaces=None)
    finally:
        for name in names:
            _quiet(["ip", "netns", "del", name])


def _quiet(words: list[str]) -> bool:
    try:
        return subprocess.run(words, capture_output=True, check=False, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False

"""The netdev hooks of both sides as text for `nft -f`, and the reading of what `nft list ruleset` tells.

    high, ingress   policy drop, counted `rx_drop`: nothing that comes in reaches this machine's network stack; what a
                    diode appliance's own port says is dropped too and counted apart, `rx_appliance`
    high, egress    policy drop; the one flow leaves, counted `tx_data`; all else is `tx_other`
    low, egress     policy drop, counted `tx_drop`: nothing leaves, not even from a raw socket that bypasses queueing
    low, ingress    policy drop; the one flow comes in, counted `rx_data`; all else is `rx_other`

A netdev hook stands at the device, before and behind everything else that the kernel does with a frame (egress: Linux
5.16 and newer). Only text is parsed: the JSON of nft 1.0.6 leaves the device of a chain out. Writer and reader stand
side by side so that one change touches both.
"""

from __future__ import annotations

import re

TABLE = "checkvalve"
"""Name of the one table; it is replaced whole, in one transaction, and no other is touched."""
FIRST = -500
"""Priority of the chains: before any other table's."""

_CHAIN = re.compile(
    r"type filter hook (?P<hook>ingress|egress) device(?:s = \{)? (?P<devices>[^;}]*?)(?: \})? priority [^;]+;"
    r"(?: policy (?P<policy>\w+);)?"
)

Hooks = dict[tuple[str, str], str]
"""(interface, `ingress` or `egress`) -> policy of a netdev chain that stands there."""


def high_rules(interface: str, address: str, to: str, port: int, appliance: str | None = None) -> str:
    """The high side's table: out goes one flow, in comes nothing.

    Args:
        interface: The diode's.
        address: This machine's IPv4 address there.
        to: The receiver's.
        port: UDP port.
        appliance: Hardware address of a diode appliance's own plant-side port.
    """
    own = [f"ether saddr {appliance} counter name rx_appliance drop"] if appliance else []
    flow = f"ip saddr {address} ip daddr {to} udp dport {port}"
    return _table(
        ("rx_drop", *(["rx_appliance"] if appliance else []), "tx_data", "tx_other"),
        _chain("ingress", interface, [*own, "counter name rx_drop drop"]),
        _chain("egress", interface, [f"{flow} counter name tx_data accept", "counter name tx_other drop"]),
    )


def low_rules(interface: str, address: str, port: int, sender: str | None) -> str:
    """The low side's table: in comes one flow, out goes nothing.

    Args:
        interface: The diode's.
        address: This machine's IPv4 address there.
        port: UDP port.
        sender: The high side's address; None lets any source in.
    """
    flow = (f"ip saddr {sender} " if sender else "") + f"ip daddr {address} udp dport {port}"
    return _table(
        ("tx_drop", "rx_data", "rx_other"),
        _chain("egress", interface, ["counter name tx_drop drop"]),
        _chain("ingress", interface, [f"{flow} counter name rx_data accept", "counter name rx_other drop"]),
    )


def hooks(listing: str) -> Hooks:
    """The netdev chains of `nft list ruleset`; of two on one device and hook the one that drops is told."""
    listed: Hooks = {}
    for chain in _CHAIN.finditer(listing):
        for device in re.findall(r'"?([^",\s]+)"?', chain["devices"]):
            key = (device, chain["hook"])
            if listed.get(key) != "drop":
                listed[key] = chain["policy"] or "accept"
    return listed


def _table(counters: tuple[str, ...], *chains: str) -> str:
    """One transaction: made so that it can be deleted, deleted, made anew; the device is never without a hook."""
    lines = [f"add table netdev {TABLE}", f"delete table netdev {TABLE}", f"table netdev {TABLE} {{"]
    lines += [f"  counter {name} {{\n  }}" for name in counters]
    return "\n".join([*lines, *chains, "}"]) + "\n"


def _chain(hook: str, interface: str, rules: list[str]) -> str:
    head = f'    type filter hook {hook} device "{interface}" priority {FIRST}; policy drop;'
    return "\n".join([f"  chain {hook} {{", head, *(f"    {rule}" for rule in rules), "  }"])

"""What the kernel holds of the diode's interface: flags, addresses, routes, neighbours, firewall, counters.

Pure: `GroundState` is what was looked at, `checks` judges it. What could not be read is SKIP with its reason, never
PASS. The state is that of one moment; the counters (CNT) are what reaches back to when the interface was made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from audit import catalogue
from audit.check import Check, CheckStatus, verdict
from audit.machine.look import NamespaceLook, Observation
from audit.machine.netdev import NetdevChain, chains, counters

_OUT = ("OutMsgs", "OutErrors", "OutDestUnreachs", "OutTimeExcds", "OutParmProbs", "OutRedirects", "OutEchoReps")
"""ICMP counters that grow when the kernel answers, or would (RFC 2011)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is expected of the interface."""

    side: str
    """`high` or `low`."""
    interface: str
    peer_mac: str | None = None
    """High: the receiver's recorded hardware address."""
    appliance: str | None = None
    """High: hardware address of a diode appliance's own plant-side port; None for bare fibre."""
    by: str = ""
    """Who attests the appliance's frames."""

    @property
    def high(self) -> bool:
        """The sending side."""
        return self.side == "high"


ALONE = ("", "veth", "dummy")
"""Kinds of interface under which no other lies: a card's own, and the kernel's own pair and sink (ip-link(8))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundState:
    """What the kernel said of the interface and its namespace at one moment."""

    link: Observation
    links: Observation
    taken: Observation
    """Hardware addresses beside its own that the interface takes frames for."""
    addresses: Observation
    routes: Observation
    neighbours: Observation
    firewall: Observation
    pause: Observation
    eee: Observation
    mode: Observation
    six: Observation
    forwarding: tuple[Observation, Observation]
    """The interface's, and ip_forward."""
    rp_filter: tuple[Observation, Observation]
    """`all` and the interface's."""
    snmp: Observation
    netstat: Observation


def look(at: NamespaceLook, name: str) -> GroundState:
    """Look at everything that `checks` judges.

    Args:
        at: The namespace.
        name: The interface.
    """
    four = "/proc/sys/net/ipv4"
    return GroundState(
        link=at.run("ip", "-j", "-s", "-d", "link", "show", "dev", name),
        links=at.run("ip", "-j", "-d", "link", "show"),
        taken=at.run("bridge", "-j", "fdb", "show", "dev", name),
        addresses=at.run("ip", "-j", "addr", "show", "dev", name),
        routes=at.run("ip", "-j", "route", "show", "table", "all"),
        neighbours=at.run("ip", "-j", "neigh", "show", "nud", "all", "dev", name),
        firewall=at.run("nft", "list", "ruleset"),
        pause=at.run("ethtool", "-a", name),
        eee=at.run("ethtool", "--show-eee", name),
        mode=at.run("ethtool", name),
        six=at.file(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6"),
        forwarding=(at.file(f"{four}/conf/{name}/forwarding"), at.file(f"{four}/ip_forward")),
        rp_filter=(at.file(f"{four}/conf/all/rp_filter"), at.file(f"{four}/conf/{name}/rp_filter")),
        snmp=at.file("/proc/net/snmp"),
        netstat=at.file("/proc/net/netstat"),
    )


def checks(state: GroundState, subject: Subject) -> list[Check]:
    """Judge the interface, in the catalogue's order."""
    links = state.link.json()
    link = links[0] if links else {}
    out = _counters(state, subject, link)
    out += _flags(state, link)
    out += [_layer_one(state), *_addresses(state, subject), _routes(state, subject)]
    out += [_neighbours(state, subject)] if subject.high else [_filtering(state)]
    return out + _firewall(state, subject)


def _counters(state: GroundState, subject: Subject, link: dict[str, Any]) -> list[Check]:
    wrong = "rx" if subject.high else "tx"
    word = "received" if subject.high else "sent"
    named = counters(state.firewall.text)
    frames = link.get("stats64", {}).get(wrong, {}).get("packets")
    shown = {"ifindex": link.get("ifindex"), f"{wrong}_packets": frames}
    evidence = state.link.evidence(shown if frames is not None else None)
    if frames is None:
        status, found = CheckStatus.SKIP, state.link.why or "the interface tells no counters"
    elif frames == 0 or subject.appliance is None or not subject.high:
        status, found = verdict(frames == 0), f"{frames} frames {word} since the interface was made"
    else:
        status, found = _appliance_counted(frames, named, subject)
    out = [catalogue.check("CNT-1", status, found, evidence)]
    if subject.high and subject.appliance is not None:
        out.append(_appliance(state, subject, named))
    counter = f"{wrong}_drop"
    if counter not in named:
        found = state.firewall.why or f"the firewall has no counter {counter}"
        out.append(catalogue.check("CNT-2", CheckStatus.SKIP, found, state.firewall.evidence(named)))
    else:
        # on the low side the hook stopped an attempt: worth finding, and no way back
        bad = CheckStatus.FAIL if subject.high else CheckStatus.WARN
        status = bad if named[counter] else CheckStatus.PASS
        found = f"{counter} {named[counter]}"
        out.append(catalogue.check("CNT-2", status, found, state.firewall.evidence(named)))
    return out if subject.high else [*out, _wanted(state)]


def _appliance_counted(frames: int, named: dict[str, int], subject: Subject) -> tuple[CheckStatus, str]:
    own, other = named.get("rx_appliance"), named.get("rx_drop")
    if own is None or other is None:
        return (
            CheckStatus.FAIL,
            f"{frames} frames received, and no firewall counter says that they are {subject.appliance}'s",
        )
    if other:
        return CheckStatus.FAIL, f"{frames} frames received, {other} of them not from {subject.appliance}"
    if frames > own:
        found = f"{frames} frames received, {own} counted as {subject.appliance}'s; {frames - own} came before the hook"
        return CheckStatus.WARN, found
    if not subject.by:
        return (
            CheckStatus.WARN,
            f"{frames} frames received, all from {subject.appliance}; nobody attests them (--by NAME)",
        )
    return CheckStatus.ATTESTED, f"{frames} frames received, all from {subject.appliance}, as {subject.by} attests"


def _appliance(state: GroundState, subject: Subject, named: dict[str, int]) -> Check:
    count = named.get("rx_appliance")
    if count is None:
        found = state.firewall.why or "the firewall counts no frames of it: `checkvalve setup high --appliance-mac`"
        return catalogue.check("CAP-4", CheckStatus.SKIP, found, state.firewall.evidence(named))
    found = f"{count} frames of {subject.appliance}"
    if not subject.by:
        found += "; nobody attests them (--by NAME)"
        return catalogue.check("CAP-4", CheckStatus.WARN, found, state.firewall.evidence(named))
    found += f"; attested by {subject.by} on {state.firewall.time[:10]}"
    return catalogue.check("CAP-4", CheckStatus.ATTESTED, found, state.firewall.evidence(named))


def _wanted(state: GroundState) -> Check:
    """CNT-3: whether the low side's kernel had a reason to answer."""
    table = _table(state.snmp.text)
    icmp, udp = table.get("Icmp", {}), table.get("Udp", {})
    if not icmp or not udp:
        return catalogue.check("CNT-3", CheckStatus.SKIP, state.snmp.why or "no counters", state.snmp.evidence())
    shown = {key: icmp[key] for key in _OUT if key in icmp} | {"NoPorts": udp.get("NoPorts", 0)}
    grown = {key: count for key, count in shown.items() if count}
    found = ", ".join(f"{key} {count}" for key, count in grown.items()) or "all 0"
    return catalogue.check("CNT-3", CheckStatus.WARN if grown else CheckStatus.PASS, found, state.snmp.evidence(shown))


def _flags(state: GroundState, link: dict[str, Any]) -> list[Check]:
    flags = link.get("flags")
    evidence = state.link.evidence(flags)
    if flags is None:
        why = state.link.why or "no such interface"
        return [
            catalogue.check(one, CheckStatus.SKIP, why, state.link.evidence()) for one in ("LNK-1", "LNK-2", "LNK-3")
        ]
    joined = {name: link.get(name) for name in ("master", "promiscuity", "link", "linkinfo", "xdp")}
    reasons = _joined(link, state.links.json() or []) + _hidden(state.taken.json() or [])
    found = "; ".join(reasons) or "alone"
    if not reasons and state.taken.json() is None:
        found += f", as far as this namespace knows (`bridge fdb` told nothing: {state.taken.why})"
    word = "flags " + " ".join(flags)
    return [
        catalogue.check("LNK-1", verdict("NOARP" in flags), word, evidence),
        catalogue.check("LNK-2", verdict("MULTICAST" not in flags), word, evidence),
        catalogue.check("LNK-3", verdict(not reasons), found, state.link.evidence(joined), state.taken.evidence()),
    ]


def _joined(link: dict[str, Any], links: list[dict[str, Any]]) -> list[str]:
    """By what other interfaces' frames pass this one, or its frames others: none of its counters and rules see that."""
    name, kind = link.get("ifname"), _kind(link)
    out = [f"a member of {link['master']}"] if link.get("master") else []
    if link.get("promiscuity"):
        out.append(f"promiscuous ({link['promiscuity']} listeners)")
    for one in link.get("xdp", {}).get("attached", []) or ([link["xdp"]] if link.get("xdp") else []):
        program = one.get("prog", {})
        name_of = f"{program.get('name', 'without a name')}, id {program.get('id', 'unknown')}"
        out.append(f"an XDP program ({name_of}) takes its frames before any rule, and can send them back past each")
    if kind not in ALONE:
        under = link.get("link") or (f"interface {link['link_index']} elsewhere" if "link_index" in link else "others")
        out.append(f"a {kind} on {under}, whose frames were not counted here and which no rule here stops")
    on = [one for one in links if one.get("link") == name and _kind(one) not in ALONE]
    out += [f"{one['ifname']}, a {_kind(one)}, stands on it and speaks by it" for one in on]
    return out + [f"{one['ifname']} is a member of it" for one in links if name and one.get("master") == name]


def _hidden(taken: list[dict[str, Any]]) -> list[str]:
    """What stands on it in another namespace, where nothing here shows it: the card takes frames for its address."""
    cards = [str(one.get("mac", "")) for one in taken if "self" in one.get("flags", [])]
    cards = [one for one in cards if re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", one) and not int(one[:2], 16) & 1]
    return [f"it takes frames for {one}: an interface of another namespace stands on it" for one in cards]


def _kind(link: dict[str, Any]) -> str:
    return str(link.get("linkinfo", {}).get("info_kind", ""))


def _layer_one(state: GroundState) -> Check:
    """L1-1: on anywhere fails; off everywhere passes; what a driver does not tell is skipped."""
    settings = {
        "PAUSE": _switch(state.pause, r"^(?:RX|TX|Autonegotiate):\s+(on|off)"),
        "EEE": _switch(state.eee, r"EEE status:\s+(enabled|disabled)"),
        "autonegotiation": _switch(state.mode, r"Auto-negotiation:\s+(on|off)"),
    }
    evidence = (state.pause.evidence(), state.eee.evidence(), state.mode.evidence())
    on = [name for name, value in settings.items() if value]
    unknown = [name for name, value in settings.items() if value is None]
    if on:
        return catalogue.check("L1-1", CheckStatus.FAIL, f"on: {', '.join(on)}", *evidence)
    if unknown:
        why = state.pause.why or state.eee.why or state.mode.why or "the driver does not say"
        return catalogue.check("L1-1", CheckStatus.SKIP, f"not told: {', '.join(unknown)} ({why})", *evidence)
    return catalogue.check("L1-1", CheckStatus.PASS, "off: PAUSE, EEE, autonegotiation", *evidence)


def _switch(observation: Observation, pattern: str) -> bool | None:
    """Whether one of them is on; None where none is told."""
    matches = re.findall(pattern, observation.text, re.MULTILINE)
    return any(one in ("on", "enabled") for one in matches) if matches else None


def _addresses(state: GroundState, subject: Subject) -> list[Check]:
    links = state.addresses.json()
    infos = [one for link in links or [] for one in link.get("addr_info", [])]
    six = [one["local"] for one in infos if one.get("family") == "inet6"]
    off = state.six.text.strip()
    gone = "No such file" in state.six.why
    return [
        catalogue.check(
            "IP-1",
            verdict(off == "1" if state.six.read else (True if gone else None)),
            "disable_ipv6 " + off if state.six.read else "the kernel has no IPv6" if gone else state.six.why,
            state.six.evidence(),
        ),
        catalogue.check(
            "IP-2",
            verdict(None if links is None else not six),
            ", ".join(six) or state.addresses.why or "none",
            state.addresses.evidence(infos),
        ),
        _forwarding(state),
        _alone(state, subject),
    ]


def _forwarding(state: GroundState) -> Check:
    values = [one.text.strip() for one in state.forwarding]
    evidence = [one.evidence() for one in state.forwarding]
    if not all(one.read for one in state.forwarding):
        return catalogue.check(
            "IP-3", CheckStatus.SKIP, next(one.why for one in state.forwarding if one.why), *evidence
        )
    found = f"interface {values[0]}, ip_forward {values[1]}"
    return catalogue.check("IP-3", verdict(values == ["0", "0"]), found, *evidence)


def _alone(state: GroundState, subject: Subject) -> Check:
    links = state.links.json()
    if links is None:
        return catalogue.check("IP-4", CheckStatus.SKIP, state.links.why, state.links.evidence())
    others = {one["ifname"]: one.get("flags", []) for one in links if one["ifname"] not in ("lo", subject.interface)}
    up = [name for name, flags in others.items() if "UP" in flags]
    status = CheckStatus.FAIL if up else CheckStatus.WARN if others else CheckStatus.PASS
    found = f"beside it: {', '.join(others)}" + ("" if up else " (down)") if others else "alone with lo"
    return catalogue.check("IP-4", status, found, state.links.evidence([one["ifname"] for one in links]))


def _routes(state: GroundState, subject: Subject) -> Check:
    routes = state.routes.json()
    if routes is None:
        return catalogue.check("RT-1", CheckStatus.SKIP, state.routes.why, state.routes.evidence())
    name = subject.interface
    ways = [one for one in routes if one.get("dev") == name and one.get("type", "unicast") == "unicast"]
    shown = [one["dst"] for one in ways]
    hosts = [one for one in shown if "/" not in one and one != "default"]
    right = len(shown) == 1 == len(hosts) if subject.high else not shown
    return catalogue.check("RT-1", verdict(right), ", ".join(shown) or "none", state.routes.evidence(ways))


def _filtering(state: GroundState) -> Check:
    values = [one.text.strip() for one in state.rp_filter]
    evidence = [one.evidence() for one in state.rp_filter]
    if not all(one.read for one in state.rp_filter):
        return catalogue.check("RT-2", CheckStatus.SKIP, next(one.why for one in state.rp_filter if one.why), *evidence)
    dropped = _table(state.netstat.text).get("TcpExt", {}).get("IPReversePathFilter", 0)
    found = f"all {values[0]}, interface {values[1]}; {dropped} datagrams dropped by it so far"
    right = values == ["0", "0"]
    status = CheckStatus.FAIL if not right else CheckStatus.WARN if dropped else CheckStatus.PASS
    return catalogue.check("RT-2", status, found, *evidence, state.netstat.evidence({"IPReversePathFilter": dropped}))


def _neighbours(state: GroundState, subject: Subject) -> Check:
    neighbours = state.neighbours.json()
    if neighbours is None:
        return catalogue.check("NB-1", CheckStatus.SKIP, state.neighbours.why, state.neighbours.evidence())
    four = [one for one in neighbours if ":" not in one.get("dst", "")]
    right = len(four) == 1 and "PERMANENT" in four[0].get("state", [])
    found = (
        ", ".join(f"{one['dst']} {one.get('lladdr', '?')} {'/'.join(one.get('state', []))}" for one in four) or "none"
    )
    if right and subject.peer_mac is not None:
        right = four[0].get("lladdr") == subject.peer_mac
        found += "" if right else f", not {subject.peer_mac}"
    elif right:
        found += " (no recorded address was given to compare: --peer-mac)"
    return catalogue.check("NB-1", verdict(right), found, state.neighbours.evidence(four))


def _firewall(state: GroundState, subject: Subject) -> list[Check]:
    ids = ("NFT-1", "NFT-2") if subject.high else ("NFT-1",)
    if not state.firewall.read:
        why = f"{state.firewall.why}; run it as root to see the firewall"
        return [catalogue.check(one, CheckStatus.SKIP, why, state.firewall.evidence()) for one in ids]
    device_chains = chains(state.firewall.text, subject.interface)
    hook = "ingress" if subject.high else "egress"
    wrong = [one for one in device_chains if one.hook == hook]
    right = any(one.drops_all for one in wrong)
    out = [catalogue.check("NFT-1", verdict(right), _chain_words(wrong, hook), state.firewall.evidence())]
    if subject.high:
        out.append(_only_flow(state, [one for one in device_chains if one.hook == "egress"]))
    return out


def _only_flow(state: GroundState, outward: list[NetdevChain]) -> Check:
    """NFT-2: one of the chains lets one named flow pass; every chain must let a frame pass that leaves."""
    flow = ("ip saddr", "ip daddr", "udp dport")
    right = any(
        one.policy == "drop" and len(one.passing) == 1 and all(word in one.passing[0] for word in flow)
        for one in outward
    )
    return catalogue.check("NFT-2", verdict(right), _chain_words(outward, "egress"), state.firewall.evidence())


def _chain_words(there: list[NetdevChain], hook: str) -> str:
    return " and ".join(map(str, there)) or f"no {hook} hook at this device"


def _table(text: str) -> dict[str, dict[str, int]]:
    """/proc/net/snmp and netstat: a line of names, a line of values, each with its protocol in front."""
    out: dict[str, dict[str, int]] = {}
    lines = text.splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        protocol, _, rest = names.partition(":")
        out[protocol] = dict(zip(rest.split(), map(int, values.partition(":")[2].split()), strict=False))
    return out

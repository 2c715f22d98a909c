"""What is wrong on the low side: facts in, troubles out, for `checkvalve doctor receiver.toml` (pure).

Where nothing comes, two looks a pause apart tell where it stops, from the wire inwards:

    frames at the interface   none: the sender, the cable, another interface
    IP packets                none: another hardware address, or the firewall at the device
    UDP, ports without taker  they come to another port than [inlet] listen
    datagrams at catch        none: rp_filter, or the firewall

`low_look.py` collects the facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oneway.doctor import both_sides
from oneway.doctor.machine import Disk, Folder, Kernel, Process
from oneway.doctor.trouble import Ailment, Rank
from oneway.preflight import Finding
from oneway.readings import UP, Interface
from protocol.process.document import from_json
from protocol.process.status_header import StatusHeader
from protocol.written import counted
from receiver.commands.programme import governed_doctor
from receiver.commands.programme.governed_doctor import GovernedFacts
from receiver.status.catch import CatchStatus
from receiver.status.concerns import line
from receiver.status.publish import OutputCounters, OutputStatus

SILENT_S = 5.0
"""A sender whose last beat is older is not heard [s]; it beats every second."""
LOSS = 0.05
"""Loss that is told while nothing is missing yet, 0 to 1."""
NO_LOSS = 0.001
"""Less than this cannot have cost whole blocks, 0 to 1: the sender's spares bear more than that."""
CONCERNS = {
    "clock-apart": Rank.CLOCK,
    "sender-disk-full": Rank.RATE,
    "sender-disk-low": Rank.RATE,
    "sender-loses": Rank.RATE,
    "certificate-ends": Rank.PLANT,
}
"""What beats tell of the sender (`receiver/status/concerns.py`), and what it explains."""
FRAMES_LEAST = 2
"""Frames in one pause that are more than chance: LINK and BEAT come every second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LowFacts:
    """Everything that the rules look at."""

    file: Path
    folder: Folder
    host: str = ""
    port: int = 0
    """Of [inlet] listen; 0 where the configuration cannot be read."""
    address_here: bool = True
    """Whether `host` is an address of this machine."""
    portal_port: int = 0
    portal_lives: bool = True
    config_fault: Sequence[str] = ()
    """Every mistake, a line each."""
    config_hint: str = ""
    disk: Disk | None = None
    keys: Sequence[both_sides.KeyFile] = ()
    findings: Sequence[Finding] = ()
    interface: Interface | None = None
    """The one with the address; None on loopback."""
    outputs: Sequence[str] = ()
    """Names, the historian's first."""
    processes: Mapping[str, Process] = field(default_factory=dict)
    later: Mapping[str, Process] = field(default_factory=dict)
    before: Kernel = field(default_factory=Kernel)
    after: Kernel = field(default_factory=Kernel)
    rules: str | None = None
    """The firewall's."""
    journal_holder: int | None = None
    history_damaged: Sequence[str] = ()
    """Names of its files that were set aside."""
    governed: GovernedFacts | None = None
    """None where nobody is enrolled."""
    wall_ns: int = 0
    synced: bool | None = None


def troubles(facts: LowFacts) -> Iterator[Ailment]:
    """All that the facts tell, in no order."""
    catch = facts.processes.get("catch")
    runs = catch is not None and catch.runs
    told: set[str] = set()
    if facts.config_fault:
        yield Ailment(
            rank=Rank.CONFIG,
            name="configuration",
            cause=f"the configuration cannot be used: {facts.config_fault[0]}",
            evidence=tuple(facts.config_fault[1:6]),
            step=facts.config_hint or f"checkvalve receive {facts.file} --check",
        )
    yield from both_sides.disk_troubles(facts.disk, facts.folder.path)
    yield from both_sides.owner_troubles(facts.folder, facts.keys, facts.file)
    yield from both_sides.key_troubles(facts.keys)
    yield from both_sides.interface_troubles(facts.findings, runs=runs)
    one = facts.interface
    if one is not None and not one.flags & UP:
        yield Ailment(
            rank=Rank.INTERFACE,
            name="interface-down",
            cause=f"the interface {one.name} is down",
            evidence=(f"the kernel's flags of {one.name}",),
            step=f"ip link set {one.name} up",
        )
    if not facts.address_here and not runs:
        yield Ailment(
            rank=Rank.INTERFACE,
            name="address-elsewhere",
            cause=f"[inlet] listen names {facts.host}, which is no address of this machine",
            evidence=("the kernel's list of addresses",),
            step="ip -br -4 address shows them: name the one of the diode's interface in [inlet] listen, or give it "
            f"this one: checkvalve setup low --config {facts.file}",
        )
    yield from _processes(facts)
    if runs and catch is not None:
        said = from_json(CatchStatus, catch.said)
        later = from_json(CatchStatus, facts.later["catch"].said) if "catch" in facts.later else said
        age = later.link.beat_age_s
        heard = age is not None and age <= SILENT_S
        yield from _link(facts, said, later, heard)
        yield from _loss(facts, said, later, heard)
        yield from _concerns(later)
        told = {f"catch warns: {line(one)}" for one in said.concerns}
    yield from _outputs(facts)
    yield from governed_doctor.troubles(facts.governed)
    yield from both_sides.clock_troubles(facts.synced)
    yield from (one for one in both_sides.said_troubles(facts.processes, facts.file) if one.cause not in told)


def _processes(facts: LowFacts) -> Iterator[Ailment]:
    step = f"checkvalve receive {facts.file}, or systemctl status 'checkvalve-*'"
    catch = both_sides.down_trouble("catch", facts.processes.get("catch"), (), step)
    lock = f"{facts.folder.path}/journal/lock"
    if catch is not None and both_sides.stranger(facts.journal_holder, facts.processes.get("catch")):
        yield Ailment(
            rank=Rank.PROCESS,
            name="journal-held",
            cause="another process holds the journal",
            evidence=(f"{lock} is held by process {facts.journal_holder}", *catch.evidence),
            step=f"sudo fuser -v {lock} names it; stop that one",
        )
    elif catch is not None and facts.port in facts.after.udp_ports and not _alive(facts, "catch"):
        yield Ailment(
            rank=Rank.PROCESS,
            name="port-taken",
            cause=f"catch is down, and another program has its port {facts.port}",
            evidence=("/proc/net/udp", *catch.evidence),
            step=f"sudo ss -ulnp 'sport = :{facts.port}' names it; stop that one",
        )
    elif catch is not None:
        yield catch
    publish = both_sides.down_trouble("publish", facts.processes.get("publish"), (), step)
    if publish is not None:
        yield publish
        return
    for name in facts.outputs:
        down = both_sides.down_trouble(name, facts.processes.get(name), ("publish runs and starts it again",), step)
        if down is not None:
            yield down
    if facts.portal_port and not facts.portal_lives:
        taken = facts.portal_port in facts.after.tcp_ports
        yield Ailment(
            rank=Rank.OUTPUT,
            name="portal-port-taken" if taken else "portal-down",
            cause=f"another program has the portal's port {facts.portal_port}" if taken else "the portal is down",
            evidence=("/proc/net/tcp",) if taken else (),
            step=f"sudo ss -tlnp 'sport = :{facts.portal_port}' names it; or another [portal] listen"
            if taken
            else step,
        )


def _alive(facts: LowFacts, name: str) -> bool:
    """It hangs, say, and still has what it holds: a lock, a port."""
    process = facts.processes.get(name)
    return process is not None and process.alive


def _link(facts: LowFacts, said: CatchStatus, later: CatchStatus, heard: bool) -> Iterator[Ailment]:
    """Why nothing is taken, or what else comes."""
    rose = {name: count - said.link.refused.get(name, 0) for name, count in later.link.refused.items()}
    floor, key, false = rose.get("floor", 0), rose.get("key", 0), rose.get("signature", 0)
    receiver = rose.get("receiver", 0)
    if floor >= FRAMES_LEAST or (floor and not heard):
        yield _below_floor(facts, floor, heard)
    if later.link.confirmed is False and later.link.session is not None:
        yield Ailment(
            rank=Rank.SESSION,
            name="unconfirmed",
            cause="the sender's clock is far from ours, and nobody has confirmed its session",
            evidence=(f"session {later.link.session}",),
            step=f"compare the clocks, then checkvalve accept {facts.file} {later.link.session or 'SESSION'}",
        )
    if heard:
        return
    if receiver:
        yield Ailment(
            rank=Rank.KEY_PAIR,
            name="not-a-receiver",
            cause="the sender does not seal for this side: its LINKs come, signed as they should be, and all are for "
            "other catch keys",
            evidence=(f"{receiver} LINKs of a known signer were for other receivers only while this looked",),
            step="carry this side's .pub over and name it in [keys] receivers of sender.toml, then restart send; "
            "checkvalve keys show tells on both sides which key it is",
        )
    elif key or false:
        yield Ailment(
            rank=Rank.KEY_PAIR,
            name="link-keys" if key else "link-signature",
            cause="LINKs come that are signed with a key which is not in [keys] senders"
            if key
            else "LINKs come whose signature is false: they are not the sender's, or damaged",
            evidence=(f"{key or false} LINKs were refused while this looked",),
            step="checkvalve keys show of the high side's keys, there and here: where they differ carry its .pub over, "
            "name it in [keys] senders, restart receive; where they are the same, tcpdump -n shows who sends these",
        )
    elif rose.get("version", 0):
        yield Ailment(
            rank=Rank.KEY_PAIR,
            name="wire-version",
            cause="frames of another wire version come",
            evidence=(f"versions {', '.join(later.link.versions)}",),
            step="checkvalve --version on both sides: bring both to one release",
        )
    elif sum(rose.values()) - floor >= FRAMES_LEAST:
        reasons = ", ".join(sorted(name for name, count in rose.items() if count and name != "floor"))
        yield Ailment(
            rank=Rank.LINK,
            name="not-ours",
            cause=f"datagrams come that are no frames of this sender ({reasons})",
            evidence=(f"{sum(rose.values()) - floor} were refused while this looked",),
            step="tcpdump -n on the diode's interface shows who sends them",
        )
    elif not floor:
        yield _silent(facts, later)


def _below_floor(facts: LowFacts, floor: int, heard: bool) -> Ailment:
    seen = (f"{floor} frames below the floor were refused while this looked",)
    if heard:
        return Ailment(
            rank=Rank.SESSION,
            name="replayed",
            cause="a recording of the link is played: a newer session is live, and an old one comes too",
            evidence=seen,
            step="tcpdump -n on the diode's interface, and look at the plugs: find who sends it",
        )
    return Ailment(
        rank=Rank.SESSION,
        name="below-floor",
        cause="the session that comes is older than one that was taken: the sender's clock or disk went back",
        evidence=seen,
        step=f"only if checkvalve status on the high side names this session: checkvalve accept {facts.file} --lower",
    )


def _silent(facts: LowFacts, later: CatchStatus) -> Ailment:
    """Nothing that catch could take: where it stops, from the wire inwards."""
    age = later.link.beat_age_s
    seen = "no beat has ever come" if age is None else f"the last beat is {age:.0f} s old"
    snmp = {name: count - facts.before.snmp.get(name, 0) for name, count in facts.after.snmp.items()}
    came = {name: count - facts.before.frames_in.get(name, 0) for name, count in facts.after.frames_in.items()}
    name = facts.interface.name if facts.interface is not None else "lo"
    here = came.get(name, 0)

    def made(word: str, cause: str, step: str, *more: str) -> Ailment:
        return Ailment(rank=Rank.LINK, name=word, cause=cause, evidence=(seen, *more), step=step)

    errors = facts.after.errors_in.get(name, 0) - facts.before.errors_in.get(name, 0)
    if snmp.get("Udp.NoPorts", 0) >= FRAMES_LEAST:
        return made(
            "wrong-port",
            f"datagrams come to a port that nobody listens on; [inlet] listen says {facts.port}",
            f"compare [outlet] to of sender.toml with [inlet] listen here; tcpdump -n -i {name} udp shows the port",
            f"Udp NoPorts rose by {snmp['Udp.NoPorts']} while this looked",
        )
    if facts.interface is None:
        return made("silent", "nothing comes: the sender is down, or sends elsewhere", _HIGH)
    if here >= FRAMES_LEAST and facts.rules and _shut(facts.rules, facts.port):
        return made(
            "firewall",
            f"frames come by {name}, and the firewall has a chain that drops and no rule for port {facts.port}",
            f"checkvalve setup low --config {facts.file} prints the table; nft list ruleset shows the present one",
            f"{here} frames came while this looked",
        )
    if errors > 0:
        return made(
            "too-large",
            f"frames come that {name} refuses: too large for its mtu, or damaged on the way",
            f"compare [outlet] mtu of sender.toml with ip link show {name}; ip -s -s link show {name}",
            f"{errors} frames were refused at the device while this looked",
        )
    if here >= FRAMES_LEAST and not snmp.get("Ip.InReceives", 0):
        return made(
            "other-mac",
            f"frames come by {name} and none is for this machine: another hardware address, or a hook of the firewall",
            f"compare the MAC of the high side's ip neigh with ip link show {name}",
            f"{here} frames came, no IP packet was taken",
        )
    if here >= FRAMES_LEAST:
        return made(
            "dropped-here",
            f"frames come by {name} and do not reach catch: another port, the firewall, or rp_filter",
            f"sudo checkvalve doctor {facts.file} sees the firewall too; tcpdump -n -i {name} udp shows the port",
            f"{here} frames came while this looked",
        )
    others = [one for one, count in came.items() if count >= FRAMES_LEAST and one not in ("lo", name)]
    if others and age is None:
        return made(
            "other-interface",
            f"nothing comes by {name}; frames come by {', '.join(others[:3])}: the diode may be plugged in there",
            f"tcpdump -n -i {others[0]} udp port {facts.port}; look at the plug",
        )
    return made("silent", f"nothing comes by {name}: the sender is down, or the cable or the diode", _HIGH)


_HIGH = "on the high side: checkvalve doctor sender.toml; then the lamps of the diode"


def _shut(rules: str, port: int) -> bool:
    drops = re.search(r"hook (?:ingress|input|prerouting)\b[^\n]*policy drop", rules) is not None
    return drops and re.search(rf"\bdport (?:\{{[^}}]*\b)?{port}\b", rules) is None


def _loss(facts: LowFacts, said: CatchStatus, later: CatchStatus, heard: bool) -> Iterator[Ailment]:
    link, blocks = later.link, later.blocks
    if link.kernel_drops > said.link.kernel_drops:
        yield Ailment(
            rank=Rank.LOSS,
            name="kernel-drops",
            cause="the kernel drops what catch does not take in time: its buffer is too small, or the machine too busy",
            evidence=(
                f"kernel_drops rose from {said.link.kernel_drops} to {link.kernel_drops}, which is the least",
                f"by the sender's count {link.frames_lost - said.link.frames_lost} frames did not come meanwhile",
            ),
            step="sysctl -w net.core.rmem_max=67108864, [inlet] buffer_mib = 64, then restart catch",
        )
    elif heard and blocks.missing and max(link.loss, link.loss_total) < NO_LOSS:
        yield Ailment(
            rank=Rank.SAID,
            name="missing",
            cause=f"{blocks.missing} blocks are missing, not by the loss of the link: something was down meanwhile",
            evidence=(f"loss {link.loss:.2%} now, {link.loss_total:.2%} since the start",),
            step=f"checkvalve gaps {facts.file} says when they come by themselves, and the code for what does not",
        )
    elif heard and (blocks.missing or link.loss > LOSS):
        over = blocks.missing > 0
        yield Ailment(
            rank=Rank.LOSS,
            name="loss",
            cause=f"the link loses more than the spares repair: {blocks.missing} blocks are missing"
            if over
            else f"the link loses {link.loss:.1%}; spares repair it so far",
            evidence=(f"loss {link.loss:.2%} now, {link.loss_total:.2%} since the start",),
            step=f"checkvalve gaps {facts.file}; checkvalve linktest on the high side finds the right rate and spares",
        )
    if link.queue_overflow > said.link.queue_overflow:
        yield Ailment(
            rank=Rank.LOSS,
            name="slow-disk",
            cause="the journal's disk does not take what comes in time",
            evidence=(f"queue_overflow rose to {link.queue_overflow}",),
            step="iostat -x 1 shows what else writes to that disk",
        )


def _concerns(later: CatchStatus) -> Iterator[Ailment]:
    """What the sender's own beats tell of it."""
    for one in later.concerns:
        yield Ailment(
            rank=CONCERNS.get(one.name, Rank.SAID),
            name=one.name,
            cause=one.cause,
            evidence=("its last beat says so",),
            step=one.step,
        )


def _outputs(facts: LowFacts) -> Iterator[Ailment]:
    if facts.history_damaged:
        yield Ailment(
            rank=Rank.OUTPUT,
            name="history-damaged",
            cause="a file of the history was damaged and set aside",
            evidence=tuple(facts.history_damaged[:5]),
            step=f"checkvalve history check {facts.file}; checkvalve history rebuild makes it from the journal",
        )
    for name in facts.outputs:
        process = facts.processes.get(name)
        if process is None or not process.runs:
            continue
        said, counters = from_json(OutputStatus, process.said), from_json(OutputCounters, process.said)
        alarms = from_json(StatusHeader, process.said).alarms
        if any("no `sign` key" in line for line in alarms):
            yield _shut_blocks(
                "sign-key", f"{name}: blocks wait, signed with a key that is not in [keys] senders", said, alarms
            )
        elif any("`open` key" in line for line in alarms):
            yield _shut_blocks("open-key", f"{name}: blocks wait, sealed for another open key than ours", said, alarms)
        elif said.unpublished.blocks:
            yield _shut_blocks("unpublished", f"{name}: blocks wait and cannot be opened yet", said, alarms)
        if counters.trouble:
            yield Ailment(
                rank=Rank.OUTPUT,
                name="output-trouble",
                cause=f"{name}: {counters.trouble}",
                step=counters.next_step or f"checkvalve status {facts.file}",
            )


def _shut_blocks(word: str, cause: str, said: OutputStatus, alarms: Sequence[str]) -> Ailment:
    return Ailment(
        rank=Rank.KEY_PAIR,
        name=word,
        cause=cause,
        evidence=(
            f"{counted(said.unpublished.blocks, 'block')} of {counted(said.unpublished.streams, 'stream')}",
            *alarms[:2],
        ),
        step="checkvalve keys show of each side's keys, on both sides: carry over what differs, restart publish",
    )

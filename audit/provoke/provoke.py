"""`audit provoke`: a tester in the high side's place sends the twelve frames that ask for an answer, and counts.

Two counts that know nothing of each other: a listener that takes every frame of the interface (AF_PACKET, before any
firewall), and the interface's own counter. They must agree. The positive control is a marked frame that somebody puts
on the tester's side of the link during the run: without it, a deaf listener would look like a pass.

`from_low` is the other direction: root on the low side tries to send. What leaves that machine is counted there; what
arrives on the high side is CNT-1's and PRV-3's on that machine.

Needs CAP_NET_RAW. It sends frames, on the one interface that it is given and nowhere else.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit import catalogue
from audit.capture.frames import read_row, rows
from audit.capture.records import HEAD_BYTES
from audit.check import AuditFindings, Check, CheckStatus, Evidence, stamp
from audit.provoke.provocations import AddressPair, Provocation, from_low, to_low
from audit.report.machine_facts import facts
from protocol.errors import ConfigError

ALL = 0x0003
"""Every EtherType (linux/if_ether.h, ETH_P_ALL)."""
_OUTGOING = 4  # linux/if_packet.h: PACKET_OUTGOING
_STATISTICS, _BYPASS = 6, 20  # linux/if_packet.h: PACKET_STATISTICS, PACKET_QDISC_BYPASS
_SOL_PACKET = 263
_APART = 0.02
"""Between two provocations [s]: an answer is then told apart by its time."""
SHOWN = 40
"""Most answers listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvokeQuestion:
    """What is provoked, and for how long."""

    interface: str
    address: str
    """IPv4 address that the frames give for the tester's."""
    peer: str
    peer_mac: str
    port: int
    wait_s: float = 35.0
    """How long answers are waited for [s]: a lone fragment is given up, and answered, after 30 s (Linux)."""
    control: bytes = b""
    """Mark of the positive control's frame; empty: none was put on the link."""
    from_low: bool = False
    """The other direction: this is the low side, and nothing may leave it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What came in during a run."""

    answers: tuple[tuple[float, str], ...]
    """Time since the first provocation [s], and kind."""
    controls: int
    """Marked frames."""
    listened: int
    """Frames that the listener took, marked ones included."""
    lost: int
    """Frames that the listener's buffer had no room for."""
    counter: int
    """By how much the interface's rx_packets grew."""
    sent: tuple[tuple[str, str], ...]
    """Each provocation: its name, and `sent` or why it was refused."""


def run(question: ProvokeQuestion, *, wall: Callable[[], int]) -> AuditFindings:
    """Provoke, wait, count.

    Args:
        question: What is provoked.
        wall: Wall time [ns since 1970 UTC].

    Raises:
        ConfigError: no such interface, or not permitted.
    """
    began = stamp(wall())
    about = facts() | {"interface": question.interface, "wait_s": question.wait_s}
    if question.from_low:
        return AuditFindings(what="provoke from low", time=began, facts=about, checks=(_from_low(question, began),))
    counted = provoke(question)
    checks = (_answered(question, counted, began), _controlled(question, counted, began))
    return AuditFindings(what="provoke", time=began, facts=about, checks=checks)


def provoke(question: ProvokeQuestion) -> Counted:
    """Send the twelve and count what comes back."""
    with _raw(question.interface, ALL) as listener, _raw(question.interface, 0) as sender:
        place = _place(question, listener)
        before = counters(question.interface)["rx_packets"]
        first = time.monotonic()
        answers: list[tuple[float, bytes]] = []
        sent = []
        for one in to_low(place):
            sent.append((one.name, _send(sender, one)))
            answers += _received(listener, first, time.monotonic() + _APART)
        answers += _received(listener, first, first + question.wait_s)
        lost = struct.unpack("II", listener.getsockopt(_SOL_PACKET, _STATISTICS, 8))[1]
        after = counters(question.interface)["rx_packets"]
    marked = [frame for _, frame in answers if question.control and question.control in frame]
    answered = tuple((at, kind(frame)) for at, frame in answers if frame not in marked)
    return Counted(
        answers=answered,
        controls=len(marked),
        listened=len(answers),
        lost=lost,
        counter=after - before,
        sent=tuple(sent),
    )


def counters(interface: str) -> dict[str, int]:
    """rx_packets and tx_packets of this namespace's interface (/proc/net/dev).

    Raises:
        ConfigError: there is none of that name.
    """
    with open("/proc/thread-self/net/dev") as table:
        for line in table:
            name, _, rest = line.rpartition(":")
            if name.strip() == interface:
                words = rest.split()
                return {"rx_packets": int(words[1]), "tx_packets": int(words[9])}
    raise ConfigError(f"no interface is called {interface!r} here", hint="ip link show")


def kind(frame: bytes) -> str:
    """What a frame is, in words: `ARP reply 02:dd:.. `, `ICMP type 3 code 3` .."""
    head = np.zeros((1, HEAD_BYTES), np.uint8)
    kept = min(len(frame), HEAD_BYTES)
    head[0, :kept] = np.frombuffer(frame[:kept], np.uint8)
    size, nothing = np.array([len(frame)], np.int64), np.zeros(1, np.uint8)
    row = read_row(rows(head, size, size, 1, nothing, nothing)[0].tobytes())
    return " ".join(filter(None, (row.kind, row.flow, f"from {row.source}")))


def _answered(question: ProvokeQuestion, counted: Counted, began: str) -> Check:
    refused = [f"{name}: {how}" for name, how in counted.sent if how != "sent"]
    kinds = Counter(one for _, one in counted.answers)
    shown: dict[str, Any] = {
        "sent": [name for name, how in counted.sent if how == "sent"],
        "refused here": refused,
        "listener": counted.listened,
        "rx_packets grew by": counted.counter,
        "controls": counted.controls,
        "answers": [f"{at:.3f} s: {one}" for at, one in counted.answers[:SHOWN]],
    }
    evidence = Evidence(value=shown, command=f"AF_PACKET on {question.interface}; /proc/net/dev", time=began)
    if refused:
        text = f"{len(refused)} provocations could not leave this machine ({refused[0]}): use one without this recipe"
        return catalogue.check("PRV-1", CheckStatus.SKIP, text, evidence)
    if kinds:
        text = f"{sum(kinds.values())} answers: " + ", ".join(f"{count} x {one}" for one, count in kinds.most_common(5))
        return catalogue.check("PRV-1", CheckStatus.FAIL, text, evidence)
    if counted.counter != counted.listened or counted.lost:
        text = f"listener {counted.listened} (and {counted.lost} lost), interface {counted.counter}"
        return catalogue.check("PRV-1", CheckStatus.FAIL, f"the two counts disagree: {text}", evidence)
    text = f"{len(counted.sent)} sent, 0 answered in {question.wait_s:g} s, by listener and counter"
    return catalogue.check("PRV-1", CheckStatus.PASS, text, evidence)


def _controlled(question: ProvokeQuestion, counted: Counted, began: str) -> Check:
    evidence = Evidence(
        value={"marked frames": counted.controls}, command=f"AF_PACKET on {question.interface}", time=began
    )
    if not question.control:
        text = "no marked frame was asked for: --control MARK, and put one on this side of the link during the run"
        return catalogue.check("PRV-2", CheckStatus.SKIP, text, evidence)
    status = CheckStatus.PASS if counted.controls else CheckStatus.FAIL
    return catalogue.check("PRV-2", status, f"{counted.controls} marked frames were seen", evidence)


def _from_low(question: ProvokeQuestion, began: str) -> Check:
    """PRV-3 as far as the low side can tell: what left this machine."""
    sent = []
    with _raw(question.interface, 0) as plain, _raw(question.interface, 0) as past:
        past.setsockopt(_SOL_PACKET, _BYPASS, 1)
        place = _place(question, plain)
        before = counters(question.interface)["tx_packets"]
        for one in from_low(place):
            sent += [(one.name, _send(plain, one)), (f"{one.name}, queue bypassed", _send(past, one))]
        time.sleep(min(question.wait_s, 0.2))  # the counter of a real card is a moment late
        left = counters(question.interface)["tx_packets"] - before
    shown = {"attempts": [f"{name}: {how}" for name, how in sent], "tx_packets grew by": left}
    evidence = Evidence(value=shown, command=f"AF_PACKET on {question.interface}; /proc/net/dev", time=began)
    if left:
        text = f"{left} of {len(sent)} frames left this machine: compare rx_packets on the high side"
        return catalogue.check("PRV-3", CheckStatus.WARN, text, evidence)
    text = f"{len(sent)} attempts, none left this machine"
    return catalogue.check("PRV-3", CheckStatus.PASS, text, evidence)


def _place(question: ProvokeQuestion, bound: socket.socket) -> AddressPair:
    return AddressPair(
        mac=bound.getsockname()[4].hex(":"),
        address=question.address,
        peer_mac=question.peer_mac,
        peer=question.peer,
        port=question.port,
    )


def _raw(interface: str, protocol: int) -> socket.socket:
    """A socket at the device; protocol 0 hears nothing."""
    try:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError:
        raise ConfigError("raw frames are not permitted to this user", hint="run it as root (CAP_NET_RAW)") from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        made.bind((interface, protocol))
    except OSError as error:
        made.close()
        raise ConfigError(f"{interface}: {error.strerror}", hint="ip link show") from None
    return made


def _send(sender: socket.socket, one: Provocation) -> str:
    try:
        sender.send(one.frame)
    except OSError as error:
        return error.strerror or str(error)
    return "sent"


def _received(listener: socket.socket, first: float, until: float) -> list[tuple[float, bytes]]:
    """Frames that come in until then; our own are left out."""
    out = []
    while (left := until - time.monotonic()) > 0:
        if not select.select([listener], [], [], left)[0]:
            break
        frame, where = listener.recvfrom(65_536)
        if where[2] != _OUTGOING:
            out.append((time.monotonic() - first, frame))
    return out

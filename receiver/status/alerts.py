"""What people are warned of on the link, a line each: what is so, what it probably is, the next step. Pure.

catch writes figures and no words (`watch` in its file, receiver/catch/status/picture.py); who shows them words them.

Whoever can put a frame on the wire can make it say anything. So a line that asks somebody to change something rests on
bytes that the sender signed or tagged; of all other bytes a line tells that they come, how many a second, and how to
find who sends them.
"""

from __future__ import annotations

from protocol.limits import UNCONFIRMED_S
from protocol.written import counted
from receiver.status.catch import CatchStatus, LinkWatch

LINK_DUE_S = 3.0
"""A session whose frames come has said its LINK by then [s]; it says it every second."""
LIVE_S = 5.0
"""A sender whose last beat is younger is heard [s]; it beats every second."""
FLOOD = 10.0
"""Frames a second that are told [1/s]: more than chance, a start, or four receivers on one wire make."""

WHO = "Find who sends it: tcpdump -n on the diode's interface, and look at the plugs"
FLOODS = (
    (("short", "long", "magic", "kind", "geometry"), "bytes that are no frames of Checkvalve come to this port"),
    (("version",), "frames of another wire version come; compare `checkvalve --version` of both sides, else"),
    (("tag",), "frames come that name this sender's session and were not made with its key: forged or damaged"),
    (("key",), "LINKs come from a sender that is not in [keys] senders"),
    (("receiver",), "LINKs of this sender come for others, of sessions that are not the present one"),
    (("signature", "rate"), "false LINKs come that name this sender's key"),
    (("floor",), "LINKs, beats or probes come that are older than what was taken: a recording is played"),
    (("session",), "frames come of sessions that nobody opened"),
    (("full",), "frames are given up for want of room: a flood, or more loss than the spares can repair"),
)
"""Reasons of refusal, and what their rate is told as."""


def lines(catch: CatchStatus, watch: LinkWatch) -> list[str]:
    """All of them, the gravest first.

    Args:
        catch: What catch says of itself.
        watch: The figures that it leaves to be worded.
    """
    return [*_drops(watch), *_present(catch, watch), *_floods(watch), *_gaps(catch, watch)]


def _drops(watch: LinkWatch) -> list[str]:
    out = []
    kernel, queue = watch.rate("kernel_drops"), watch.rate("queue_overflow")
    if kernel:
        out.append(
            f"the kernel drops at least {kernel:.3g} frames a second (it counts what it had merged, up to 64, as one), "
            "since catch does not take them in time: a larger receive buffer ([inlet] buffer_mib, net.core.rmem_max), "
            "a less busy machine, or a flood to be ended"
        )
    if queue:
        out.append(
            f"{queue:.3g} blocks a second are given up, since the disk does not take them in time: repeats must heal "
            "them; look at what else writes to that disk"
        )
    return out


def _present(catch: CatchStatus, watch: LinkWatch) -> list[str]:
    """Which session, and whether it is the present one."""
    out = []
    age_s, refused, waiting, beat = catch.link.beat_age_s, watch.refused, watch.waiting, watch.beat
    live = age_s is not None and age_s <= LIVE_S
    told = refused is not None and waiting is not None and refused.session == waiting.session  # and below
    overdue = waiting is not None and waiting.age_s > LINK_DUE_S and not told
    if not live and watch.rate("receiver"):
        out.append(
            "LINKs that this sender signed come, and none is for this receiver: its catch key is not among "
            "[keys] receivers of sender.toml. Carry this side's .pub file over, name it there, restart `send`"
        )
    elif not live and watch.rate("key"):
        out.append(
            "LINKs come that are signed with a link-sign key which is not in [keys] senders. Compare "
            "`checkvalve keys show` of both sides; where it is this sender's, carry its .pub file over and restart"
        )
    elif not live and overdue and waiting is not None:
        out.append(
            f"frames of session {waiting.session:08x} come, but no LINK that opens for this receiver. Compare "
            "`checkvalve keys show` of both sides; where they are the same, these frames are not the sender's"
        )
    if refused is not None and refused.age_s <= LIVE_S:
        what = f"session {refused.session:08x} is refused: its order is below the floor"
        if live:
            out.append(f"{what}, and a newer one is live: a recording of the link is played. {WHO}")
        else:
            out.append(
                f"{what}. A recording that is played looks the same, so look on the high side first: only if "
                "`checkvalve status` there names this session was its disk or clock put back; then lower the floor "
                "with `checkvalve accept`"
            )
    if beat is not None and catch.link.confirmed is False:
        out.append(
            f"session {beat.session:08x} is not confirmed: the sender's clock is {beat.apart_s / 3600:+.0f} h from "
            f"ours (more than {UNCONFIRMED_S // 3600} h) and no floor is known. Compare it, then `checkvalve accept`"
        )
    return out


def _floods(watch: LinkWatch) -> list[str]:
    out = []
    for reasons, what in FLOODS:
        rate = watch.rate(*reasons)
        if rate >= FLOOD:
            out.append(f"{rate:.3g} a second are refused ({', '.join(reasons)}): {what}. {WHO}")
    again = watch.rate("again")
    if again >= FLOOD:
        out.append(
            f"{again:.3g} frames a second come that had come before: the way doubles them, or a recording is played; "
            f"the loss figures leave them out. {WHO}"
        )
    return out


def _gaps(catch: CatchStatus, watch: LinkWatch) -> list[str]:
    """What people must know of gaps besides the list."""
    out, counts, listed = [], catch.blocks, len(catch.gaps)
    if counts.damaged:
        out.append(
            f"{counted(counts.damaged, 'block')} journaled here can no longer be read (damaged or absent): "
            "`checkvalve gaps` shows the code that brings them again"
        )
    if counts.lost:
        out.append(
            f"{counted(counts.lost, 'block')} can never come: the sender lost them (`checkvalve gaps` lists them)"
        )
    return [*out, f"{watch.gaps} gaps; only the oldest {listed} are listed"] if watch.gaps > listed else out

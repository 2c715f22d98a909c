"""What catch warns people of, a line each: what is so, what it probably is, the next step. Pure.

Whoever can put a frame on the wire can make it say anything. So a line that asks somebody to change something rests on
bytes that the sender signed or tagged; of all other bytes a line tells that they come, how many a second, and how to
find who sends them.
"""

from __future__ import annotations

from protocol.limits import UNCONFIRMED_S
from receiver.catch.intake import Intake

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
    (("key",), "LINKs come for another receiver, or from a sender that is not in [keys] senders"),
    (("signature", "rate"), "false LINKs come that name this sender's key"),
    (("floor",), "LINKs, beats or probes come that are older than what was taken: a recording is played"),
    (("session",), "frames come of sessions that nobody opened"),
    (("full",), "frames are given up for want of room: a flood, or more loss than the spares can repair"),
)
"""Reasons of refusal, and what their rate is told as."""


def lines(intake: Intake, now: float, wall_ns: int) -> list[str]:
    """All of them, the gravest first.

    Args:
        intake: The receiving thread's parts.
        now: Monotonic time [s].
        wall_ns: Our wall clock [ns since 1970 UTC].
    """
    return [*_drops(intake), *_present(intake, now, wall_ns), *_floods(intake, now)]


def live(intake: Intake, now: float) -> bool:
    """Whether the sender is heard."""
    return intake.beat is not None and now - intake.beat_at <= LIVE_S


def _drops(intake: Intake) -> list[str]:
    out = []
    kernel, queue = intake.rates.of("kernel_drops"), intake.rates.of("queue_overflow")
    if kernel:
        out.append(
            f"the kernel drops {kernel:.3g} buffers a second, since catch does not take them in time: a larger receive "
            "buffer ([inlet] buffer_mib, net.core.rmem_max), a less busy machine, or a flood to be ended"
        )
    if queue:
        out.append(
            f"{queue:.3g} blocks a second are given up, since the disk does not take them in time: repeats must heal "
            "them; look at what else writes to that disk"
        )
    return out


def _present(intake: Intake, now: float, wall_ns: int) -> list[str]:
    """Which session, and whether it is the present one."""
    out = []
    sessions, beat = intake.sessions, intake.beat
    waits = intake.gather.waiting.oldest()
    told = sessions.old is not None and waits is not None and sessions.old.session == waits[1]  # and below
    if waits is not None and now - waits[0] > LINK_DUE_S and not live(intake, now) and not told:
        out.append(
            f"frames of session {waits[1]:08x} come, but no LINK that opens for this receiver. Compare "
            "`checkvalve keys show` of both sides; where they are the same, these frames are not the sender's"
        )
    if sessions.old is not None and now - sessions.old.heard <= LIVE_S:
        what = f"session {sessions.old.session:08x} is refused: its order is below the floor"
        if live(intake, now):
            out.append(f"{what}, and a newer one is live: a recording of the link is played. {WHO}")
        else:
            out.append(
                f"{what}. A recording that is played looks the same, so look on the high side first: only if "
                "`checkvalve status` there names this session was its disk or clock put back; then lower the floor "
                "with `checkvalve accept`"
            )
    if beat is not None and not sessions.floors.confirmed:
        apart_h = (beat.wall_ns - wall_ns) / 3.6e12
        out.append(
            f"session {beat.session:08x} is not confirmed: the sender's clock is {apart_h:+.0f} h from ours "
            f"(more than {UNCONFIRMED_S // 3600} h) and no floor is known. Compare it, then `checkvalve accept`"
        )
    return out


def _floods(intake: Intake, now: float) -> list[str]:
    out = []
    for reasons, what in FLOODS:
        rate = intake.rates.of(*reasons)
        if rate >= FLOOD:
            out.append(f"{rate:.3g} a second are refused ({', '.join(reasons)}): {what}. {WHO}")
    again = intake.rates.of("again")
    if again >= FLOOD:
        out.append(
            f"{again:.3g} frames a second come that had come before: the way doubles them, or a recording is played; "
            f"the loss figures leave them out. {WHO}"
        )
    return out

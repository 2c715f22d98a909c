"""What of the sender calls for a person, told by its own last beat: clock, disk, spool, certificates. Pure.

No word goes back to the high side, and nobody may sit there: so what will go wrong there is said here, beforehand, with
what to do. Everything in it was tagged by the sender; of a link that is silent its last beat says nothing any more.

    clock-apart         its wall clock and ours differ; which of the two is wrong nobody can tell from here
    sender-disk-full    its spool's disk takes nothing more
    sender-disk-low     that disk has little room left, and the spool is still to grow
    sender-loses        at the present rate retention takes blocks that are still to be sent or repeated
    certificate-ends    the certificate of an encrypted connection to a device ends
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from protocol.written import span
from receiver.status.alerts import LIVE_S
from receiver.status.catch import CatchStatus, Concern, LinkWatch

CLOCK = "clock-apart"
"""The name of the one that stands in the strip of every page."""
APART_S = 60.0
"""Clocks that differ by more are told [s]. A high side without a time server is normal: a quartz drifts by up to 100
ppm, 9 s a day, so seconds are no news, and a minute is a week in which nobody looked."""
APART_ALARM_S = 300.0
"""Clocks that differ by more call a person [s]: new values then lie outside of the live chart, which shows so much."""
FREE_LEAST_BYTES = 64 << 20
"""Less room than this is as good as none [bytes]: one segment of a spool (`SEGMENT_BYTES`)."""
FREE_LOW_BYTES = 1 << 30
"""Less room than this is little [bytes], for a spool that is still to grow: sixteen segments."""
LOSES_S = 24 * 3600.0
"""What retention will take within this time is told [s]: a day, so that somebody on duty reads it in time."""
LOSES_ALARM_S = 3600.0
"""What it will take within this calls a person [s]."""
ENDS_S = 30 * 86400.0
"""A certificate that ends within this is told [s]: to have one made and trusted takes a plant weeks."""
ENDS_ALARM_S = 7 * 86400.0
"""One that ends within this calls a person [s]."""
HELD: Mapping[int | None, str] = {0: " and has no time server", 1: " and is held by a time server"}
"""Words for the state of its clock that a beat says."""


def concerns(catch: CatchStatus, watch: LinkWatch) -> list[Concern]:
    """All of them, the gravest first.

    Args:
        catch: What catch says of itself.
        watch: The figures that it leaves to be worded.
    """
    age_s = catch.link.beat_age_s
    if age_s is None or age_s > LIVE_S:
        return []
    found = [*_clock(catch, watch), *_disk(catch), *_loses(catch), *_certificates(catch)]
    return sorted(found, key=lambda one: not one.grave)


def line(one: Concern) -> str:
    """For people: what is so, and what to do."""
    return f"{one.cause}. {one.step}"


def _clock(catch: CatchStatus, watch: LinkWatch) -> Iterator[Concern]:
    apart_s = 0.0 if watch.beat is None else watch.beat.apart_s
    if abs(apart_s) > APART_S:
        apart, way = span(abs(apart_s)), "ahead of" if apart_s > 0 else "behind"
        held = HELD.get(catch.sender.synced, "")
        yield Concern(
            name=CLOCK,
            value=f"{apart} {way.split()[0]}",
            cause=f"the two clocks differ by {apart}: the sender's is {way} ours{held}",
            step="Values carry the sender's time, so the charts of now miss them or end early. Look at both: `date -u` "
            "on each side tells which is wrong; set that one (`timedatectl`)",
            grave=abs(apart_s) > APART_ALARM_S,
        )


def _disk(catch: CatchStatus) -> Iterator[Concern]:
    free, size, most = (_figure(catch, name) for name in ("free_bytes", "bytes", "most_bytes"))
    room = "On the high side make room (`df -h`, `du -xh --max-depth=3`), or make [spool] max_gb smaller"
    if catch.sender.spool.get("full") is True:
        yield Concern(
            name="sender-disk-full",
            value="disk full",
            cause="the high side's disk is full: its spool drops older blocks for new ones, and in the end new ones",
            step=room,
            grave=True,
        )
    elif free is not None and (free < FREE_LEAST_BYTES or free < min(FREE_LOW_BYTES, (most or 0.0) - (size or 0.0))):
        yield Concern(
            name="sender-disk-low",
            value=f"{free / 1e6:.0f} MB free",
            cause=f"the high side's disk has {free / 1e6:.0f} MB left, and its spool may grow by "
            f"{max((most or 0.0) - (size or 0.0), 0.0) / 1e9:.3g} GB",
            step=room,
            grave=free < FREE_LEAST_BYTES,
        )


def _loses(catch: CatchStatus) -> Iterator[Concern]:
    loses_s = _figure(catch, "loses_s")
    if loses_s is not None and loses_s < LOSES_S:
        behind_s = catch.sender.backlog_s or 0.0
        why = f"; the link is {span(behind_s)} behind" if behind_s >= 1 else ""
        yield Concern(
            name="sender-loses",
            value=f"in {span(loses_s)}",
            cause=f"at the present rate the sender's spool drops blocks in {span(loses_s)} that it has still to send "
            f"or to repeat{why}",
            step="On the high side make [spool] max_gb or keep larger where the disk has room, or send faster "
            "([outlet] rate_mbit; `checkvalve plan` tells the load)",
            grave=loses_s < LOSES_ALARM_S,
        )


def _certificates(catch: CatchStatus) -> Iterator[Concern]:
    ends_s = _figure(catch, "certificate_s")
    if ends_s is not None and ends_s < ENDS_S:
        over = ends_s <= 0
        yield Concern(
            name="certificate-ends",
            value="has ended" if over else f"in {span(ends_s)}",
            cause="a certificate of an encrypted device on the high side "
            + ("has ended: the device may not be read any more" if over else f"ends in {span(ends_s)}"),
            step="`checkvalve status` there names device and file; have a new one made, and trusted at the other end",
            grave=ends_s < ENDS_ALARM_S,
        )


def _figure(catch: CatchStatus, name: str) -> float | None:
    """A number that the sender says of its spool; None where it says none, as an earlier one does."""
    value = catch.sender.spool.get(name)
    return float(value) if isinstance(value, int | float) and type(value) is not bool else None

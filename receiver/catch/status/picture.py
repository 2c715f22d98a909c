"""What catch says of itself: the content of `state/status-catch.json`. Pure; the writing thread writes it.

Its keys are the fields of `CatchStatus` (receiver/status/catch.py), which readers load and this end does not. What is
only wording stands in it as figures, under `watch`: receiver/status/wording.py makes lines and gap codes of them.

Everything in it is of the link: catch cannot open a block, so it knows no name of an asset or tag.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any

from receiver.catch.gaps import Gaps
from receiver.catch.intake import Intake
from receiver.gap import Gap

STREAMS_TOLD = 64
"""Most streams listed: those the last beats named and those that miss something, newest first."""
GAPS_TOLD = 1000
"""Most gaps listed, longest missing first."""
LOST_TOLD = 1000
"""Most stretches listed that the sender lost."""


def picture(intake: Intake, *, now: float, wall_ns: int) -> dict[str, Any]:
    """The receiving thread's part of the status.

    Args:
        now: Monotonic time [s].
        wall_ns: Our wall clock [ns since 1970 UTC].
    """
    beat = intake.beat
    gaps = intake.gaps.gaps(wall_ns)
    spool = _plain((beat and beat.spool) or {})
    backlog_s = beat.backlog_s if beat and math.isfinite(beat.backlog_s) else None
    return {
        "watch": _watch(intake, len(gaps), now, wall_ns),
        "link": _link(intake, now),
        "blocks": asdict(intake.gaps.counts()),
        "sender": {"spool": spool, "backlog_s": backlog_s, "synced": beat and beat.synced},
        "streams": _streams(intake.gaps),
        "gaps": [_gap(one) for one in gaps[:GAPS_TOLD]],
        "lost": _lost(intake.gaps),
        "probes": [step.plain() for step in intake.gather.probes.steps.values()],
        "linktest": intake.gather.probes.test(),
    }


def _link(intake: Intake, now: float) -> dict[str, Any]:
    sessions, beat, session = intake.sessions, intake.beat, intake.sessions.current
    sent, received, loss_total, lost = sessions.totals()
    return {
        "session": None if session is None else f"{session.number:08x}",
        "confirmed": sessions.floors.confirmed,
        "beat_age_s": None if beat is None else round(now - intake.beat_at, 3),
        "beat_wall_ns": None if beat is None else beat.wall_ns,
        "frames_sent": sent,
        "frames_received": received,
        "frames_lost": lost,
        "loss": 0.0 if session is None else round(session.loss, 6),
        "loss_total": round(loss_total, 6),
        "kernel_drops": intake.gather.probes.kernel_drops,
        "queue_overflow": intake.overflow,
        "again": sessions.again(),
        "refused": {reason.value: count for reason, count in intake.gather.refused.items()},
        "versions": {str(number): count for number, count in sorted(intake.gather.versions.items())},
    }


def _watch(intake: Intake, gaps: int, now: float, wall_ns: int) -> dict[str, Any]:
    """Figures that readers word; `LinkWatch` tells what each is."""
    beat, old, waiting = intake.beat, intake.sessions.old, intake.gather.waiting.oldest()
    return {
        "rates": intake.rates.all(),
        "beat": beat and {"session": beat.session, "apart_s": (beat.wall_ns - wall_ns) / 1e9 + now - intake.beat_at},
        "refused": old and {"session": old.session, "age_s": now - old.heard},
        "waiting": waiting and {"session": waiting[1], "age_s": now - waiting[0]},
        "taken_bytes": intake.taken_bytes,
        "taken_s": 0.0 if intake.taken_since is None else now - intake.taken_since,
        "gaps": gaps,
    }


def _streams(gaps: Gaps) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for key, one in reversed(gaps.streams.items()):
        counts = one.counts()
        if len(out) < STREAMS_TOLD and (counts.missing or gaps.named(one)):
            out.append({"stream": key.hex(), **asdict(counts), "finished": one.finished, "sealed": one.sealed})
    return out


def _gap(one: Gap) -> dict[str, Any]:
    numbers = {"stream": one.stream.hex(), "from": one.first, "to": one.after}
    return numbers | {"since_ns": one.since_ns, "heals_ns": one.heals_ns, "damaged": one.damaged}


def _lost(gaps: Gaps) -> list[dict[str, Any]]:
    spans = ((key, first, after) for key, one in gaps.streams.items() for first, after in one.lost)
    return [{"stream": key.hex(), "from": first, "to": after} for key, first, after in islice(spans, LOST_TOLD)]


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    """What of a map of the sender's is plain JSON."""
    return {
        key: value
        for key, value in told.items()
        if isinstance(value, bool | int | str | None) or (isinstance(value, float) and math.isfinite(value))
    }

"""When a shown value may no longer be believed: one rule (`static/freshness.js` repeats it between ticks).

A value is STALE, whatever its quality says, when

    LINK     the beat, which the sender makes every second, was lost for more than 5 s, or was never heard
    DOWN     the asset is down by its own last STATE
    SILENT   the tag was not renewed for max(3 x scan, 1.5 x max_silence, 5 s), at the latest after 30 days

in this order: the first that holds is the one that is shown, because it explains the others. Renewal is by the low
side's clock (`seen_ns`), never by the plant's: a PLC whose clock stands in 2099 goes stale like any other. And it is by
a clock that nobody sets (`steady.py`): a value does not become fresh because somebody turned the clock back, and what
was renewed in the future is of unknown age, which is stale.
"""

from __future__ import annotations

from enum import StrEnum

from receiver.portal.steady import FUTURE_S

BEAT_LOST_S = 5.0
"""A beat older than this is lost [s]: five beats in a row, more than any repeat-free link drops by chance."""

LEAST_S = 5.0
"""No tag goes stale sooner [s]: below it a busy receiver would look like a silent plant."""

MOST_S = 30 * 86400.0
"""Every tag goes stale after this long [s], whatever period it claims: nothing is believed for ever."""


class Stale(StrEnum):
    """Why a value is not believed any more."""

    LINK = "link"
    DOWN = "down"
    SILENT = "silent"


def stale_after(scan_s: float, max_silence_s: float) -> float:
    """Longest time without renewal [s].

    Args:
        scan_s: Period at which the tag is read [s].
        max_silence_s: Longest time between two sendings of a healthy tag [s].
    """
    return min(max(3.0 * scan_s, 1.5 * max_silence_s, LEAST_S), MOST_S)


def beat_lost(beat_age_s: float | None) -> bool:
    """True where the beat is lost; None is a beat that was never heard, or a catch that does not run."""
    return beat_age_s is None or beat_age_s > BEAT_LOST_S


def judge(*, now_ns: int, seen_ns: int, after_s: float, beat_age_s: float | None, down: bool) -> Stale | None:
    """Why a value is stale, or None while it is fresh.

    Args:
        now_ns: Steady time [ns].
        seen_ns: When the tag was last renewed, same clock.
        after_s: The tag's `stale_after` [s].
        beat_age_s: Age of the last beat [s], None where there is none.
        down: The asset's last STATE was `down`.
    """
    if beat_lost(beat_age_s):
        return Stale.LINK
    if down:
        return Stale.DOWN
    if now_ns - seen_ns > after_s * 1e9 or seen_ns - now_ns > FUTURE_S * 1e9:
        return Stale.SILENT
    return None

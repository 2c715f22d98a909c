"""Bands of a chart: how long a value was bad or uncertain, in words, and no longer than that is known."""

from __future__ import annotations

import math

import pytest

from receiver.outputs.historian.answers.qualities import QualityStretch, TimeMarks
from receiver.portal.charting import bands as made
from receiver.portal.charting.bands import Band, BandRange, bands

SECOND = 10**9
SENSOR, TIMEOUT = 0x808C0000, 0x800A0000


def stretch(
    from_s: float, to_s: float | None, *, grade: int = 2, quality: int = SENSOR, mixed: bool = False
) -> QualityStretch:
    """Bad for a sensor's failure, if nothing else is said."""
    to_ns = None if to_s is None else round(to_s * SECOND)
    return QualityStretch(
        grade=grade, from_ns=round(from_s * SECOND), to_ns=to_ns, quality=quality, native=0, samples=1, mixed=mixed
    )


def drawn(
    *stretches: QualityStretch, to_s: float = 600, now_s: float = 600, gaps: tuple[tuple[float, float], ...] = ()
) -> list[Band]:
    """Of a range from 100 s on."""
    cut = BandRange(
        from_ns=100 * SECOND,
        to_ns=round(to_s * SECOND),
        now_ns=round(now_s * SECOND),
        gaps=[(start * SECOND, stop * SECOND) for start, stop in gaps],
    )
    return list(bands(TimeMarks(stretches=stretches), cut))


def test_a_sensor_that_fails_for_ninety_seconds_is_a_band_of_ninety_seconds() -> None:
    """From its first sample to the next good one, also where it is one sample."""
    (band,) = drawn(stretch(200, 290))
    assert (band.from_ms, band.to_ms, band.grade) == (200e3, 290e3, "bad")
    assert band.text == "Bad for 1 min 30 s: sensor failure"


@pytest.mark.parametrize(
    ("held", "given", "edges", "text"),
    [
        (stretch(500, None), {}, (500, None), "Bad for 1 min 40 s so far: sensor failure"),
        (stretch(500, None), {"to_s": 600, "now_s": 900}, (500, 600), "Bad for 1 min 40 s: sensor failure"),
        (stretch(500, None), {"to_s": 900}, (500, None), "Bad for 1 min 40 s so far: sensor failure"),
        (stretch(50, 160), {}, (100, 160), "Bad for at least 1 min, already before this range: sensor failure"),
        (
            stretch(200, 290),
            {"gaps": ((230, 280),)},
            (200, 230),
            "Bad for at least 30 s, then a link gap: sensor failure",
        ),
        (
            stretch(200, None),
            {"gaps": ((230, math.inf),)},
            (200, 230),
            "Bad for at least 30 s, then a link gap: sensor failure",
        ),
        (stretch(200, 290), {"gaps": ((120, 150),)}, (200, 290), "Bad for 1 min 30 s: sensor failure"),
        (stretch(200, 260, grade=1, quality=0x40000000), {}, (200, 260), "Uncertain for 1 min"),
        (stretch(200, 260, quality=0), {}, (200, 260), "Bad for 1 min: no usable value"),
        (stretch(200, 260, mixed=True), {}, (200, 260), "Bad for 1 min: sensor failure and others"),
    ],
)  # fmt: skip
def test_a_band_is_as_long_as_is_known(
    held: QualityStretch, given: dict[str, float], edges: tuple[float, float | None], text: str
) -> None:
    """What lasts has no end; a range or a gap of the link cuts it, and the words say so."""
    (band,) = drawn(held, **given)  # type: ignore[arg-type]
    assert (band.from_ms, band.to_ms) == (edges[0] * 1e3, None if edges[1] is None else edges[1] * 1e3)
    assert band.text == text


def test_what_lies_outside_the_range_is_no_band() -> None:
    """One that ended where the range begins, one that begins where it ends."""
    assert drawn(stretch(50, 100), stretch(600, 700)) == []


def test_a_tag_that_changes_its_mind_too_often_is_told_in_as_many_bands_as_can_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The shortest pauses are left out; how many times and how long in all is still told."""
    monkeypatch.setattr(made, "MOST_BANDS", 2)
    first, second = drawn(stretch(200, 201), stretch(203, 204), stretch(206, 208), stretch(300, 301, grade=1))
    assert (first.from_ms, first.to_ms) == (200e3, 208e3)
    assert first.text == "Bad 3 times, 4.0 s in all: sensor failure"
    assert (second.from_ms, second.grade) == (300e3, "uncertain")

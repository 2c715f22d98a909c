"""How the pages judge and write: freshness, numbers, units, qualities, reports of other processes, colours."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path

import pytest

from protocol.content.catalog import Tag
from protocol.content.sample import Quality
from receiver.portal import link, reports, words
from receiver.portal.freshness import Stale, judge, stale_after
from receiver.portal.plant_picture import LiveTag
from receiver.portal.shown import bar
from receiver.status.catch import CatchStatus

SECOND = 10**9
MAX = sys.float_info.max
NOW = 1_763_884_800 * SECOND
CSS = Path(reports.__file__).parent / "static" / "portal.css"


def judged(*, seen_s: float = 0.0, beat_age_s: float | None = 0.4, down: bool = False, after_s: float = 5.0) -> str:
    """The verdict on a tag that was renewed `seen_s` ago."""
    seen_ns = NOW - round(seen_s * SECOND)
    return str(judge(now_ns=NOW, seen_ns=seen_ns, after_s=after_s, beat_age_s=beat_age_s, down=down) or "fresh")


@pytest.mark.parametrize(
    ("scan_s", "max_silence_s", "after_s"),
    [(1.0, 1.0, 5.0), (2.0, 2.0, 6.0), (1.0, 60.0, 90.0), (60.0, 60.0, 180.0), (0.1, 0.1, 5.0)],
)
def test_stale_after_is_the_longest_of_three_scans_one_and_a_half_silences_and_five_seconds(
    scan_s: float, max_silence_s: float, after_s: float
) -> None:
    """The rule of the product, as numbers."""
    assert stale_after(scan_s, max_silence_s) == after_s


def test_value_is_fresh_up_to_its_limit_and_stale_beyond() -> None:
    """At the limit itself it still counts as fresh."""
    assert judged(seen_s=5.0) == "fresh"
    assert judged(seen_s=5.001) == Stale.SILENT


@pytest.mark.parametrize(
    ("beat_age_s", "verdict"), [(0.0, "fresh"), (5.0, "fresh"), (5.01, Stale.LINK), (None, Stale.LINK)]
)
def test_lost_beat_makes_a_value_stale_that_was_renewed_just_now(beat_age_s: float | None, verdict: str) -> None:
    """A beat older than five seconds, or never heard, is the end of belief in everything."""
    assert judged(beat_age_s=beat_age_s) == verdict


def test_asset_that_is_down_makes_its_values_stale_and_the_link_explains_more_than_the_asset() -> None:
    """The first reason that holds is shown: link, then asset, then silence."""
    assert judged(down=True) == Stale.DOWN
    assert judged(down=True, seen_s=100) == Stale.DOWN
    assert judged(down=True, beat_age_s=None) == Stale.LINK


@pytest.mark.parametrize(
    ("low", "high", "value", "text"),
    [
        (0.0, 16.0, 6.4237, "6.42"),
        (0.0, 150.0, 74.06, "74.1"),
        (0.0, 3600.0, 2980.4, "2980"),
        (0.0, 1.0, 0.12345, "0.123"),
        (0.0, 100_000.0, 12345.6, "12\u202f346"),
        (-1.0, 1.0, -0.0001, "0.000"),
        (-100.0, 100.0, -12.25, "\u221212.3"),
        (None, None, 0.0, "0.000"),
        (None, None, 123.456789, "123.46"),
        (None, None, 1.5e-7, "1.5000e\u22127"),
        (None, None, 2.5e12, "2.5000e12"),
        (None, None, float("nan"), "\u2014"),
        (0.0, 16.0, 1e30, "1.0000e30"),
        (0.0, 16.0, -1e30, "\u22121.0000e30"),
        (0.0, 16.0, 9.87654321e15, "9\u202f876\u202f543\u202f210\u202f000\u202f000.00"),
        (-MAX, MAX, MAX, "1.7977e308"),
        (-MAX, MAX, 6.4, "6"),
        (0.0, 1e-323, 5e-324, "4.9407e\u2212324"),
        (0.0, 1e-9, 5e-10, "5.0000e\u221210"),
        (0.0, 1e-6, 5e-7, "0.000000500"),
        (16.0, 0.0, 1.5, "1.5000"),
        (float("nan"), 1.0, 1.5, "1.5000"),
        (None, None, 123445e4, "1.2345e9"),
    ],
)
def test_number_has_the_decimals_its_range_deserves(
    low: float | None, high: float | None, value: float, text: str
) -> None:
    """A thousandth of the range, or five significant digits where there is none."""
    tag = Tag(id=0, asset="a", name="t", low=low, high=high)
    assert words.written(tag, value, words.digits(tag)) == text


@pytest.mark.parametrize(
    ("held", "shown"),
    [
        ("m\u00b3/h \u6f22 \u0645", "m\u00b3/h \u6f22 \u0645"),
        ("a\0\x1b\n", "a\\x00\\x1b\\n"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("x" * 600, "x" * 240 + "..(600 characters).." + "x" * 240),
    ],
)
def test_foreign_text_is_shown_as_far_as_it_can_be_seen(held: str, shown: str) -> None:
    """What hides, or turns the line around, is written as its number; what is too long says how long it is."""
    assert words.text(held) == shown


@pytest.mark.parametrize("value", [0.0, -0.0, MAX, -MAX, 5e-324, float("inf"), float("nan"), 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("limits", [(None, 1.0), (-MAX, MAX), (0.0, 1e-323), (5.0, 5.0), (2.0, 1.0), (0.0, 16.0)])
@pytest.mark.parametrize("normal", [False, True])
def test_bar_holds_every_value_against_every_range(
    value: float, limits: tuple[float | None, float], normal: bool
) -> None:
    """A marker stands inside the bar, or there is none."""
    low, high = limits
    tag = Tag(id=0, asset="a", name="t", low=low, high=high)
    if normal:
        tag = Tag(id=0, asset="a", name="t", normal_low=low, normal_high=high)
    made = bar(LiveTag(1, words.sound(tag), words.digits(tag), "", 5.0, value=value))
    assert (made is None) is not (low is not None and low < high)
    if made is not None:
        assert made.mark_x is None or 0 <= made.mark_x <= 120
        assert (made.mark_x is None) is not math.isfinite(value)
        assert 0 <= made.band_x <= made.band_x + made.band_width <= 120


@pytest.mark.parametrize("period", [0.0, 1e300, MAX, float("inf"), float("nan"), -1.0])
def test_every_period_has_an_end_of_belief(period: float) -> None:
    """A tag that claims to be read once in the age of the universe is stale after a month."""
    tag = words.sound(Tag(id=0, asset="a", name="t", scan_s=period, max_silence_s=period))
    assert 5.0 <= stale_after(tag.scan_s, tag.max_silence_s) <= 30 * 86400


def test_states_and_switches_are_written_by_name_and_big_integers_whole() -> None:
    """A value with a name is shown by it; one without shows its number."""
    mode = Tag(id=0, asset="a", name="mode", type="uint16", states=("off", "auto"))
    assert [words.written(mode, value, 0) for value in (0, 1, 7)] == ["off", "auto", "7"]
    running = Tag(id=0, asset="a", name="running", type="bool", states=("stopped", "running"))
    assert words.written(running, True, None) == "running"
    assert words.written(Tag(id=0, asset="a", name="b", type="bool"), False, None) == "false"
    total = Tag(id=0, asset="a", name="total", type="uint64")
    assert words.plain(total, -1) == 2**64 - 1
    assert words.written(total, 2**64 - 1, 0) == "18\u202f446\u202f744\u202f073\u202f709\u202f551\u202f615"


@pytest.mark.parametrize(
    ("code", "text"),
    [("Cel", "°C"), ("m3/h", "m³/h"), ("um/s", "µm/s"), ("kW.h", "kW·h"), ("bar", "bar"), ("unit", "unit"), ("", "")],
)
def test_unit_is_written_as_people_write_it(code: str, text: str) -> None:
    """A UCUM code that nobody says is shown otherwise; any other stays as it is."""
    assert words.unit(code) == text


def test_quality_says_condition_and_the_devices_own_code() -> None:
    """By the upper 16 bits; a code without words here has its name in the standard."""
    assert words.quality(Quality.GOOD) == "good"
    assert words.quality(Quality.BAD_NOT_SUPPORTED, 2, "modbus") == "not supported by the device (Modbus exception 2)"
    assert words.quality(Quality.UNCERTAIN_SENSOR | 0x400) == "sensor not accurate"
    assert words.quality(0x80DB0480) == "BadTooManyMonitoredItems"
    assert words.quality(0x80FF0000) == "Bad (0x80FF0000, which the standard does not name)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (9.99, "9.9 s"), (12.7, "12 s"), (60, "1 min"), (185, "3 min 5 s"), (7800, "2 h 10 min")],
)
def test_span_is_written_in_its_two_largest_units_and_never_rounded_up(seconds: float, text: str) -> None:
    """An age must not look older than it is, nor a gap longer."""
    assert words.span(seconds) == text


@pytest.mark.parametrize(("part", "text"), [(0.0, "0 %"), (1e-6, "< 0.01 %"), (0.0123, "1.2 %"), (0.5, "50 %")])
def test_loss_is_never_rounded_down_to_nothing(part: float, text: str) -> None:
    """One frame in a million is not none."""
    assert words.share(part) == text


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b"3", b'{"time_ns": "soon"}', b'{"time_ns": 1.5}', b'{"time_ns": true}', b"\xff\xfe"],
)
def test_report_that_is_missing_cut_off_or_nonsense_counts_as_not_running(
    tmp_path: Path, content: bytes | None
) -> None:
    """Nothing in a report's file makes the pages fall."""
    if content is not None:
        (tmp_path / "status-catch.json").write_bytes(content)
    report = reports.read(tmp_path, "catch", CatchStatus, NOW)
    assert not report.running
    assert report.trouble
    assert link.link_health(report).lamp is link.Lamp.NONE
    assert link.link_health(report).beat_age_s is None


def put(state: Path, age_s: float, body: dict[str, object]) -> reports.Report[CatchStatus]:
    """catch's report, `age_s` old."""
    time_ns = NOW - round(age_s * SECOND)
    (state / "status-catch.json").write_text(json.dumps({"time_ns": time_ns, **body}))
    return reports.read(state, "catch", CatchStatus, NOW)


def test_report_older_than_five_seconds_is_of_a_process_that_does_not_run(tmp_path: Path) -> None:
    """And one from the future is no better: the clock was turned."""
    assert put(tmp_path, 4.9, {}).running
    assert not put(tmp_path, 5.1, {}).running
    assert not put(tmp_path, -60, {}).running


def test_beat_age_goes_on_while_the_report_ages(tmp_path: Path) -> None:
    """The beat was 3 s old when catch wrote, 2.5 s ago: it is lost now."""
    held = link.link_health(put(tmp_path, 2.5, {"link": {"beat_age_s": 3.0, "confirmed": True}}))
    assert held.beat_age_s == pytest.approx(5.5)
    assert held.lamp is link.Lamp.SILENT
    held = link.link_health(put(tmp_path, 0.5, {"link": {"beat_age_s": 3.0, "confirmed": True}}))
    assert held.lamp is link.Lamp.LIVE
    held = link.link_health(put(tmp_path, 0.5, {"link": {"beat_age_s": 3.0, "confirmed": False}}))
    assert held.lamp is link.Lamp.UNCONFIRMED


@pytest.mark.parametrize("wrong", [None, "x", [], {}, True, 1e400, float("nan")])
def test_counter_of_a_wrong_type_is_nothing_and_the_rest_still_shows(tmp_path: Path, wrong: object) -> None:
    """A catch of another version may write anything into a field."""
    body = {"link": {"loss": wrong, "kernel_drops": wrong, "refused": {"tag": 4, "size": wrong}}, "gaps": [wrong]}
    held = link.link_health(put(tmp_path, 0.1, {**body, "blocks": {"missing": 7, "whole": wrong}, "warnings": wrong}))
    assert held.loss == 0.0
    assert held.kernel_drops == 0
    assert held.refused == (("tag", "Refused: wrong authentication tag", 4),)
    assert held.blocks["missing"] == 7
    assert held.blocks["whole"] == 0


def test_refusals_that_good_weather_has_are_listed_last_and_not_counted_as_trouble(tmp_path: Path) -> None:
    """Repeats of what is already there are no attack."""
    held = link.link_health(put(tmp_path, 0.1, {"link": {"refused": {"double": 900, "tag": 1, "newer": 5}}}))
    assert [reason for reason, _, _ in held.refused] == ["newer", "tag", "double"]
    assert held.refused_total == 6


def colours(block: str) -> dict[str, str]:
    """The `--name: #rrggbb` lines of a block of the style sheet."""
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance and contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_at_least_4_5_to_1(scheme: str) -> None:
    """WCAG 2.2, 1.4.3, in both schemes, also on washes and on the hatch of stale values."""
    light, dark = CSS.read_text().split("@media (prefers-color-scheme: dark)", 1)
    held = colours(light) if scheme == "light" else colours(light) | colours(dark.split("*, *::before")[0])
    pairs = [(ink, ground) for ink in ("ink", "ink-2") for ground in ("ground", "panel", "panel-2", "field")]
    pairs += [("bad", "panel"), ("bad", "panel-2"), ("bad", "bad-wash"), ("bad-ink", "bad"), ("ink", "warn-wash")]
    pairs += [("warn", "panel"), ("warn", "panel-2"), ("warn", "warn-wash"), ("warn-ink", "warn-fill")]
    pairs += [
        ("stale", "panel"),
        ("stale", "hatch"),
        ("ink", "hatch"),
        ("strip-ink", "strip"),
        ("strip-ink-2", "strip"),
    ]
    pairs += [("chart-gap", "panel"), ("chart-silence", "panel"), ("panel", "ink-2")]
    weak = {pair: round(contrast(held[pair[0]], held[pair[1]]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}

"""Every query of every dashboard, asked of the real store that our own output filled: it shows what was written.

One law for all stores; where one cannot hold something (texts in VictoriaMetrics), the law says so.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from grafana_plant import BUCKET_S, EVENTS, PRESS, PUMP, SECOND, SITE, STATES, PlantSample, samples
from grafana_stores import GRAFANA, MISSING, STORES, Chosen, Row, Store

from protocol.content.sample import NO_TIME

ALL: Chosen = {"site": (SITE,), "asset": (PUMP, PRESS)}
LABELS = ("time", "legend", "metric", "site", "asset", "tag", "unit", "state")
Points = dict[tuple[str, float], float]
"""By a curve's name and its time [s]."""


def _stores() -> Iterator[Any]:
    """QuestDB comes from Maven: where its jar is not, only the long count asks for it."""
    for stem, why in MISSING.items():
        absent = [pytest.mark.skip(reason=why)] if why else []
        yield pytest.param(stem, marks=[*absent, pytest.mark.soak] if absent and stem == "questdb" else absent)


@pytest.mark.parametrize("stem", list(_stores()))
def test_every_panel_shows_what_was_written(stem: str, tmp_path: Path) -> None:
    """Each sample, mark and gap of it, and nothing bad as good; for all assets, for one, and for each tag."""
    store = STORES[stem](tmp_path / "server")
    try:
        for file in sorted((GRAFANA / "dashboards" / stem).glob("*.json")):
            told = json.loads(file.read_text())
            for panel in told["panels"]:
                for chosen in SINGLE if file.stem == "tag" else SEVERAL:
                    try:
                        LAWS[panel["title"]](store, panel, chosen)
                    except Exception as error:
                        error.add_note(f"{file.name}, {panel['title']}, {chosen}")
                        raise
            _offered(store, told)
            if (stem, file.stem) == ("postgresql", "plant"):
                _silent(store, told["panels"][1])
    finally:
        store.close()


def _offered(store: Store, dashboard: Mapping[str, Any]) -> None:
    """Variables offer the sites, their assets, and their tags, each name whole."""
    asked = {one["name"]: one["query"] for one in dashboard["templating"]["list"]}
    assert store.values(asked["site"], {}) == [SITE]
    assert sorted(store.values(asked["asset"], {"site": (SITE,)})) == sorted((PUMP, PRESS))
    if "tag" in asked:
        tags = store.values(asked["tag"], {"site": (SITE,), "asset": (PUMP,)})
        assert sorted(tags) == ["energy", "pressure.out", "running"]


def _silent(store: Store, panel: Mapping[str, Any]) -> None:
    """PostgreSQL lists a tag that said nothing in the range, with neither value nor quality."""
    (target,) = panel["targets"]
    earlier = target["rawSql"].replace("$__timeFilter(time)", "time < '2001-01-01'")
    rows = store.rows({**target, "rawSql": earlier}, ALL)
    assert {(row["asset"], row["tag"]) for row in rows} == _newest(ALL).keys()
    assert {(row["value"], row["quality"], row["time"]) for row in rows} == {(None, None, None)}


def _newest(chosen: Chosen) -> dict[tuple[str, str], PlantSample]:
    return {(one.tag.asset, one.tag.name): one for one in samples() if one.tag.asset in chosen["asset"]}


def _tags(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """One row a tag: its newest sample with its value, unit, quality and time."""
    rows = one.rows_of(panel, chosen)
    have = {(row["asset"], row["tag"]): row for row in rows}
    wanted = _newest(chosen)
    assert len(rows) == len(have)
    assert have.keys() == wanted.keys()
    for key, sample in wanted.items():
        row = have[key]
        assert row["site"] == SITE
        assert (row.get("unit") or "") == sample.tag.unit
        assert row["quality"] == sample.quality
        assert row["time"] == pytest.approx(sample.row.time_ns / SECOND, abs=1e-4)
        _same_value(one, row, sample)


def _same_value(one: Store, row: Row, sample: PlantSample) -> None:
    wanted = sample.row.value
    shown = [row[name] for name in ("value", "exact", "text", "truth", "number") if row.get(name) not in (None, "")]
    if wanted is None or (isinstance(wanted, str) and one.stem == "victoria-metrics"):
        assert not shown, sample
    elif isinstance(wanted, bool):
        assert shown[0] in (wanted, str(wanted).lower()), sample
    elif isinstance(wanted, int | float):
        assert math.isclose(float(shown[0]), wanted, rel_tol=1e-12), sample
    else:
        assert shown[0] == wanted, sample


def _assets(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """One row an asset: how many tags, the worst of their newest, and the newest time."""
    wanted: dict[str, list[PlantSample]] = defaultdict(list)
    for sample in _newest(chosen).values():
        wanted[sample.tag.asset].append(sample)
    if one.stem == "influxdb":  # it cannot count them: Grafana does, from the rows of the tags
        assert panel["transformations"][0]["id"] == "groupBy"
        _tags(one, panel, chosen)
        return
    have = {row["asset"]: row for row in one.rows_of(panel, chosen)}
    assert have.keys() == wanted.keys()
    for asset, held in wanted.items():
        assert have[asset]["tags"] == len(held)
        assert have[asset]["quality"] == min(sample.quality for sample in held)
        assert have[asset]["time"] == pytest.approx(max(sample.row.time_ns for sample in held) / SECOND, abs=1e-4)


def _points(one: Store, target: Mapping[str, Any], chosen: Chosen) -> Points:
    """The points of a target: its only column that is neither time nor label; where that is null, the line breaks."""
    out: Points = {}
    for row in one.rows(target, chosen):
        (value,) = (row[name] for name in row if name not in LABELS)
        if value is not None:
            at = (row["legend"], row["time"] - one.delay_s)
            assert at not in out
            out[at] = float(value)
    return out


def _close(have: Points, wanted: Points) -> None:
    assert have == pytest.approx(wanted, rel=1e-12)


def _buckets(chosen: Chosen) -> dict[int, list[PlantSample]]:
    out: dict[int, list[PlantSample]] = defaultdict(list)
    for sample in samples():
        if sample.tag.asset in chosen["asset"] and sample.tag.name in chosen.get("tag", (sample.tag.name,)):
            out[sample.bucket_s].append(sample)
    return out


HOW: Mapping[str, tuple[int, Callable[[Sequence[float]], float]]] = {
    "mean": (192, lambda values: math.fsum(values) / len(values)),
    "least": (192, min),
    "highest": (192, max),
    "uncertain": (64, lambda values: math.fsum(values) / len(values)),
}
"""By curve: the worst quality of its buckets, and what is shown of one."""


def _trend(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """Buckets that are good are drawn, with their extremes; uncertain ones are points; bad and empty ones are gaps."""
    targets = {target["refId"]: target for target in panel["targets"]}
    assert targets.keys() == HOW.keys()
    for name, (quality, how) in HOW.items():
        wanted: Points = {}
        for begin_s, held in _buckets(chosen).items():
            numbers = [_number(one, sample) for sample in held]
            values = [number for number in numbers if number is not None]
            if values and min(sample.quality for sample in held) == quality:
                wanted[f"{name} {held[0].tag.unit}".strip(), begin_s] = how(values)
        have = _points(one, targets[name], chosen)
        assert 999.0 not in have.values()
        _close(have, wanted)


def _number(one: Store, sample: PlantSample) -> float | None:
    """What a curve has of a value: InfluxDB has no number for a truth, and no store one for a text."""
    value = sample.row.value
    if value is None or isinstance(value, str) or (isinstance(value, bool) and one.stem == "influxdb"):
        return None
    return float(value)


def _ribbon(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """The worst quality of each bucket, and nothing where there is no sample."""
    wanted: Points = {("", at): float(min(sample.quality for sample in held)) for at, held in _buckets(chosen).items()}
    have = _points(one, panel["targets"][0], chosen)
    _close({("", at): value for (_, at), value in have.items()}, wanted)


def _samples(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """Each sample with its value, unit, quality and codes, newest first; healed ones are marked where it can be."""
    wanted = sorted(
        (sample for held in _buckets(chosen).values() for sample in held), key=lambda sample: -sample.row.time_ns
    )
    have = one.rows_of(panel, chosen)
    assert len(have) == len(wanted)
    for row, sample in zip(have, wanted, strict=True):
        assert row["time"] == pytest.approx(sample.row.time_ns / SECOND, abs=1e-4)
        assert ((row["unit"] or ""), row["quality"]) == (sample.tag.unit, sample.quality)
        assert (row["code"] or 0) == sample.row.quality
        assert row.get("healed", sample.healed) == sample.healed
        _same_value(one, row, sample)


def _events(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """Alarms and events with all their words, newest first."""
    wanted = [event for event in reversed(EVENTS) if event.asset in chosen["asset"]]
    have = one.rows_of(panel, chosen)
    names = ("asset", "severity", "state", "code", "source", "text")
    assert [[row[name] for name in names] for row in have] == [
        [getattr(event, name) for name in names] for event in wanted
    ]
    assert [row["time"] for row in have] == [event.time_ns / SECOND for event in wanted]


def _states(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """What became of the assets, newest first."""
    wanted = [state for state in reversed(STATES) if state.asset in chosen["asset"]]
    have = one.rows_of(panel, chosen)
    assert [(row["asset"], row["what"], row["text"]) for row in have] == [
        (state.asset, state.what, state.text) for state in wanted
    ]


def _event_marks(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """A mark in the bucket of each event."""
    wanted: Points = {
        (f"{event.asset} {event.state}", event.time_ns // SECOND // BUCKET_S * BUCKET_S): float(event.severity)
        for event in EVENTS
        if event.asset in chosen["asset"]
    }
    _close(_points(one, panel["targets"][0], chosen), wanted)


def _state_ribbon(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """Up and down where they were told."""
    wanted: Points = {
        (state.asset, state.time_ns // SECOND // BUCKET_S * BUCKET_S): float(state.what == "up")
        for state in STATES
        if state.asset in chosen["asset"]
    }
    _close(_points(one, panel["targets"][0], chosen), wanted)


def _counted(
    one: Store,
    target: Mapping[str, Any],
    chosen: Chosen,
    legend: Callable[[PlantSample], str],
    quality: int | None = None,
) -> None:
    """How many samples of a bucket; a bucket without any may be left out."""
    wanted: Points = defaultdict(float)
    for at, held in _buckets(chosen).items():
        for sample in held:
            wanted[legend(sample), at] += quality is None or sample.quality == quality
    have = _points(one, target, chosen)
    if quality is not None:
        have = {("", at): value for (_, at), value in have.items()}
    _close({at: value for at, value in have.items() if value}, {at: value for at, value in wanted.items() if value})


def _arrived(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """Samples by quality."""
    for target in panel["targets"]:
        quality = {"good": 192, "uncertain": 64, "bad": 0}[target["refId"]]
        _counted(one, target, chosen, lambda _: "", quality)


def _by_asset(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """Samples by asset."""
    _counted(one, panel["targets"][0], chosen, lambda sample: sample.tag.asset)


def _apart(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """The most by which a second time is later."""
    wanted: Points = {}
    for at, held in _buckets(chosen).items():
        for sample in held:
            if sample.row.other_ns != NO_TIME:
                key = (sample.tag.asset, at)
                wanted[key] = max(wanted.get(key, -math.inf), sample.row.other_ns - sample.row.time_ns)
    _close(_points(one, panel["targets"][0], chosen), wanted)


def _healed(one: Store, panel: Mapping[str, Any], chosen: Chosen) -> None:
    """Samples of blocks that had been missing."""
    wanted: Points = {
        ("healed", at): float(sum(sample.healed for sample in held))
        for at, held in _buckets(chosen).items()
        if held[0].healed
    }
    _close(_points(one, panel["targets"][0], chosen), wanted)


LAWS: Mapping[str, Callable[[Store, Mapping[str, Any], Chosen], None]] = {
    "Assets": _assets,
    "Tags, worst first": _tags,
    "$tag": _trend,
    "Worst quality": _ribbon,
    "Newest samples": _samples,
    "Alarms and events": _events,
    "What became of the assets": _states,
    "Severity of alarms and events": _event_marks,
    "Up and down": _state_ribbon,
    "Samples of a bucket, by quality": _arrived,
    "Samples of a bucket, by asset": _by_asset,
    "Second time of a sample, after its first": _apart,
    "Samples that came late": _healed,
}
SEVERAL: Sequence[Chosen] = (ALL, {**ALL, "asset": (PUMP,)}, {**ALL, "asset": (PRESS,)})
SINGLE: Sequence[Chosen] = [{"site": (SITE,), "asset": (asset,), "tag": (tag,)} for asset, tag in sorted(_newest(ALL))]

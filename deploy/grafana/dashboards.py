"""Grafana's dashboards for each store, made of the queries beside this file: one page says what every panel looks like.

    queries/STORE.toml  -->  dashboards/STORE/NAME.json      python deploy/grafana/dashboards.py [FOLDER]

A panel stands in a store's dashboard if its queries stand in the store's file. In those, `<word>` is replaced by the
text of that name in `[words]`; `$..` is Grafana's. A curve is known by the name of its query, which is its refId, so it
looks the same whatever the store calls its series. Tests make the files again and compare, and run every query.

Rules of looks: good is plain, what is not good has a word and a colour; no line is drawn through a bucket without a
sample, or whose worst sample is not good. Format: dashboard JSON, version 1 (schemaVersion 39: Grafana 10.4 and later).
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCHEMA = 39
WIDTH = 24
"""Of Grafana's grid."""
Json = dict[str, Any]

QUALITY = {
    "0": ("BAD", "red"),
    "64": ("uncertain", "orange"),
    "192": ("good", "transparent"),
    "null": ("no sample", "purple"),
}
"""`q`, or no sample in the range: its word and colour."""
RIBBON = {**QUALITY, "192": ("good", "#9fb4a3")}
UP = {"0": ("DOWN", "red"), "1": ("up", "#9fb4a3")}
CURVES: Mapping[str, Json] = {
    "mean": {"color": "#4b6a88", "custom.lineWidth": 2},
    "least": {"color": "#b6c2cc", "custom.lineWidth": 1},
    "highest": {"color": "#b6c2cc", "custom.lineWidth": 1},
    "uncertain": {"color": "orange", "custom.drawStyle": "points", "custom.pointSize": 8},
    "good": {"color": "#9fb4a3"},
    "bad": {"color": "red"},
    "healed": {"color": "#8a7fb0"},
    "whole": {"color": "#9fb4a3"},
    "repaired": {"color": "#b9a44c"},
    "lost": {"color": "red"},
}
"""By refId; a curve that is not named here has a colour of Grafana's choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelLook:
    """One panel, whatever the store."""

    name: str
    """Of its queries, in `[panels.NAME]`."""
    title: str
    kind: str
    """Grafana's panel type."""
    height: int
    """[rows of the grid]"""
    text: str
    """What it shows, for who reads it."""
    style: Json = field(default_factory=dict)
    """`fieldConfig.defaults.custom`."""
    labels: tuple[str, ...] = ()
    """What tells the curves of one query apart."""
    unit: str = ""
    """Of its curves, in Grafana's words; empty where the name of a curve has it."""
    states: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Words and colours of the values of a ribbon."""


LINES = {"drawStyle": "line", "lineInterpolation": "linear", "showPoints": "auto", "spanNulls": False}
BARS = {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": {"mode": "normal", "group": "A"}}
MARKS = {"drawStyle": "points", "pointSize": 9}

PLANT = (
    PanelLook(
        name="assets",
        title="Assets",
        kind="table",
        height=7,
        text="Worst quality of each asset's tags, by their newest samples in the range.",
    ),
    PanelLook(
        name="tags",
        title="Tags, worst first",
        kind="table",
        height=17,
        text="The newest sample of each tag in the range; make the range longer to see what has been silent for long.",
    ),
)
TAG = (
    PanelLook(
        name="trend",
        title="$tag",
        kind="timeseries",
        height=11,
        text="Mean, least and highest of buckets whose samples are all good; points where one is uncertain. A bucket "
        "with a bad sample has no value: see the ribbon. The line breaks where a bucket has no sample: choose a bucket "
        "that is longer than the tag's period.",
        style=LINES,
        labels=("unit",),
    ),
    PanelLook(
        name="ribbon",
        title="Worst quality",
        kind="state-timeline",
        height=4,
        text="Of each bucket. Blank: no sample came.",
        states=RIBBON,
    ),
    PanelLook(
        name="samples",
        title="Newest samples",
        kind="table",
        height=10,
        text="As they were read, with the OPC UA StatusCode and the protocol's own code.",
    ),
)
EVENTS = (
    PanelLook(name="events", title="Alarms and events", kind="table", height=12, text="Newest first."),
    PanelLook(
        name="event_marks",
        title="Severity of alarms and events",
        kind="timeseries",
        height=9,
        text="1 to 1000; this store keeps no texts.",
        style=MARKS,
        labels=("asset", "state"),
    ),
    PanelLook(
        name="states",
        title="What became of the assets",
        kind="table",
        height=12,
        text="Up, down and refused; newest first.",
    ),
    PanelLook(
        name="state_ribbon",
        title="Up and down",
        kind="state-timeline",
        height=7,
        text="As it was told last.",
        style={"spanNulls": True},
        labels=("asset",),
        states=UP,
    ),
)
PIPELINE = (
    PanelLook(
        name="arrived",
        title="Samples of a bucket, by quality",
        kind="timeseries",
        height=9,
        text="By the time they were read, not when they arrived: what heals later fills its own place.",
        style=BARS,
    ),
    PanelLook(
        name="by_asset",
        title="Samples of a bucket, by asset",
        kind="timeseries",
        height=9,
        text="Same.",
        style=BARS,
        labels=("asset",),
    ),
    PanelLook(
        name="apart",
        title="Second time of a sample, after its first",
        kind="timeseries",
        height=8,
        text="The most in a bucket. Where a device stamps its values: how old they were when read, or how far off its "
        "clock is.",
        style=LINES,
        unit="ns",
        labels=("asset",),
    ),
    PanelLook(
        name="healed",
        title="Samples that came late",
        kind="timeseries",
        height=7,
        text="Of blocks that had been missing on the link and were healed.",
        style=BARS,
    ),
)
HEALTH = (
    PanelLook(
        name="processes",
        title="Processes of the low side",
        kind="state-timeline",
        height=6,
        text="Up while it has said something within the last 5 s.",
        states=UP,
        labels=("process",),
    ),
    PanelLook(
        name="alarms",
        title="Alarms of outputs",
        kind="state-timeline",
        height=5,
        text="The words of an alarm, and the next step, stand on the pages and in `checkvalve status`.",
        states={"0": ("quiet", "#9fb4a3"), "1": ("ALARM", "red")},
        labels=("output",),
    ),
    PanelLook(
        name="beat",
        title="Since the sender was heard last",
        kind="timeseries",
        height=5,
        text="It beats every second.",
        style=LINES,
        unit="s",
    ),
    PanelLook(
        name="loss",
        title="Frames lost on the link",
        kind="timeseries",
        height=5,
        text="Before repair, between two beats.",
        style=LINES,
        unit="percentunit",
    ),
    PanelLook(
        name="blocks",
        title="Blocks a second, by what became of them",
        kind="timeseries",
        height=8,
        text="Whole, repaired from spares, healed by a repeat; lost ones come no more.",
        style=BARS,
    ),
    PanelLook(
        name="missing",
        title="Blocks that are missing and may still come",
        kind="timeseries",
        height=5,
        text="`checkvalve gaps` tells which, and when they heal.",
        style=LINES,
    ),
    PanelLook(
        name="behind",
        title="How far outputs are behind the journal",
        kind="timeseries",
        height=6,
        text="Age of the oldest block that is journaled and not acknowledged.",
        style=LINES,
        unit="s",
        labels=("output",),
    ),
    PanelLook(
        name="taken",
        title="Samples a second into each output",
        kind="timeseries",
        height=6,
        text="Taken from the journal, durably.",
        style=LINES,
        labels=("output",),
    ),
    PanelLook(
        name="aside",
        title="Samples that a destination refused",
        kind="timeseries",
        height=5,
        text="`checkvalve aside list` tells why, `aside resend` sends them again.",
        style=LINES,
        labels=("output",),
    ),
    PanelLook(
        name="free",
        title="Free part of the disks",
        kind="timeseries",
        height=5,
        text="Of the folders of the low side.",
        style=LINES,
        unit="percentunit",
        labels=("folder",),
    ),
    PanelLook(
        name="stored",
        title="Journal, history, and the sender's spool",
        kind="timeseries",
        height=6,
        text="`waiting` is what of the spool has not been sent yet.",
        style=LINES,
        unit="bytes",
    ),
    PanelLook(
        name="clock",
        title="The sender's clock less ours",
        kind="timeseries",
        height=5,
        text="By its last beat.",
        style=LINES,
        unit="s",
    ),
)
DASHBOARDS = {"plant": PLANT, "tag": TAG, "events": EVENTS, "pipeline": PIPELINE, "health": HEALTH}
"""By the last word of their uid."""
SINGLE = "tag"
"""The dashboard of one tag: its variables have one value each."""
FIELDS: Mapping[str, Json] = {
    "time": {"unit": "dateTimeFromNow", "displayName": "age"},
    "Time": {"unit": "dateTimeFromNow", "displayName": "age"},
    "Time (max)": {"unit": "dateTimeFromNow", "displayName": "age"},
    "code": {"unit": "hex0x", "displayName": "StatusCode"},
}
"""Columns of tables by the name that the store gives them."""
EXACT_TIME = "time:YYYY-MM-DD HH:mm:ss.SSS"
SORTED = {"tags": "quality", "assets": "quality"}


def files(store: Path) -> Iterator[tuple[str, str]]:
    """Name below the folder, and text, of each dashboard of a store's queries."""
    told = tomllib.loads(store.read_text())
    for name, looks in DASHBOARDS.items():
        there = [look for look in looks if look.name in told["panels"]]
        if there:
            text = json.dumps(_dashboard(name, there, told), indent=1, ensure_ascii=False)
            yield f"{store.stem}/{name}.json", text + "\n"


def _dashboard(name: str, looks: list[PanelLook], store: Json) -> Json:
    top, panels = 0, []
    for number, look in enumerate(looks, 1):
        place = {"x": 0, "y": top, "w": WIDTH, "h": look.height}
        panels.append({"id": number, "gridPos": place, **_panel(look, store)})
        top += look.height
    variables = [one for one in store.get("variables", ()) if one != "tag" or name == SINGLE]
    listed = [_variable(one, store, several=name != SINGLE) for one in variables]
    return {
        "uid": f"{store['uid']}-{name}",
        "id": None,
        "title": f"{name.capitalize()} ({store['title']})",
        "tags": ["checkvalve"],
        "schemaVersion": SCHEMA,
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": "now-24h" if name == "plant" else "now-6h", "to": "now"},
        "timezone": "browser",
        "refresh": "30s",
        "links": [LINK],
        "annotations": {"list": []},
        "templating": {"list": [*listed, *([] if name == "plant" else [BUCKET])]},
        "panels": panels,
    }


LINK: Json = {
    "type": "dashboards",
    "tags": ["checkvalve"],
    "title": "Checkvalve",
    "tooltip": "the other dashboards",
    "icon": "dashboard",
    "asDropdown": True,
    "keepTime": True,
    "includeVars": False,
    "targetBlank": False,
}
BUCKET: Json = {
    "type": "interval",
    "name": "bucket",
    "label": "bucket",
    "query": "1s,10s,1m,5m,15m,1h,6h,1d",
    "auto": True,
    "auto_count": 300,
    "auto_min": "10s",
    "current": {"text": "auto", "value": "$__auto_interval_bucket"},
    "options": [],
    "refresh": 2,
}


def _variable(name: str, store: Json, *, several: bool) -> Json:
    query = _filled(store["variables"][name], store)
    if store["type"] == "prometheus":
        asked: Any = {"query": query, "refId": name}
    else:
        asked = query
    every = {} if store["type"].endswith("postgresql-datasource") else {"allValue": ".*"}
    several_of = {"multi": True, "includeAll": True, **every, "current": {"text": ["All"], "value": ["$__all"]}}
    return {
        "type": "query",
        "name": name,
        "label": name,
        "datasource": _source(store),
        "query": asked,
        "refresh": 2,
        "sort": 1,
        **(several_of if several else {"multi": False, "includeAll": False}),
    }


def _panel(look: PanelLook, store: Json) -> Json:
    names = list(store["panels"][look.name])
    panel: Json = {
        "type": look.kind,
        "title": look.title,
        "description": look.text,
        "datasource": _source(store),
        "targets": [_target(name, look, store) for name in names],
        "fieldConfig": {"defaults": {"custom": dict(look.style), "mappings": _words(look.states)}, "overrides": []},
        "options": {},
    }
    if look.unit:
        panel["fieldConfig"]["defaults"]["unit"] = look.unit
    overrides = panel["fieldConfig"]["overrides"]
    if look.kind == "table":
        overrides += _columns(look, store)
        panel["transformations"] = _joined(look, names, store)
        panel["options"] = (
            {"sortBy": [{"displayName": SORTED[look.name], "desc": False}]} if look.name in SORTED else {}
        )
        return panel
    for name in names:
        if wanted := CURVES.get(name):
            overrides.append(_override("byFrameRefID", name, wanted))
    if look.kind == "timeseries":
        panel["options"] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    else:
        panel["options"] = {"mergeValues": True, "showValue": "auto", "rowHeight": 0.9}
    return panel


def _columns(look: PanelLook, store: Json) -> list[Json]:
    """How the columns of a table look; a row whose quality is not good has its colour from end to end."""
    out = [_override("byName", name, wanted) for name, wanted in FIELDS.items()]
    if look.name in ("samples", "events", "states"):
        out[:2] = [_override("byName", one, {"unit": EXACT_TIME, "displayName": "time"}) for one in ("time", "Time")]
    coloured = {"mappings": _words(QUALITY), "custom.cellOptions": {"type": "color-background", "applyToRow": True}}
    out += [_override("byName", name, coloured) for name in ("quality", "quality (min)")]
    if look.name in ("assets", "tags"):
        fields = ("site", "asset", "tag") if look.name == "tags" else ("site", "asset")
        given = "&".join(f"var-{one}=${{__data.fields.{one}:percentencode}}" for one in fields)
        to = SINGLE if look.name == "tags" else "plant"
        link = {"title": f"open the {look.name[:-1]}", "url": f"/d/{store['uid']}-{to}?{given}&${{__url_time_range}}"}
        out.append(_override("byName", fields[-1], {"links": [link]}))
    return out


def _joined(look: PanelLook, names: list[str], store: Json) -> list[Json]:
    """Several instant queries as one table; tags counted by asset where the store cannot."""
    if store["type"] == "prometheus":
        renamed = {f"Value #{name}": name for name in names}
        hidden = {"id": "organize", "options": {"renameByName": renamed, "excludeByName": {"Time": True}}}
        return [{"id": "merge", "options": {}}, hidden]
    if store["type"] == "influxdb" and look.name == "assets":
        grouped: Json = {name: {"aggregations": [], "operation": "groupby"} for name in ("site", "asset")}
        for name, how in (("tag", "count"), ("quality", "min"), ("Time", "max")):
            grouped[name] = {"aggregations": [how], "operation": "aggregate"}
        return [{"id": "groupBy", "options": {"fields": grouped}}]
    return []


def _target(name: str, look: PanelLook, store: Json) -> Json:
    query, table = _filled(store["panels"][look.name][name], store), look.kind == "table"
    out: Json = {"refId": name, "datasource": _source(store)}
    if store["type"] == "prometheus":
        shown = (
            {"instant": True, "range": False, "format": "table"} if table else {"range": True, "interval": "$bucket"}
        )
        return {**out, "expr": query, "editorMode": "code", "legendFormat": _legend(name, look, "{{%s}}"), **shown}
    shape = "table" if table else "time_series"
    if store["type"] == "influxdb":
        return {**out, "query": query, "rawQuery": True, "resultFormat": shape, "alias": _legend(name, look, "$tag_%s")}
    return {**out, "rawSql": query, "rawQuery": True, "editorMode": "code", "format": shape}


def _legend(name: str, look: PanelLook, label: str) -> str:
    """A curve's name: its query's, and the labels that tell several of it apart. SQL says it in a column `metric`."""
    own = [name] if name in CURVES or not look.labels else []
    return " ".join([*own, *(label % one for one in look.labels)])


def _source(store: Json) -> Json:
    return {"type": store["type"], "uid": store["uid"]}


def _filled(text: str, store: Json) -> str:
    """A query with the store's own words in it, which may have words in them too."""
    words, found = store["words"], re.compile(r"<([a-z_]+)>")
    while found.search(text):
        text = found.sub(lambda one: words[one[1]].strip(), text)
    return text.strip()


def _override(matcher: str, options: str, properties: Mapping[str, Any]) -> Json:
    given = []
    for name, value in properties.items():
        told = {"mode": "fixed", "fixedColor": value} if name == "color" else value
        given.append({"id": name, "value": told})
    return {"matcher": {"id": matcher, "options": options}, "properties": given}


def _words(states: Mapping[str, tuple[str, str]]) -> list[Json]:
    """Values shown as words."""
    told = {
        value: {"text": word, "color": color, "index": at} for at, (value, (word, color)) in enumerate(states.items())
    }
    none = told.pop("null", None)
    out: list[Json] = [{"type": "value", "options": told}] if told else []
    return out + ([{"type": "special", "options": {"match": "null", "result": none}}] if none else [])


def main(folder: Path) -> None:
    """Write every dashboard of every store."""
    for store in sorted((HERE / "queries").glob("*.toml")):
        for name, text in files(store):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dashboards")

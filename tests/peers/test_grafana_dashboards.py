"""The dashboards as files: made of the queries beside them, and such that Grafana takes each as it is.

Grafana itself drops what it does not know without a word, so its rules are asked here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from dashboards import FIELDS, HERE, WIDTH, files

FILES = sorted((HERE / "dashboards").glob("*/*.json"))
STORES = sorted((HERE / "queries").glob("*.toml"))
UNITS = {"dateTimeFromNow", "hex0x", "ns", "s", "bytes", "percentunit"}
"""Of Grafana's, or a form of time: `time:YYYY-MM-DD`."""
KINDS = {"table", "timeseries", "state-timeline"}
"""Panels that come with every Grafana."""
ASKED = {"influxdb": "query", "prometheus": "expr", "grafana-postgresql-datasource": "rawSql"}
"""Where a target of each source has its query."""


@pytest.mark.parametrize("store", STORES, ids=lambda one: one.stem)
def test_dashboards_are_made_of_the_queries(store: Path) -> None:
    """`python deploy/grafana/dashboards.py` makes these very files, and there are no others."""
    made = {HERE / "dashboards" / name: text for name, text in files(store)}
    assert made == {file: file.read_text() for file in FILES if file.parent.name == store.stem}


@pytest.mark.parametrize("file", FILES, ids=lambda one: f"{one.parent.name}/{one.stem}")
def test_a_dashboard_keeps_the_rules_of_grafana(file: Path) -> None:
    """A uid and no id, panels of their own ids and places, each with its source, each query with a name."""
    assert faults(json.loads(file.read_text())) == []


def test_all_uids_are_unlike_each_other() -> None:
    """Grafana keeps one dashboard of a uid, whichever it read last."""
    uids = [json.loads(file.read_text())["uid"] for file in FILES]
    assert len(set(uids)) == len(uids)


def test_a_broken_rule_is_found() -> None:
    """Each rule bites: one fault at a time, planted in a dashboard that has none."""
    whole = FILES[0].read_text()
    broken: dict[str, Callable[[Any], object]] = {
        "id": lambda one: one.update(id=7),
        "uid": lambda one: one.update(uid=""),
        "schemaVersion": lambda one: one.update(schemaVersion=42),
        "ids of panels": lambda one: one["panels"][0].update(id=one["panels"][1]["id"]),
        "wide": lambda one: one["panels"][0]["gridPos"].update(x=1),
        "overlap": lambda one: one["panels"][1]["gridPos"].update(y=0),
        "source of": lambda one: one["panels"][0].update(datasource={"uid": ""}),
        "source of a query": lambda one: one["panels"][0]["targets"][0].pop("datasource"),
        "refId": lambda one: one["panels"][0]["targets"][0].update(refId=""),
        "empty": lambda one: one["panels"][0]["targets"][0].update(query=""),
        "kind": lambda one: one["panels"][0].update(type="graph"),
        "unit": lambda one: one["panels"][0]["fieldConfig"]["defaults"].update(unit="parsec"),
        "variable": lambda one: one["templating"]["list"].pop(0),
    }
    for word, breaking in broken.items():
        told = json.loads(whole)
        breaking(told)
        assert any(word in fault for fault in faults(told)), word


@pytest.mark.parametrize("store", STORES, ids=lambda one: one.stem)
def test_a_store_has_its_data_source_and_its_folder(store: Path) -> None:
    """The source that is provisioned has the uid that the dashboards name, and reads nothing but its store."""
    source = (HERE / "datasources" / f"{store.stem}.yaml").read_text()
    told = json.loads(next(text for _, text in files(store)))["panels"][0]["datasource"]
    assert re.search(rf"^ +uid: {told['uid']}$", source, re.MULTILINE)
    assert re.search(rf"^ +type: {told['type']}$", source, re.MULTILINE)
    assert "editable: false" in source
    assert not re.search(r"^ +password: (?!\$__file\{)", source, re.MULTILINE), "a secret stands in a file of its own"


def faults(told: Mapping[str, Any]) -> list[str]:
    """What Grafana would not take, or would show wrongly."""
    panels = told["panels"]
    out = [] if told["id"] is None else ["a provisioned file has no id"]
    out += [] if re.fullmatch(r"[a-z0-9-]{1,40}", told["uid"]) else ["no uid, or one that is too long"]
    out += [] if told["schemaVersion"] <= 41 else ["schemaVersion is of a later format"]
    out += [] if len({one["id"] for one in panels}) == len(panels) else ["ids of panels repeat"]
    for one in panels:
        place = one["gridPos"]
        out += [f"too wide: {one['title']}"] if place["x"] + place["w"] > WIDTH else []
        out += [f"unknown kind: {one['type']}"] if one["type"] not in KINDS else []
        source = one["datasource"]
        out += [] if source.get("uid") and source.get("type") in ASKED else [f"no source of {one['title']}"]
        names = [target["refId"] for target in one["targets"]]
        out += [] if all(names) and len(set(names)) == len(names) else [f"refId missing, or twice: {names}"]
        for target in one["targets"]:
            out += [] if target.get("datasource") == source else ["no source of a query"]
            out += [] if target.get(ASKED.get(source.get("type"), "")) else ["an empty query, or none"]
    out += [f"overlap: {a['title']}" for a, b in combinations(panels, 2) if _overlap(a["gridPos"], b["gridPos"])]
    out += [f"unknown unit {one}" for one in _units(told) if one not in UNITS and not one.startswith("time:")]
    variables = {one["name"] for one in told["templating"]["list"]}
    used = set(re.findall(r"\$\{?(site|asset|tag|bucket)\b(?!_)", json.dumps(panels)))
    return out + [f"no variable {one}" for one in used - variables]


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def _units(told: Any) -> Iterator[str]:
    """Every unit of a field, wherever it stands."""
    if isinstance(told, list):
        for one in told:
            yield from _units(one)
    elif isinstance(told, dict):
        if told.get("id") == "unit":
            yield told["value"]
        for name, one in told.items():
            if name == "unit" and isinstance(one, str):
                yield one
            yield from _units(one)


def test_every_column_that_is_dressed_has_a_known_unit() -> None:
    """The table of columns names units of Grafana's."""
    assert {one["unit"] for one in FIELDS.values()} <= UNITS

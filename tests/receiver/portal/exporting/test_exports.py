"""What a page shows as a file: the same rows as programs get, from a form, within the scope, and on record."""

from __future__ import annotations

import csv
import io
import json
import re
import urllib.parse
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from granting_site import WHY, GrantingSite
from portal_plant import Answer, Clock, ask, served
from trend_plant import EVIL, NAMES, TURBINE, trend_plant

from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app
from receiver.portal.exporting import export_answers
from receiver.portal.trending.tag_names import joined

HOUR = {"from": "2025-11-23T07:00:00Z", "to": "2025-11-23T08:00:00Z"}
FOREIGN = joined(EVIL, "<b>50%/x</b>")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    clock = Clock()
    plant = trend_plant(tmp_path_factory.mktemp("plant"), clock)
    with served(create_app(plant.history, plant.state, Scope(), clock=clock)) as held:
        yield held
    plant.close()


def export(base: str, path: str = "/export", **question: Any) -> Answer:
    return ask(f"{base}{path}?{urllib.parse.urlencode(question, doseq=True)}")


def table(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.text
    if answer.headers["Content-Type"].startswith("text/csv"):
        return list(csv.DictReader(io.StringIO(answer.text)))
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(io.BytesIO(answer.body)).to_pylist()
    return rows


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (f"/tag?asset={TURBINE}&name=oil/pressure&from=2025-11-23T07:00:00Z&to=2025-11-23T08:00:00Z", 1),
        ("/trend?" + urllib.parse.urlencode({"tag": [*NAMES, FOREIGN], **HOUR}, doseq=True), len(NAMES) + 1),
        (f"/asset/{TURBINE}", 1),
        ("/asset?name=" + urllib.parse.quote(EVIL, safe=""), 1),
    ],
)
def test_the_form_of_each_page_makes_a_file_of_what_it_shows(base: str, path: str, fields: int) -> None:
    """As the form stands in the page, sent as a browser does that runs no script."""
    page = ask(base + path).text
    form = re.search(r'<form method="get" action="/export".*?</form>', page, re.DOTALL)
    assert form is not None
    sent = [(name, unescape(held)) for name, held in re.findall(r'name="(\w+)" value="([^"]*)"', form[0])]
    assert sum(name in ("asset_key", "tag_key") for name, _ in sent) == fields
    for what in ("samples", "buckets"):
        for kind in ("csv", "parquet"):
            answer = ask(
                f"{base}/export?" + urllib.parse.urlencode([*sent, ("what", what), ("width", "1m"), ("form", kind)])
            )
            rows = table(answer)
            names = {joined(str(row["asset"]).removeprefix("'"), str(row["tag"])) for row in rows}
            assert rows
            assert names <= {*NAMES, FOREIGN}
            stamp = answer.headers["Content-Disposition"]
            assert re.fullmatch(rf'attachment; filename="{what}-\d{{8}}T\d{{6}}Z\.{kind}"', stamp)


def test_a_file_has_the_samples_that_programs_get(base: str) -> None:
    """Byte for byte: unit, quality, source time, arrival."""
    question: dict[str, Any] = {**HOUR, "tag": NAMES}
    for kind in ("csv", "parquet"):
        assert export(base, **question, form=kind).body == export(base, "/api/samples", **question, form=kind).body
    rows = table(export(base, **question))
    assert {row["unit"] for row in rows} >= {"bar", "m3/h", "Cel"}
    assert {row["quality"] for row in rows} == {"good", "bad"}
    assert all(row["arrived"].startswith("2025-11-23T") for row in rows)


def test_gaps_are_told_beside_the_rows_and_in_parquet(base: str) -> None:
    """As a file of their own, and in the metadata of the others."""
    (gap,) = table(export(base, **HOUR, asset=TURBINE, what="gaps"))
    assert (gap["what"], gap["blocks"]) == ("blocks are missing", "4")
    for what in ("samples", "buckets"):
        body = export(base, **HOUR, asset=TURBINE, what=what, width="1m", form="parquet").body
        told = json.loads(pyarrow.parquet.read_metadata(io.BytesIO(body)).metadata[b"checkvalve"])
        assert len(told["gaps"]) == 1


def test_events_are_the_page_s_in_both_forms(base: str) -> None:
    """And a text of the plant is no formula and no markup in either."""
    told = [
        table(export(base, "/export/events", asset=TURBINE, severity="800", form=form)) for form in ("csv", "parquet")
    ]
    assert [[row["state"] for row in rows] for rows in told] == [["cleared", "active"]] * 2
    assert told[0][0]["text"] == told[1][0]["text"]
    page = ask(f"{base}/events?severity=800").text
    assert "/export/events?severity=800&amp;form=parquet" in page


@pytest.mark.parametrize(
    ("question", "status", "said"),
    [
        ({"asset": TURBINE}, 400, "from is missing"),
        (HOUR, 400, "No asset and no tag is named"),
        ({**HOUR, "asset": TURBINE, "form": "json"}, 400, "Form is one of csv, parquet"),
        ({**HOUR, "asset": TURBINE, "what": "all"}, 400, "What is one of samples, buckets, gaps"),
        ({**HOUR, "asset": TURBINE, "since": "now"}, 400, "of a range"),
        ({**HOUR, "asset": TURBINE, "what": "buckets", "width": "wide"}, 400, "Width: "),
        ({**HOUR, "asset": TURBINE, "what": "buckets", "width": "1ms"}, 400, "buckets are more than"),
        ({"asset": TURBINE, "from": "yesterday"}, 400, "is no time"),
        ({**HOUR, "asset": "nobody"}, 404, "There is no such page"),
    ],
)
def test_what_cannot_be_a_file_is_refused_in_words(base: str, question: dict[str, Any], status: int, said: str) -> None:
    """On a page, before a byte of a file."""
    answer = export(base, **question)
    assert answer.status == status
    assert "<h1>" in answer.text
    assert said.casefold() in unescape(answer.text).casefold()


def test_a_file_too_large_for_a_page_is_refused_with_what_else_would_do(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it begins, by what the index says."""
    monkeypatch.setattr(export_answers, "MOST_SAMPLES", 100)
    answer = export(base, **HOUR, asset=TURBINE)
    assert answer.status == 413
    assert "samples are more than the 100 of one file: choose a shorter time" in answer.text


def test_a_file_is_cut_to_the_scope_and_on_record(tmp_path: Path) -> None:
    """As `read.export`; what is not theirs is not there."""
    site = GrantingSite(tmp_path)
    with site.pages() as web:
        acme, sponsor = (site.enter(web, who) for who in ("acme", "sponsor"))
        site.request(acme)
        sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY)
        before = len(site.kinds())
        range_ = "from=2025-11-23&to=2026-11-24"
        told = [acme.get(f"/export?{range_}&asset=acme-pump&what={what}&width=1d").text for what in export_answers.WHAT]
        told += [acme.get("/export/events").text]
        assert "acme-pressure" in told[0]
        assert "acme-pressure" in told[1]
        assert not any("volta" in one or "88.0" in one for one in told)
        for path in (f"/export?{range_}&asset=volta-press", "/export/events?asset=volta-press"):
            assert acme.get(path).status == 404
        assert site.kinds()[before:] == ["read.export"] * 4 + ["read.refused"] * 2
        assert site.of("read.export")[-2].facts["assets"] == ["acme-pump"]
    site.close()

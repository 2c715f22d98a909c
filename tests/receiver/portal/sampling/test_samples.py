"""Many samples at once: in every form the same, by arrival none missed and none twice, and cut off where it fails."""

from __future__ import annotations

import csv
import http.client
import io
import itertools
import json
import os
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from granting_site import WHY, GrantingSite
from i3x_peer import HOSTILE, I3xPlant
from portal_plant import Answer, Clock, ask, batch, served

from protocol.content.sample import Row
from protocol.errors import ConfigError, StoreError
from receiver.export import parquet_file
from receiver.outputs.historian.whole.whole_history import WholeHistory
from receiver.outputs.scope import Scope
from receiver.portal.app import create_app
from receiver.portal.sampling import sample_question, sample_stream
from receiver.portal.trending.tag_names import joined

EXAMPLE = Path(__file__).parents[4] / "examples" / "pandas" / "read_samples.py"
DAY = {"from": "2025-11-23T00:00:00Z", "to": "2025-11-24"}


class Reader:
    """Asks one server."""

    def __init__(self, base: str) -> None:
        self.base = base

    def ask(self, path: str, headers: dict[str, str] | None = None, /, **question: Any) -> Answer:
        query = urllib.parse.urlencode(question, doseq=True, errors="surrogatepass")
        return ask(f"{self.base}/api/{path}?{query}", headers=headers)

    def samples(self, **question: Any) -> list[dict[str, Any]]:
        told = self.ask("samples", **question).json
        return [dict(zip(told["columns"], one, strict=True)) for one in told["samples"]]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[I3xPlant]:
    made = I3xPlant(tmp_path_factory.mktemp("plant"), Clock())
    yield made
    made.close()


@pytest.fixture(scope="module")
def reader(plant: I3xPlant) -> Iterator[Reader]:
    """Everything is open to anyone."""
    with served(create_app(plant.history, plant.state, Scope(), clock=plant.clock)) as base:
        yield Reader(base)


def test_every_form_tells_the_same_samples(reader: Reader) -> None:
    """JSON, CSV, Parquet and an Arrow stream, by `form` or by Accept; a value keeps its kind and its nanosecond."""
    answers = {form: reader.ask("samples", **DAY, form=form) for form in ("json", "csv", "parquet", "arrow")}
    told = answers["json"].json
    rows = [dict(zip(told["columns"], one, strict=True)) for one in told["samples"]]
    parquet = pyarrow.parquet.read_table(io.BytesIO(answers["parquet"].body))
    arrow = pa.ipc.open_stream(answers["arrow"].body).read_all()
    lines = list(csv.DictReader(io.StringIO(answers["csv"].text)))
    assert parquet.drop_columns([]).to_pylist() == arrow.to_pylist()
    assert len(rows) == len(lines) == arrow.num_rows == 70
    for row, line, other in zip(rows, lines, arrow.to_pylist(), strict=True):
        assert (row["time"], row["arrived"]) == (line["time"], line["arrived"])
        assert row["time"] == f"{other['time'].isoformat()[:19]}.{other['time'].nanosecond:09d}Z"
        for name in ("tag", "quality", "block", "row", "status", "healed"):
            assert row[name] == other[name]
    values = {row["tag"]: row["value"] for row in rows if row["asset"] == "acme-pump"}
    assert values == {"batch": "=1+2", "count": str(2**64 - 1), "mode": 2, "pressure": 6.5, "running": True}
    assert [row["value"] for row in rows if row["tag"] == "pressure"][:4] == [4.0, 5.5, None, 6.0]
    assert {line["value"] for line in lines if line["tag"] == "batch"} == {"'=1+2"}
    for form, media in (("csv", "text/csv"), ("arrow", "application/vnd.apache.arrow.stream")):
        answer = reader.ask("samples", {"Accept": f"text/nothing, {media};q=0.9"}, **DAY)
        assert answer.headers["Content-Type"].partition(";")[0] == media
        assert answer.body == answers[form].body


def test_names_and_times_cut_what_is_told(reader: Reader) -> None:
    """By whole names, each as often as one likes; the end is not included."""
    assert {row["tag"] for row in reader.samples(**DAY, tag=["acme-pump/mode", "acme-pump/batch"])} == {"mode", "batch"}
    (one,) = reader.samples(**DAY, tag=joined(HOSTILE, HOSTILE))
    assert (one["asset"], one["value"]) == (HOSTILE, 1.5)
    mixed = reader.samples(**DAY, asset="volta-press", tag="acme-pump/mode")
    assert {row["tag"] for row in mixed} == {"volta-force", "mode"}
    minute = {"from": "2025-11-23T07:59:10Z", "to": 1763884760000, "tag": "acme-pump/pressure"}
    assert [row["value"] for row in reader.samples(**minute)] == [6.0 + at / 10 for at in range(10, 20)]


@pytest.mark.parametrize(
    ("path", "question", "headers", "status"),
    [
        ("samples", {}, {}, 400),
        ("samples", {"from": "yesterday"}, {}, 400),
        ("samples", {"since": "3f9a2c1d-1-00000000"}, {}, 410),
        ("samples", {"since": "soon"}, {}, 400),
        ("samples", {"from": "2025-11-24", "to": "2025-11-23"}, {}, 400),
        ("samples", DAY | {"form": "excel"}, {}, 400),
        ("samples", DAY, {"Accept": "image/png"}, 406),
        ("samples", DAY | {"asset": "nobody"}, {}, 404),
        ("samples", DAY | {"tag": ["acme-pump/mode", "acme-pump/volta-force"]}, {}, 404),
        ("buckets", DAY, {}, 400),
        ("buckets", DAY | {"width": "wide"}, {}, 400),
        ("buckets", DAY | {"width": "1us"}, {}, 400),
        ("buckets", DAY | {"width": "10ms"}, {}, 400),
        ("buckets", {"from": "2025-11-23", "width": "1h"}, {}, 400),
        ("buckets", DAY | {"width": "1h", "since": "now"}, {}, 400),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(
    reader: Reader, path: str, question: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    """Before anything is sent."""
    answer = reader.ask(path, headers, **question)
    assert answer.status == status
    assert answer.text.startswith(f"{status}")
    assert status == 404 or len(answer.text) > 12


def test_without_the_extra_json_and_csv_are_left(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer names what to install."""

    def missing() -> None:
        raise ConfigError("not installed")

    monkeypatch.setattr(parquet_file, "library", missing)
    for path, more in (("samples", {}), ("buckets", {"width": "1h"})):
        for form in ("parquet", "arrow"):
            answer = reader.ask(path, **DAY, **more, form=form)
            assert answer.status == 501
            assert "checkvalve-low[parquet]" in answer.text
        assert [reader.ask(path, **DAY, **more, form=form).status for form in ("json", "csv")] == [200, 200]


def test_buckets_begin_at_whole_multiples_and_say_what_was_bad(reader: Reader) -> None:
    """The same in every form; a bucket without a usable value has none."""
    question = {
        "from": "2025-11-23T07:54:30Z",
        "to": "2025-11-23T08:00:30Z",
        "tag": "acme-pump/pressure",
        "width": "1m",
    }
    told = reader.ask("buckets", **question).json
    rows = [dict(zip(told["columns"], one, strict=True)) for one in told["buckets"]]
    assert [row["time"][11:19] for row in rows] == ["07:55:00", "07:56:00", "07:58:00", "07:59:00", "08:00:00"]
    assert [(row["count"], row["bad"]) for row in rows] == [(0, 1), (1, 0), (0, 1), (60, 0), (1, 0)]
    assert (rows[3]["low"], rows[3]["high"], round(rows[3]["mean"], 6)) == (6.0, 11.9, 8.95)
    assert rows[0]["low"] is None
    arrow = pa.ipc.open_stream(reader.ask("buckets", **question, form="arrow").body).read_all().to_pylist()
    parquet = pyarrow.parquet.read_table(io.BytesIO(reader.ask("buckets", **question, form="parquet").body))
    lines = list(csv.DictReader(io.StringIO(reader.ask("buckets", **question, form="csv").text)))
    assert [one["mean"] for one in arrow] == [row["mean"] for row in rows]
    assert parquet.to_pylist() == arrow
    assert [one["time"] for one in lines] == [row["time"] for row in rows]


def test_by_arrival_nothing_is_missed_and_nothing_comes_twice(tmp_path: Path) -> None:
    """Data that heal lie in the past, where who asks by time does not look any more; the cursor brings them."""
    plant = I3xPlant(tmp_path, Clock())
    with served(create_app(plant.history, plant.state, Scope(), clock=plant.clock)) as base:
        reader = Reader(base)
        first = reader.ask("samples", since="1970-01-01").json
        assert first["next"] == reader.ask("samples", since="now").json["next"]
        assert reader.ask("samples", since="now", form="csv").headers["Checkvalve-Next"] == first["next"]
        lost = batch([Row(0, plant.clock() + 10**9, 7.0)])
        number = plant.number
        plant.lose(1)
        plant.time.move(20)
        plant.say({("acme-pump", "pressure"): 8.0})
        plant.time.move(20)
        second = reader.ask("samples", since=first["next"]).json
        assert [one[6] for one in second["samples"]] == [8.0]
        assert [one[:2] for one in second["gaps"]] == [["north-plant", "2025-11-23T08:00:00.000000000Z"]]
        assert second["gap_columns"][1:3] == ["from", "to"]
        plant.number, after = number, plant.number
        plant.take(lost, healed=True)
        plant.number = after
        third = reader.ask("samples", since=second["next"]).json
        rows = [dict(zip(third["columns"], one, strict=True)) for one in third["samples"]]
        assert [(row["value"], row["healed"]) for row in rows] == [(7.0, True)]
        assert reader.ask("samples", since=third["next"]).json["samples"] == []
        assert third["gaps"] == []
    plant.close()


def test_an_answer_that_fails_midway_is_cut_off(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has begun as 200, so that nobody may take it for whole: the last chunk is missing. Before that it is 503."""
    parts, after = WholeHistory.parts, 5

    def broken(self: Any, *args: Any) -> Any:
        yield from itertools.islice(parts(self, *args), after)
        raise StoreError("a disk went away")

    monkeypatch.setattr(WholeHistory, "parts", broken)
    monkeypatch.setattr(sample_stream, "CSV_ROWS", 3)
    monkeypatch.setattr(sample_stream, "GROUP_ROWS", 3)
    for form in ("json", "csv", "parquet", "arrow"):
        with pytest.raises(http.client.IncompleteRead):
            reader.ask("samples", **DAY, form=form)
    after = 0
    assert reader.ask("samples", **DAY).status == 503


def test_readings_at_once_are_bounded(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is told to come again; a place is free again after each answer, whatever became of it."""
    monkeypatch.setattr(sample_stream, "READINGS", 0)
    answer = reader.ask("samples", **DAY)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
    monkeypatch.setattr(sample_stream, "READINGS", 1)
    assert [reader.ask("samples", **DAY).status for _ in range(3)] == [200] * 3
    assert ask(f"{reader.base}/api/samples?from=2025-11-23", method="HEAD").status == 200
    assert reader.ask("samples", **DAY).status == 200


def test_a_long_answer_comes_in_pieces(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Table by table, and read back whole."""
    whole = reader.ask("samples", **DAY).json
    monkeypatch.setattr(sample_stream, "CSV_ROWS", 3)
    monkeypatch.setattr(sample_stream, "GROUP_ROWS", 3)
    assert reader.ask("samples", **DAY).json == whole
    answer = reader.ask("samples", **DAY, form="arrow")
    stream = pa.ipc.open_stream(answer.body)
    assert len(list(stream)) > 1
    assert sample_question.AnswerForm.ARROW.media == answer.headers["Content-Type"]


def test_nobody_gets_a_sample_of_anothers_machine(tmp_path: Path) -> None:
    """Within the grants alone, with each look on record before it is answered; what is not theirs is not there."""
    site = GrantingSite(tmp_path)
    with site.pages() as web:
        acme, sponsor = (site.enter(web, who) for who in ("acme", "sponsor"))
        day = "from=2025-11-23&to=2026-11-24"
        assert json.loads(acme.get(f"/api/samples?{day}").text)["samples"] == []
        site.request(acme)
        sponsor.send("/access", "/access/decide", request=site.newest, answer="approve", why=WHY)
        before = len(site.kinds())
        told = [acme.get(f"/api/{path}&{day}").text for path in ("samples?form=json", "buckets?width=1d")]
        told += [acme.get("/api/samples?since=1970-01-01&form=csv").text]
        assert all("acme-pressure" in one and "volta" not in one and "88.0" not in one for one in told)
        assert acme.get(f"/api/samples?{day}&asset=volta-press").status == 404
        assert acme.get(f"/api/samples?{day}&asset=nobody").status == 404
        assert site.kinds()[before:] == ["read.samples", "read.buckets", "read.samples"] + ["read.refused"] * 2
        assert site.of("read.samples")[-2].facts["from_ns"] == 1763856000 * 10**9
    site.close()


def test_the_example_of_the_documentation_runs(reader: Reader) -> None:
    """In a process of its own, as docs/api.md shows it; it is as short as it says, and its warnings are errors."""
    told = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE, reader.base, "none", "acme-pump", "2025-11-23"],
        capture_output=True, text=True, timeout=60, check=False, env=os.environ | {"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "pressure bar" in " ".join(told.stdout.split())
    assert "0 more samples, 0 of them healed late; next: " in told.stdout
    code = EXAMPLE.read_text().partition('"""\n\n')[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    assert code in (EXAMPLE.parents[2] / "docs" / "api.md").read_text()

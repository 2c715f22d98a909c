"""What a monitor fetches is OpenMetrics by somebody else's parser, says what the reports say, and names nobody."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from portal_plant import Clock, Plant, ask, catch_report, served, write_report
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_families
from sign_in_site import SignInSite

from protocol.content.catalog import Asset, Tag
from receiver.governed.people import services
from receiver.governed.people.enrolment import DAY_NS
from receiver.governed.people.person import PersonRole
from receiver.governed.people.person_sessions import hashed
from receiver.governed.people.services import ServiceCredential
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app
from receiver.portal.metrics.metric_list import METRICS
from receiver.portal.metrics.open_metrics import CONTENT_TYPE, HealthFigure, Metric, MetricType, escaped, exposition
from receiver.portal.serving.guard import HEADERS

ROOT = Path(__file__).parents[4]
ODD = 'a"b\\c\nd\r\0\udcff'
SPOOL = {
    "bytes": 10_000,
    "most_bytes": 20_000,
    "waiting_bytes": 5,
    "free_bytes": 7,
    "full": False,
    "loses_s": 86_400,
    "certificate_s": 3600,
    "planted": "x",
}


def parsed(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by name and labels, as Prometheus' own client library reads the text."""
    out: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for one in family.samples:
            out.setdefault(one.name, {})[tuple(one.labels.values())] = one.value
    return out


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """A plant whose names would be found again, and an output beside the history."""
    clock = Clock()
    made = Plant(
        tmp_path,
        (Asset(name="Secret-Pump", site="north"),),
        (Tag(id=1, asset="Secret-Pump", name="secret_flow", type="float64", unit="secret_unit"),),
        clock=clock,
    )
    link = {"beat_age_s": 0.4, "beat_wall_ns": clock() + 2 * 10**9, "frames_lost": 50, "refused": {"double": 3, ODD: 1}}
    streams = [{"stream": "ab" * 8, "expected": 9, "missing": 2}]
    made.report(
        link=link, sender={"spool": SPOOL, "backlog_s": 1.5, "synced": 1}, streams=streams, alarms=["see to it"]
    )
    status = {
        "taken": 100,
        "acknowledged": 90,
        "held": 5,
        "aside": 3,
        "behind_s": 7.5,
        "behind_blocks": 4,
        "alarm": True,
    }
    write_report(made.state, "acme-influx", clock(), {**status, "trouble": "refused", "refused": {"seal": 2}})
    yield made
    made.close()


def test_the_endpoint_says_what_the_reports_say(plant: Plant) -> None:
    """Each figure once, with its unit, under the name that the page lists; the text is OpenMetrics."""
    app = create_app(plant.history, plant.state, Scope(), clock=plant.clock)
    with served(app) as base:
        answer = ask(base + "/metrics")
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    told = parsed(answer.text)
    assert told["checkvalve_process_up"] == {(one,): 1 for one in ("catch", "publish", "historian", "acme-influx")}
    assert told["checkvalve_process_alarms"][("catch",)] == 1
    assert told["checkvalve_link_received_frames_total"] == {(): 9950}
    assert told["checkvalve_link_refused_frames_total"][("double",)] == 3
    assert len(told["checkvalve_link_refused_frames_total"]) == 2
    assert told["checkvalve_repaired_blocks_total"] == {(): 19}
    assert told["checkvalve_stream_missing_blocks"] == {("ab" * 8,): 2}
    assert told["checkvalve_sender_clock_offset_seconds"][()] == pytest.approx(2.4)
    assert told["checkvalve_sender_certificate_end_timestamp_seconds"][()] == plant.clock() // 10**9 + 3600
    assert told["checkvalve_sender_spool_full"] == {(): 0}
    mine = {name: values[("acme-influx",)] for name, values in told.items() if ("acme-influx",) in values}
    assert mine["checkvalve_output_taken_samples_total"] == 100
    assert mine["checkvalve_output_aside_samples"] == 3
    assert mine["checkvalve_output_behind_seconds"] == 7.5
    assert mine["checkvalve_output_alarm"] == mine["checkvalve_output_troubled"] == 1
    assert told["checkvalve_output_unopened_blocks_total"] == {("acme-influx", "seal"): 2}
    assert told["checkvalve_disk_free_bytes"][("state",)] > 0
    assert told["checkvalve_history_bytes"][()] > 0
    assert set(told) == {one.name for one in METRICS}, "each metric is shown by this plant, and there is no other"
    assert "ecret" not in answer.text


def test_who_sees_a_part_of_the_plant_gets_none_of_it(plant: Plant) -> None:
    """The figures are of the whole pipeline, and outputs are called after somebody."""
    app = create_app(plant.history, plant.state, Scope(vendors=frozenset({"Acme"})), clock=plant.clock)
    with served(app) as base:
        assert ask(base + "/metrics").status == 404


def test_where_people_sign_in_it_is_for_the_site_alone(tmp_path: Path) -> None:
    """A service of the site's own shows its token; to a vendor's it is not there, and nobody else is let in."""
    site = SignInSite(tmp_path)
    vendors = {
        "login": "a.lee@acme.example",
        "employer": "Acme",
        "sponsor": "p-own",
        "contract": "A-1",
        "contact": "Ann",
    }
    owners = {"": site.ready("p-own"), "Acme": site.ready("p-acme", roles=frozenset({PersonRole.READER}), **vendors)}
    for employer, owner in owners.items():
        key = f"s-{owner}"
        service = ServiceCredential(
            key=key,
            name="monitor",
            employer=employer,
            owner=owner,
            sources=("127.0.0.0/8",),
            ends_ns=site.clock() + 10 * DAY_NS,
        )
        site.office.desk.authority.act(
            lambda people, grants, now, one=service: services.issue(one, people, now, at_ns=site.clock(), by="p-own")
        )
        site.office.store.set_token(key, hashed(f"token-{employer}-"))
    with site.pages() as web:
        assert web.get("/metrics").status == 401
        told = web.get("/metrics", Authorization="Bearer token--")
        assert (told.status, told.headers["Content-Type"]) == (200, CONTENT_TYPE)
        assert parsed(told.text)["checkvalve_build_info"]
        assert web.get("/metrics", Authorization="Bearer token-Acme-").status == 404
    site.close()


def test_what_is_not_known_has_no_line(tmp_path: Path) -> None:
    """Nothing has run yet: no process is up, and no figure is made up; old reports count on, and say how old."""
    clock = Clock()
    (tmp_path / "state").mkdir()
    app = create_app(tmp_path / "history", tmp_path / "state", Scope(), clock=clock)
    with served(app) as base:
        told = parsed(ask(base + "/metrics").text)
    assert set(told["checkvalve_process_up"].values()) == {0.0}
    assert not any(name.startswith(("checkvalve_link", "checkvalve_sender", "checkvalve_output")) for name in told)
    write_report(tmp_path / "state", "catch", clock(), catch_report())
    clock.move(100)
    with served(create_app(tmp_path / "history", tmp_path / "state", Scope(), clock=clock)) as base:
        told = parsed(ask(base + "/metrics").text)
    assert told["checkvalve_process_up"][("catch",)] == 0
    assert told["checkvalve_link_beat_age_seconds"][()] > 5


@pytest.mark.parametrize("report", ["[]", "{", '{"time_ns": 1, "link": 7, "sender": {"spool": []}}', "\0" * 9])
def test_a_report_that_is_damaged_or_planted_costs_no_other_figure(report: str, plant: Plant) -> None:
    """Whatever stands in a file, the text is whole."""
    for name in ("catch", "acme-influx"):
        (plant.state / f"status-{name}.json").write_text(report)
    with served(create_app(plant.history, plant.state, Scope(), clock=plant.clock)) as base:
        answer = ask(base + "/metrics")
    assert answer.status == 200
    assert parsed(answer.text)["checkvalve_process_up"][("historian",)] == 1


def test_names_follow_the_conventions_of_prometheus() -> None:
    """prometheus.io/docs/practices/naming: prefix, base units last, `_total` for counters and for them alone."""
    assert len({one.name for one in METRICS}) == len(METRICS)
    for one in METRICS:
        assert re.fullmatch(r"checkvalve(_[a-z]+)+", one.name), one
        assert one.name.endswith("_total") == (one.type is MetricType.COUNTER), one
        assert not one.help.endswith("."), one
        assert not re.search(r"_(ms|minutes|hours|mb|kb|percent|s)(_|$)", one.name), one


def test_any_label_and_any_number_can_be_read_back() -> None:
    """Quotes, backslashes, line ends and letters of any script; large, small and no numbers."""
    metric = Metric("checkvalve_odd", MetricType.GAUGE, 'a "help" \\ of\ntwo lines', ("a",))
    numbers = [0.0, -0.0, 1e300, 5e-324, 0.1, 2.0**53, -1.5]
    texts = [ODD, "ä", "{}", 'x="1",y', "\u2028", "", "#", "1 # 2"]
    given = [HealthFigure(metric, 1, {"a": text}) for text in texts]
    given += [HealthFigure(metric, one, {"a": str(at)}) for at, one in enumerate(numbers)]
    given += [HealthFigure(metric, one, {"a": f"no-{at}"}) for at, one in enumerate((math.nan, math.inf))]
    text = exposition([metric], [*given, given[0]])
    told = parsed(text)["checkvalve_odd"]
    assert [told[(str(at),)] for at in range(len(numbers))] == numbers
    assert len(told) == len(numbers) + len(texts)
    assert ('a"b\\c\nd  ?',) in told
    assert len(escaped("x" * 10_000)) == 200
    assert list(plain_families(text))


def test_the_page_lists_every_metric_as_it_is() -> None:
    """docs/metrics.md is read by people who write rules."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows: list[Any] = [
        f"| `{one.name}` | {one.type} | {', '.join(f'`{label}`' for label in one.labels) or '-'} | {one.help} |"
        for one in METRICS
    ]
    table = page.split("| metric | type | labels | |\n|---|---|---|---|\n")[1].split("\n\n")[0]
    assert table.splitlines() == rows

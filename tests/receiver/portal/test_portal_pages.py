"""The pages and the JSON beside them, asked over HTTP of a real server on a real history."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from portal_plant import SECOND, Answer, Clock, Plant, ask, served

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Quality, Row
from protocol.errors import ConfigError
from receiver.outputs.base import TallyBody
from receiver.outputs.historian.views import Scope
from receiver.portal import words
from receiver.portal.app import create_app
from receiver.portal.serving.guard import HEADERS, HttpGuard
from receiver.portal.serving.serve import PORTS, bind, split

EVIL = '<script>alert("1")</script>'
ASSETS = (
    Asset(name="pump-7", site="north-plant", path="area-2", vendors=("Acme",), collector="modbus", simulated=True),
    Asset(name=EVIL, site="north-plant", vendors=("Acme",), model="<b>m</b>", serial="\"'>"),
    Asset(name="secret-9", site="north-plant", vendors=("Other Inc",), serial="X-1"),
)
TAGS = (
    Tag(id=1, asset="pump-7", name="pressure", type="float32", unit="bar", low=0, high=16, normal_high=7.5),
    Tag(id=2, asset="pump-7", name="total", type="uint64", unit="kW.h"),
    Tag(id=3, asset="pump-7", name="mode", type="uint16", states=("off", "<i>auto</i>")),
    Tag(id=4, asset="pump-7", name="label", type="string"),
    Tag(id=5, asset="pump-7", name="quiet", type="float64"),
    Tag(id=6, asset=EVIL, name="<img src=x>", type="float64", unit="<u>", description="</td><script>"),
    Tag(id=7, asset="secret-9", name="hidden_flow", type="float64"),
)


class Site:
    """The plant, its pages and their address."""

    def __init__(self, plant: Plant, clock: Clock, base: str) -> None:
        self.plant, self.clock, self.base = plant, clock, base

    def get(self, path: str) -> Answer:
        return ask(self.base + path)

    def series(self, asset: str, tag: str) -> int:
        """The number under which the pages know a tag."""
        for one in self.get("/api/assets").json["assets"]:
            for held in one["series"]:
                if (one["name"], held["name"]) == (asset, tag):
                    return int(held["series"])
        raise AssertionError(f"{asset}/{tag} is not there")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A history of ten minutes at one sample a second, with a gap and bad samples, seen by one vendor."""
    clock = Clock()
    plant = Plant(tmp_path_factory.mktemp("portal"), ASSETS, TAGS, clock=clock)
    end = clock()
    rows = []
    for second in range(600, 0, -1):
        now = end - second * SECOND
        bad = 300 < second <= 310
        rows.append(Row(1, now, None if bad else 6.5, Quality.BAD_NOT_SUPPORTED if bad else 0, 2 if bad else 0))
    plant.send(rows[:100])
    plant.lose(3)
    plant.send(rows[140:])
    plant.say(
        {
            ("pump-7", "pressure"): 8.25,
            ("pump-7", "total"): 2**53 + 1,
            ("pump-7", "mode"): 1,
            ("pump-7", "label"): "<b>fault</b> & more",
            (EVIL, "<img src=x>"): float("nan"),
            ("secret-9", "hidden_flow"): 0.987654321,
        }
    )
    plant.take(TallyBody(time_ns=clock(), number=plant.number, assets={"pump-7": (700, 690), "secret-9": (5, 5)}))
    plant.condition("pump-7", "up")
    clock.move(2)  # a hole younger than a second is no gap yet
    lost = {"stream": "00ff" * 4, "from": 102, "to": 105, "since_ns": end, "heals_ns": None}
    plant.report(gaps=[lost], codes=[{"stream": "00ff" * 4, "code": "CV1-QRLQ-PLAY", "blocks": 3}])
    app = create_app(plant.history, plant.state, Scope(vendors=frozenset({"Acme"})), clock=clock)
    with served(app) as base:
        yield Site(plant, clock, base)
    plant.close()


def pages(site: Site) -> list[str]:
    """Every kind of address."""
    one = site.series("pump-7", "pressure")
    other = site.series(EVIL, "<img src=x>")
    now = site.clock() / 1e6
    return [
        "/",
        "/asset/pump-7",
        "/asset/" + quote(EVIL, safe=""),
        f"/tag/{one}",
        f"/tag/{one}?range=300",
        f"/tag/{other}",
        "/changes",
        "/api/assets",
        "/api/latest",
        f"/api/trend?series={one}&from={now - 6e5}&to={now}&buckets=100",
        "/api/link",
        "/healthz",
        "/static/portal.css",
        "/static/overview.js",
        "/static/uplot/uPlot.esm.js",
        "/static/uplot/LICENSE",
    ]


def test_every_answer_carries_the_policy_and_is_whole(site: Site) -> None:
    """No page, no JSON and no file goes out without the headers, and none lets a browser guess its type."""
    for path in pages(site):
        answer = site.get(path)
        assert answer.status == 200, path
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (path, name)
        assert answer.headers["Content-Type"], path
        assert "Server" not in answer.headers
    for status, path in [(404, "/no"), (404, "/static/no.js"), (400, "/api/trend"), (404, "/asset/no")]:
        answer = site.get(path)
        assert answer.status == status, path
        assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]


def test_no_page_holds_inline_code_or_foreign_addresses(site: Site) -> None:
    """What the policy forbids is not even written."""
    for path in pages(site)[:6]:
        text = site.get(path).text
        assert "style=" not in text
        assert " on" + "click" not in text
        assert "http://" not in text.replace("http://www.w3.org/", "")
        assert "https://" not in text
        assert "<script>" not in text.replace("&lt;script&gt;", "")


def test_names_from_the_plant_are_shown_as_text_never_as_markup(site: Site) -> None:
    """An asset named like a script, a tag named like an image, a value with markup: all escaped."""
    for path in pages(site)[:6]:
        text = site.get(path).text
        for markup in (EVIL, "<img src=x>", "</td><script>", "<b>m</b>", "<u>", "<i>auto</i>", "<b>fault</b>"):
            assert markup not in text, (path, markup)
    assert "&lt;script&gt;alert(" in site.get("/").text
    assert "&lt;img src=x&gt;" in site.get("/asset/" + quote(EVIL, safe="")).text


def test_a_link_by_number_leads_to_the_same_tag_by_its_names(site: Site) -> None:
    """With the rest of the question as it was; names are quoted so that any of them is one part of an address."""
    number = site.series(EVIL, "<img src=x>")
    connection = http.client.HTTPConnection(site.base.removeprefix("http://"), timeout=20)
    connection.request("GET", f"/tag/{number}?from=1000&to=2000")
    reply = connection.getresponse()
    assert reply.status == 307
    assert reply.headers["Location"] == words.tag_address(EVIL, "<img src=x>") + "&from=1000&to=2000"
    connection.close()
    assert "&lt;img src=x&gt;" in site.get(words.tag_address(EVIL, "<img src=x>")).text


def test_links_to_tags_are_by_name(site: Site) -> None:
    """Numbers are those of one history: built anew, another tag has it."""
    for path in ("/", "/asset/pump-7"):
        assert "/tag?asset=" in site.get(path).text
        assert "/tag/" not in site.get(path).text


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("", 400),
        ("?asset=pump-7", 400),
        ("?name=pressure", 400),
        ("?asset=pump-7&name=pressure&version=x", 400),
        ("?asset=pump-7&name=no", 404),
        ("?asset=no&name=pressure", 404),
        ("?asset=pump-7&name=pressure&version=7", 404),
        ("?asset=pump-7&name=pressure&version=1", 200),
    ],
)
def test_a_tag_is_asked_for_by_both_its_names(site: Site, asked: str, status: int) -> None:
    """And by a version, where an earlier description is meant."""
    assert site.get("/tag" + asked).status == status


def test_nothing_outside_the_scope_is_named_anywhere(site: Site) -> None:
    """Another vendor's asset does not exist here: not on a page, not in JSON, not in an error."""
    hidden = range(1, 12)
    paths = pages(site) + ["/asset/secret-9", "/live"] + [f"/tag/{series}" for series in hidden]
    now = site.clock() / 1e6
    paths += [f"/api/trend?series={series}&from={now - 6e5}&to={now}" for series in hidden]
    seen = 0
    for path in paths:
        if path == "/live":
            continue
        answer = site.get(path)
        seen += answer.status == 200
        for word in ("secret-9", "hidden_flow", "Other Inc", "X-1", "987654321", "acme-influx"):
            assert word not in answer.text, (path, word)
    assert seen > 20
    assert site.get("/asset/secret-9").text == site.get("/asset/never-was").text
    assert site.get("/asset/secret-9").status == 404


def test_overview_tells_state_counts_accounts_link_and_gaps(site: Site) -> None:
    """The one page that must say at once what is wrong."""
    text = site.get("/").text
    for word in (
        "pump-7",
        "SIMULATED",
        "Link live",
        "No repeat left",
        "CV1-QRLQ-PLAY",
        "00ff00ff",
        "above normal",
        "running",
    ):
        assert word in text, word
    assert "102 to 104" in text
    assert "delay 140 ms, 99 % within 311 ms; blocks waiting for a key or a description: 2" in text
    card = next(one for one in site.get("/api/assets").json["assets"] if one["name"] == "pump-7")
    assert (card["state"], card["tags"], card["outside"], card["bad"]) == ("up", 5, 1, 0)
    assert (card["read"], card["sent"], card["published"]) == (700, 690, 560 + 4)
    assert card["silent"] == 1


def test_tag_page_has_the_numbers_without_a_script(site: Site) -> None:
    """Least, highest, bad samples, the gap and the silence stand in the page as text."""
    text = site.get(f"/tag/{site.series('pump-7', 'pressure')}?range=900").text
    for word in ("6.50 bar", "8.25 bar", "Link gap", "3 blocks missing"):
        assert word in text, word
    end = (site.clock() - 303 * SECOND) / 1e6
    text = site.get(f"/tag/{site.series('pump-7', 'pressure')}?from={end - 60e3}&to={end}").text
    assert "not supported by the device (Modbus exception 2)" in text
    assert "no samples" in site.get(f"/tag/{site.series('pump-7', 'quiet')}").text.lower()


def test_values_keep_their_meaning_in_json(site: Site) -> None:
    """NaN is null, an integer beyond 2**53 is text, a text is a text."""
    values = {one["series"]: one["value"] for one in site.get("/api/latest").json["values"]}
    assert values[site.series("pump-7", "total")] == "9007199254740993"
    assert values[site.series("pump-7", "label")] == "<b>fault</b> & more"
    assert values[site.series("pump-7", "pressure")] == 8.25
    assert values[site.series(EVIL, "<img src=x>")] is None
    assert "9\u202f007\u202f199\u202f254\u202f740\u202f993" in site.get("/asset/pump-7").text


def test_latest_after_its_own_mark_is_empty_until_something_changes(site: Site) -> None:
    """A program that polls gets each change once."""
    first = site.get("/api/latest").json
    assert site.get(f"/api/latest?since={first['mark']}").json["values"] == []


def test_trend_has_equal_columns_its_gap_and_its_bad_samples(site: Site) -> None:
    """The chart's source."""
    now = site.clock() / 1e6
    series = site.series("pump-7", "pressure")
    told = site.get(f"/api/trend?series={series}&from={now - 602e3}&to={now + 1000}&buckets=603").json
    assert len({len(told[name]) for name in ("at_ms", "low", "high", "mean", "count", "bad")}) == 1
    assert sum(told["bad"]) == 10
    assert sum(told["count"]) == 560 - 10 + 1
    assert [hole["kind"] for hole in told["holes"]] == ["gap"]
    assert "3 blocks missing" in told["holes"][0]["text"]
    assert told["summary"]["high"] == 8.25


@pytest.mark.parametrize(
    "query",
    [
        "",
        "series=1",
        "series=1&from=0&to=x",
        "series=1&from=5&to=5",
        "series=1&from=9&to=5",
        "series=1&from=0&to=1e300",
        "series=1&from=0&to=99999999999999999999",
        "series=1&from=nan&to=5",
        "series=-1&from=0&to=5",
        "series=1_0&from=0&to=5",
        "series=1&from=0&to=5&buckets=0",
        "series=1&from=0&to=5&buckets=999999",
        "series=1&from=0&to=1763884800000&buckets=10",
        "series=1&from=2026-01-01T99:00&to=2026-01-02",
    ],
)
def test_question_that_makes_no_sense_is_refused_not_answered_wrongly(site: Site, query: str) -> None:
    """400, never 500, and never a guess."""
    assert site.get(f"/api/trend?{query}").status in (400, 404)
    assert site.get(f"/tag/{site.series('pump-7', 'pressure')}?range=x").status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_reading_is_possible(site: Site, method: str) -> None:
    """There is nothing here to change, so no other method is known."""
    answer = ask(site.base + "/", method=method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def test_head_has_the_headers_and_no_body(site: Site) -> None:
    """Also for the live stream, which would never end."""
    for path in ("/", "/api/link", "/live", "/static/portal.css"):
        answer = ask(site.base + path, method="HEAD")
        assert (answer.status, answer.body) == (200, b""), path


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "192.0.2.7", "[::2]"]
)
def test_foreign_host_name_gets_nothing(site: Site, host: str) -> None:
    """A name that was made to resolve to us (DNS rebinding) is not ours."""
    answer = ask(site.base + "/", headers={"Host": host})
    assert answer.status in (400, 421)
    assert "pump" not in answer.text


def test_own_names_are_known_in_every_form_and_on_a_wildcard_any_address_but_no_name() -> None:
    """With a port, in brackets, in capitals."""

    async def nothing(scope: object, receive: object, send: object) -> None:
        raise AssertionError

    guard = HttpGuard(nothing, hosts=["Portal.Plant"])
    for host in ("localhost", "LOCALHOST:8600", "127.0.0.1:1", "[::1]:8600", "portal.plant:443"):
        assert guard.knows(host), host
    assert not guard.knows("10.0.0.1")
    wild = HttpGuard(nothing, any_address=True)
    assert wild.knows("10.0.0.1:8600")
    assert wild.knows("[fd00::1]:8600")
    assert not wild.knows("portal.plant")


def test_big_answers_are_compressed_where_the_reader_says_so(site: Site) -> None:
    """A page of a thousand tags over a slow line."""
    answer = ask(site.base + "/static/uplot/uPlot.esm.js", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < 60_000
    assert gzip.decompress(answer.body).startswith(b"/**")


def test_pages_without_history_and_reports_say_so_and_fill_up_when_they_come(tmp_path: Path) -> None:
    """The pages may be started first; a missing catch is unmistakable and never an error."""
    clock = Clock()
    app = create_app(tmp_path / "history", tmp_path / "state", Scope(), clock=clock)
    with served(app) as base:
        text = ask(base + "/").text
        assert "catch is not running" in text
        assert "Every value on this page is STALE" in text
        assert "No asset has described itself yet" in text
        plant = Plant(tmp_path, ASSETS, TAGS, clock=clock)
        plant.say({("pump-7", "pressure"): 6.5})
        plant.report()
        deadline = time.monotonic() + 20
        while "pump-7" not in ask(base + "/").text or "Link live" not in ask(base + "/").text:
            assert time.monotonic() < deadline, "the pages did not see the history"
        assert ask(base + "/healthz").json["ok"] is True
        clock.move(5.2)
        assert "STALE: link silent" not in ask(base + "/").text  # no tag needs a look for the link's sake
        assert 'data-stale data-grade="good"' in ask(base + "/asset/pump-7").text
        plant.close()


def test_history_that_cannot_be_read_is_told_not_thrown(tmp_path: Path) -> None:
    """A store of another make: 503 from /healthz, and a page that says why there are no values."""
    clock = Clock()
    Plant(tmp_path, ASSETS, TAGS, clock=clock).close()
    for file in (tmp_path / "history").glob("*.db"):
        file.write_bytes(b"this is no database" * 1000)
    with served(create_app(tmp_path / "history", tmp_path / "state", Scope(), clock=clock)) as base:
        health = ask(base + "/healthz")
        assert health.status == 503
        assert "cannot be read" in health.json["trouble"]
        assert str(tmp_path) not in health.text
        page = ask(base + "/")
        assert page.status == 200
        assert "Values cannot be shown" in page.text


def test_taken_port_moves_up_by_one_and_gives_up_after_twenty() -> None:
    """The demo may be started twice."""
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with bind("127.0.0.1", port) as second:
            assert port < second.getsockname()[1] <= port + PORTS
    with pytest.raises(ConfigError, match="cannot be bound"):
        bind("192.0.2.1", 8600)
    for wrong in ("8600", "host", "host:", "host:x", "127.0.0.1:65536", ":-1"):
        with pytest.raises(ConfigError, match="host:port"):
            split(wrong)
    assert split("[::1]:8600") == ("::1", 8600)


def test_run_writes_its_address_serves_and_leaves_on_a_signal(tmp_path: Path) -> None:
    """The whole process, as it is started beside the other outputs; the port it wanted was taken. A second one of the
    same folder is refused meanwhile, and its note stays."""
    state = tmp_path / "state"
    state.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = (
            "from pathlib import Path; from receiver.outputs.historian.views import Scope;"
            "from receiver.portal.serving.serve import run;"
            f"run(Path({str(tmp_path / 'history')!r}), Path({str(state)!r}), '127.0.0.1:{port}', Scope())"
        )
        child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, env=os.environ)
        assert child.stderr is not None
        try:
            note = state / "portal.json"
            deadline = time.monotonic() + 30
            while not note.exists():
                assert time.monotonic() < deadline, "the pages did not come up"
                assert child.poll() is None, "the pages ended"
            url = json.loads(note.read_text())["url"]
            assert url != f"http://127.0.0.1:{port}/"
            assert ask(url + "healthz").json["ok"] is True
            words = [sys.executable, "-c", code]
            second = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
            assert "HeldError: the pages are served already" in second.stderr
            assert json.loads(note.read_text()) == {"url": url, "pid": child.pid}
            stream = socket.create_connection(("127.0.0.1", int(url.split(":")[2].strip("/"))), timeout=20)
            stream.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert stream.recv(4096).startswith(b"HTTP/1.1 200")
            child.send_signal(signal.SIGTERM)
            _, errors = child.communicate(timeout=20)
            stream.close()
        finally:
            child.kill()
            child.wait()
            child.stderr.close()
        assert not note.exists()
        assert errors == b""


def test_a_stop_that_comes_before_the_server_listens_for_it_ends_the_process(tmp_path: Path) -> None:
    """Its parent may die at any moment of its start; four pages of killed parents lived on and kept their ports."""
    code = (
        "import signal; from pathlib import Path; from receiver.outputs.historian.views import Scope;"
        "from receiver.portal.serving import serve; whole = serve.Server.run;"
        "serve.Server.run = lambda self, **words: (signal.raise_signal(signal.SIGTERM), whole(self, **words));"
        f"serve.run(Path({str(tmp_path / 'history')!r}), Path({str(tmp_path)!r}), '127.0.0.1:0', Scope())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "portal.json").exists()

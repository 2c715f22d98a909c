"""What programs are told of many tags: the same buckets for all, shares of time, small curves, and nothing foreign."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from portal_plant import SECOND, Clock, Plant, ask, served
from trend_plant import EVIL, NAMES, TURBINE, trend_plant

from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app
from receiver.portal.trending.tag_names import MOST_TAGS, joined

FOREIGN = joined(EVIL, "<b>50%/x</b>")


class Site:
    def __init__(self, plant: Plant, clock: Clock, acme: str, all_: str) -> None:
        self.plant, self.clock, self.acme, self.all = plant, clock, acme, all_

    def query(self, *names: str, back_s: int = 3600, **more: object) -> str:
        told = [("tag", name) for name in names]
        told += [("from", self.clock() / 1e6 - back_s * 1e3), ("to", self.clock() / 1e6), *more.items()]  # type: ignore[list-item]
        return urlencode(told)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    clock = Clock()
    plant = trend_plant(tmp_path_factory.mktemp("trend"), clock)
    acme = create_app(plant.history, plant.state, Scope(vendors=frozenset({"Acme"})), clock=clock)
    whole = create_app(plant.history, plant.state, Scope(), clock=clock)
    with served(acme) as one, served(whole) as other:
        yield Site(plant, clock, one, other)
    plant.close()


def test_all_tags_of_an_answer_lie_in_the_same_buckets(site: Site) -> None:
    """So that a row of it is a moment; each with its own unit, holes and numbers."""
    told = ask(f"{site.acme}/api/trends?{site.query(*NAMES, buckets=300)}").json
    assert [f"{one['asset']}/{one['tag']}" for one in told["curves"]] == NAMES
    assert {one["width_ms"] for one in told["curves"]} == {12_000.0}
    pressure, flow = told["curves"][:2]
    assert pressure["unit"], flow["unit"] == ("bar", "m³/h")
    assert [hole["kind"] for hole in pressure["holes"]] == ["gap"]
    assert told["curves"][2]["summary"]["bad"] == 23
    assert [band["grade"] for band in told["curves"][2]["bands"]] == ["bad"]
    (healed,) = pressure["healed"]
    assert healed["to_ms"] - healed["from_ms"] == pytest.approx(196e3)
    assert [event["severity"] for event in told["events"]] == [500, 900, 900]
    assert [event["state"] for event in told["events"]] == ["active", "active", "cleared"]
    assert told["notes"] == []  # nobody signs in here
    quick = ask(f"{site.acme}/api/trends?{site.query(*NAMES, buckets=300, marks=0)}").json
    assert (quick["marked"], quick["curves"][2]["bands"]) == (False, [])
    assert quick["curves"][2]["bad"] == told["curves"][2]["bad"]


@pytest.mark.parametrize("path", ["trends", "shares"])
def test_a_foreign_tag_and_one_that_never_was_are_answered_alike(site: Site, path: str) -> None:
    """Also beside tags that are there; and no word of it stands in the answer."""
    for name in (FOREIGN, "nowhere/x", f"{TURBINE}/x", TURBINE, ""):
        for names in ([name], [*NAMES[:2], name]):
            answer = ask(f"{site.acme}/api/{path}?{site.query(*names)}")
            assert (answer.status, answer.text) == (404, "404\n")
    assert ask(f"{site.all}/api/{path}?{site.query(FOREIGN)}").status == 200


def test_questions_that_cannot_be_meant_are_refused(site: Site) -> None:
    """No tag, too many, no range, no number."""
    many = [f"{TURBINE}/{at}" for at in range(MOST_TAGS + 1)]
    wrong = ({"back_s": 0}, {"buckets": "x"}, {"marks": 2})
    for query in (site.query(), site.query(*many), *(site.query(NAMES[0], **more) for more in wrong)):
        assert ask(f"{site.acme}/api/trends?{query}").status == 400
    assert ask(f"{site.acme}/api/sparks?asset={TURBINE}").status == 400
    assert ask(f"{site.acme}/api/sparks?asset={TURBINE}&name=speed&span_s=0").status == 400


def test_shares_of_time_leave_out_the_gap_and_the_bad_time(site: Site) -> None:
    """Five minutes are lost of both; bearing a was bad for some ninety seconds, and holds bad until the next good."""
    told = ask(f"{site.acme}/api/shares?{site.query(*NAMES)}").json["shares"]
    pressure, bearing, speed, mode, running, note = (told[at] for at in (0, 2, 4, 5, 6, 7))
    assert pressure["known_s"] == pytest.approx(3300, abs=8)
    assert pressure["exact"]
    assert sum(pressure["share"]) == pytest.approx(1)
    assert pressure["above"] == pytest.approx(0.02, abs=0.01)
    assert bearing["known_s"] < pressure["known_s"] - 40
    assert speed["below"] == pytest.approx(300 / 3300, abs=0.01)
    assert {state for state, _ in mode["states"]} == {0, 1, 2}
    assert sum(share for _, share in mode["states"]) == pytest.approx(1)
    assert dict(running["states"])[1] == pytest.approx(790 / running["known_s"], abs=0.01)
    assert running["known_s"] == pytest.approx(3600 - 300 - 600, abs=8)  # it may have changed in the gap, unseen
    assert note["known_s"] == 0
    assert note["quantiles"] is None


def test_sparks_come_for_the_rows_that_are_asked_for(site: Site) -> None:
    """With the gaps of their time; a name that is not there refuses the whole."""
    base = f"{site.acme}/api/sparks?asset={TURBINE}"
    told = ask(f"{base}&name=speed&name={quote('oil/flow', safe='')}").json
    assert sorted(one["tag"] for one in told["sparks"]) == ["oil/flow", "speed"]
    assert 30 < len(told["sparks"][0]["at_ms"]) <= 49
    assert len(told["sparks"][0]["gaps"]) == 1
    assert ask(f"{base}&name=speed&name=nowhere").status == 404
    assert ask(f"{site.acme}/api/sparks?asset={quote(EVIL)}&name=x").status == 404


def test_tags_are_found_by_words_of_their_names_within_the_scope(site: Site) -> None:
    """The asset's name counts; what comes back goes straight into an address."""

    def found(base: str, text: str) -> list[str]:
        return [one["name"] for one in ask(f"{base}/api/tags?find={quote(text)}").json["tags"]]

    assert found(site.acme, "BEARING turb") == [f"{TURBINE}/bearing a", f"{TURBINE}/bearing b"]
    assert found(site.acme, "50%") == []
    assert found(site.all, "50%") == [FOREIGN]
    assert ask(f"{site.all}/api/trends?{site.query(found(site.all, '50%')[0])}").status == 200


def test_a_page_names_no_foreign_tag_and_counts_those_that_are_not_there(site: Site) -> None:
    """Foreign or never there: the same number, the same words."""
    pages = [
        ask(f"{site.acme}/trend?" + urlencode([("tag", NAMES[0]), ("tag", name)])).text
        for name in (FOREIGN, "nowhere/x")
    ]
    for page in pages:
        assert "1 of the tags in this address is not there" in page
        assert NAMES[0].partition("/")[2] in page
    strip = [page.partition("data-absent")[2].partition("</p>")[0] for page in pages]
    assert strip[0] == strip[1]
    assert "50%" not in pages[0]
    assert ask(f"{site.acme}/trend?" + urlencode([("tag", FOREIGN)])).status == 404
    assert ask(f"{site.acme}/trend").status == 200


def test_names_that_would_be_markup_are_text_on_the_page(site: Site) -> None:
    """In the table, in attributes, in the state of the page."""
    page = ask(f"{site.all}/trend?" + urlencode([("tag", FOREIGN), ("hide", '"><script>')])).text
    assert "<img" not in page
    assert "<b>50" not in page
    assert '"><script>' not in page
    assert "&lt;b&gt;50%/x&lt;/b&gt;" in page


def test_the_history_read_as_numbers_is_the_history_read_as_samples(site: Site) -> None:
    """Every sample once, by time, sealed or not; a text is no number."""
    reader = Door(site.plant.history, Scope(), clock=site.clock)
    end = site.clock() + SECOND
    for asset in reader.assets():
        for view in reader.tags(asset.asset.name):
            samples = reader.samples(view.series, 0, end, None)
            found = reader.values(view.series, 0, end)
            assert found.time_ns.tolist() == sorted(one.time_ns for one in samples)
            assert found.usable.sum() == sum(one.quality < 2**31 for one in samples)
            if view.tag.type == "float64":
                assert found.value.tolist() == [one.value for one in samples]
    reader.close()

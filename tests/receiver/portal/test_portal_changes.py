"""The page of configuration changes: who, why and what, and nothing of it is obeyed."""

from __future__ import annotations

from pathlib import Path

from portal_plant import Clock, Plant, ask, served

from protocol.content.applied import FOUND, WHAT, AppliedChange
from protocol.content.catalog import Asset
from receiver.outputs.base import StateBody
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app

EVIL = "<script>alert(1)</script>"
ASSETS = (Asset(name="pump-7", site="north-plant", vendors=("Acme",)),)


def test_the_page_lists_changes_newest_first_and_for_a_scope_none(tmp_path: Path) -> None:
    """Also one that nobody understands; texts of people at the other end stay texts."""
    clock = Clock()
    plant = Plant(tmp_path, ASSETS, (), clock=clock)
    change = AppliedChange(
        kind="apply",
        number=7,
        time_ns=clock(),
        by=EVIL,
        why=f"{EVIL}\u202e\x1b[2J",
        ticket="'\"><b>",
        after="0123456789abcdef",
        lines=(f"pump-7 changed: {EVIL}",),
        more=3,
    )
    texts = [change.text(), AppliedChange(kind=FOUND, over=7, time_ns=2**62).text(), '{"kind": "\\ud800"}', EVIL]
    plant.take(*(StateBody(asset="", time_ns=clock(), what=WHAT, text=text) for text in texts))
    plant.report()
    with served(create_app(plant.history, plant.state, Scope(), clock=clock)) as base:
        page = ask(base + "/changes")
        overview = ask(base + "/").text
    assert page.status == 200
    assert EVIL not in page.text
    assert "<b>" not in page.text.split("<main", 1)[1]
    assert page.text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3
    assert "\u202e" not in page.text
    places = [
        page.text.index(one) for one in ("Not understood", "Changed without apply", "Application 7", "and 3 more")
    ]
    assert places == sorted(places)
    assert 'href="/changes"' in overview
    scope = Scope(vendors=frozenset({"Acme"}))
    with served(create_app(plant.history, plant.state, scope, clock=clock)) as base:
        assert "No change is known here." in ask(base + "/changes").text
    plant.close()

"""Alarms and events on the pages: in the order in which the device told them, and only to those who may see it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from portal_plant import SECOND, Clock, Plant, ask, served

from protocol.content.catalog import Asset, Tag
from receiver.outputs.base import EventBody
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app

EVIL = "<script>alert('x')</script>"
ASSETS = (
    Asset(name="pump-7", site="north-plant", vendors=("Acme",)),
    Asset(name="quiet-1", site="north-plant", vendors=("Acme",)),
    Asset(name="secret-9", site="north-plant", vendors=("Other Inc",)),
)
TAGS = (
    Tag(id=1, asset="pump-7", name="pressure", type="float64"),
    Tag(id=2, asset="quiet-1", name="x", type="float64"),
)
STATES = ("active", "acked", "cleared")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A pump that tripped; its clock was set back meanwhile."""
    clock = Clock()
    plant = Plant(tmp_path_factory.mktemp("portal"), ASSETS, TAGS, clock=clock)
    for sequence, state in enumerate(STATES, 1):
        for asset in ("pump-7", "secret-9"):
            plant.take(
                EventBody(
                    asset=asset,
                    source="bearing 1",
                    time_ns=clock() - sequence * SECOND,
                    severity=900,
                    code=f"T-0{sequence}",
                    text=EVIL,
                    state=state,
                    sequence=sequence,
                )
            )
    plant.say({("quiet-1", "x"): 1.0})
    app = create_app(plant.history, plant.state, Scope(vendors=frozenset({"Acme"})), clock=clock)
    with served(app) as url:
        yield url
    plant.close()


def test_the_page_lists_events_in_the_order_of_the_device(base: str) -> None:
    """Newest first, whatever its clock did; what a device says is text, never markup."""
    page = ask(base + "/asset/pump-7").text
    page = page[page.index("data-events") :]
    found = [part.partition('"')[0] for part in page.split('data-event="')[1:]]
    assert found == ["cleared", "acked", "active"]
    assert [page.index(f"<td>T-0{number}</td>") for number in (3, 2, 1)] == sorted(
        page.index(f"<td>T-0{number}</td>") for number in (1, 2, 3)
    )
    assert EVIL not in page
    assert "Alarms and events" not in ask(base + "/asset/quiet-1").text


def test_programs_get_the_same_events(base: str) -> None:
    """With time, severity, code, text and number; at most so many; of one asset, or of all that may be seen."""
    events = ask(base + "/api/events?asset=pump-7&limit=2").json["events"]
    assert [(one["state"], one["sequence"], one["code"]) for one in events] == [
        ("cleared", 3, "T-03"),
        ("acked", 2, "T-02"),
    ]
    assert (events[0]["asset"], events[0]["severity"], events[0]["text"]) == ("pump-7", 900, EVIL)
    assert events[1]["time_ms"] - events[0]["time_ms"] == 1000
    assert {one["asset"] for one in ask(base + "/api/events").json["events"]} == {"pump-7"}


@pytest.mark.parametrize("path", ["/api/events?asset=secret-9", "/api/events?asset=nobody", "/asset/secret-9"])
def test_events_of_others_are_not_there(base: str, path: str) -> None:
    """As if there were no such machine."""
    assert ask(base + path).status == 404
    assert ask(base + "/api/events?limit=" + quote("-1")).status == 400

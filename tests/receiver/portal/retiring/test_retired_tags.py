"""Laws of what is out of the configuration: never while it is renewed, or while blocks are missing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from portal_plant import Clock, Plant, ask, served, write_report

from protocol.content.applied import AppliedChange
from protocol.content.catalog import Asset, Page, Tag
from receiver.outputs.base import StateBody, StreamDescription
from receiver.outputs.historian.views import ChangeView, Scope, TagView
from receiver.portal.app import create_app
from receiver.portal.retiring.left_tags import LEFT, TAKEN_OUT, changes_of, left, taken_out


def change(*lines: str) -> ChangeView:
    return ChangeView(received_ns=1, change=AppliedChange(kind="apply", number=1, by="ada", why="swap", lines=lines))


def view(series: int, name: str, address: str, *, earlier: bool = False) -> TagView:
    tag = Tag(id=0, asset="pump-7", name=name, address=address)
    return TagView(series=series, site="", tag=tag, version=1, current=True, earlier_start=earlier)


SAID = [
    ([change("pump-7 changed: tags level, flow taken out")], {"level", "flow"}),
    ([change("pump-7 changed: tags new added; tags level taken out; timeout 1 -> 2")], {"level"}),
    ([change("pump-7 changed: tags level added"), change("pump-7 changed: tags level taken out")], set()),
    ([change("pump-70 changed: tags level taken out"), change("pump-7 changed: tags x taken")], set()),
    ([change("pump-7 taken out")], set()),
]


@pytest.mark.parametrize(("changes", "names"), SAID, ids=range(len(SAID)))
def test_the_newest_change_that_names_a_tag_decides(changes: list[ChangeView], names: set[str]) -> None:
    """Of that asset alone, in the sender's own words; what was added again is not out."""
    assert taken_out("pump-7", changes) == names


def test_changes_of_an_asset_are_those_that_name_it() -> None:
    """With the lines that do, and no others."""
    both = change("fan-3 added: 12 tags by modbus", "pump-7 changed: timeout 1 -> 2")
    assert changes_of("pump-7", [both, change("fan-3 taken out")]) == [(both, ["pump-7 changed: timeout 1 -> 2"])]


def test_a_tag_says_why_it_may_be_out() -> None:
    """Renamed where a later one stands at its address; taken out; or not described since the last start."""
    views = [view(1, "old", "40001"), view(2, "gone", "40002"), view(3, "silent", "40003", earlier=True)]
    views += [view(4, "new", "40001"), view(5, "other", "40005"), view(6, "bare", "")]
    assert left(views, frozenset({"gone"})) == {1: "renamed: new stands at its address", 2: TAKEN_OUT, 3: LEFT}


ASSET = Asset(name="pump-7", site="north-plant")
TAGS = tuple(Tag(id=at, asset="pump-7", name=name, address=str(at)) for at, name in enumerate(("a", "b", "kept"), 1))


@pytest.fixture
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    clock = Clock()
    made = Plant(tmp_path_factory.mktemp("retired"), (ASSET,), TAGS, clock=clock)
    made.condition("pump-7", "up")
    made.say({("pump-7", tag.name): 1.0 for tag in TAGS})
    yield made
    made.close()


def well(plant: Plant, **changes: object) -> None:
    """The processes are well, and the historian has nothing before it."""
    plant.report(**changes)
    write_report(plant.state, "historian", plant.clock(), {"latency_ms": {}, "waiting": 0, "trouble": ""})


def test_a_renamed_tag_is_retired_once_it_is_silent_and_counts_as_stale_no_more(plant: Plant) -> None:
    """Before, and while blocks are missing, it is not renewed, which is all that is known."""
    clock = plant.clock
    assert isinstance(clock, Clock)
    renamed = Tag(id=9, asset="pump-7", name="a2", address="1")
    plant.stream.tags[9] = renamed  # type: ignore[index]
    plant.take(Page(index=1, assets=(ASSET,), tags=(renamed,)))
    line = "pump-7 changed: tags a2 added; tags a, b taken out"
    applied = {"kind": "apply", "number": 1, "by": "ada", "lines": [line]}
    plant.take(StateBody(asset="", time_ns=clock(), what="applied", text=json.dumps(applied)))
    clock.move(60)
    plant.ids["pump-7", "a2"] = 9
    plant.say({("pump-7", "a2"): 1.0, ("pump-7", "kept"): 1.0})
    well(plant, blocks={"missing": 3})
    app = create_app(plant.history, plant.state, Scope(), clock=clock)
    with served(app) as base:
        card = ask(base + "/api/assets").json["assets"][0]
        assert card["stale"] == 2
        assert "data-retired" not in ask(base + "/asset/pump-7").text
    well(plant)
    with served(create_app(plant.history, plant.state, Scope(), clock=clock)) as base:
        card = ask(base + "/api/assets").json["assets"][0]
        assert (card["stale"], card["tags"]) == (0, 4)
        page = ask(base + "/asset/pump-7").text
        listed = page[page.index("data-retired") : page.index("</ul>", page.index("data-retired"))]
        assert "renamed: a2 stands at its address" in listed
        assert TAKEN_OUT in listed
        assert "Changes of its configuration" in page
        assert "tags a, b taken out" in page
        clock.move(1)
        plant.say({("pump-7", "a"): 2.0})
    well(plant)
    with served(create_app(plant.history, plant.state, Scope(), clock=clock)) as base:
        page = ask(base + "/asset/pump-7").text
        listed = page[page.index("data-retired") : page.index("</ul>", page.index("data-retired"))]
        assert "renamed" not in listed, "a tag that is renewed is none that was retired"


def test_a_tag_that_a_later_start_does_not_describe_is_retired(plant: Plant) -> None:
    """Nobody need have said so: after a restart with another file, what is gone is gone."""
    clock = plant.clock
    assert isinstance(clock, Clock)
    kept = tuple(tag for tag in TAGS if tag.name == "kept")
    plant.stream = StreamDescription(
        key=b"\x02" * 8, boot=2, site="north-plant", assets={"pump-7": ASSET}, tags={tag.id: tag for tag in kept}
    )
    plant.number = 0
    clock.move(60)
    plant.take(Page(index=0, assets=(ASSET,), tags=kept))
    plant.condition("pump-7", "up")
    plant.say({("pump-7", "kept"): 1.0})
    well(plant)
    with served(create_app(plant.history, plant.state, Scope(), clock=clock)) as base:
        page = ask(base + "/asset/pump-7").text
        assert page.count(LEFT.replace("'", "&#39;")) == 2
        assert ask(base + "/api/assets").json["assets"][0]["stale"] == 0

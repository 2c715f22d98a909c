"""A scope of single tags shows those of their asset and nothing else of it: through the door, and in blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
from history_blocks import ASSETS, BOOT, SECOND, T0, TAGS, batch, block, opened, stream

from protocol.content.catalog import Page
from protocol.content.sample import Row, Value
from receiver.outputs.base import BatchBody, EventBody
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope

SOME = Scope(
    vendors=frozenset({"Acme"}),
    assets=frozenset({"pump-7", "relay-2", "press-1"}),
    tags=frozenset({("pump-7", "running"), ("relay-2", "ANSI 50")}),
)
"""Of the pump one tag, of the relay none but what one source says; the press is another vendor's."""


def event(asset: str, source: str) -> EventBody:
    """An alarm."""
    return EventBody(
        asset=asset, source=source, time_ns=T0, severity=800, code="trip", text="t", state="active", sequence=1
    )


def test_the_door_shows_only_these_tags(tmp_path: Path) -> None:
    """Lists, values, trends and events know no other tag of a limited asset."""
    output = opened(tmp_path)
    values: list[Value] = [4.0, True, 7, "auto", 3]
    rows = [Row(tag.id, T0 + tag.id, value) for tag, value in zip(TAGS, values, strict=True)]
    sources = [("pump-7", "pressure"), ("pump-7", "running"), ("relay-2", "ANSI 50"), ("relay-2", "ANSI 51")]
    events = [block(stream(), at + 1, event(*source)) for at, source in enumerate([*sources, ("press-1", "mode")])]
    output.take([block(stream(), 0, batch(rows)), *events], b"1")
    door, everything = Door(tmp_path, SOME), Door(tmp_path, Scope())
    names = {view.tag.name: view.series for one in ASSETS for view in everything.tags(one.name)}
    assert [view.tag.name for view in door.tags("pump-7")] == ["running"]
    assert (door.tags("relay-2"), door.tags("press-1")) == ([], [])
    assert [view.asset.name for view in door.assets()] == ["pump-7", "relay-2"]
    assert [one.series for one in door.latest()[0]] == [names["running"]]
    assert door.tag(names["pressure"]) is None
    assert door.samples(names["pressure"], T0, T0 + SECOND, None) == []
    assert not len(door.trend(names["pressure"], T0, T0 + SECOND, 10).count)
    assert [(one.asset, one.source) for one in door.events(9)] == [("relay-2", "ANSI 50"), ("pump-7", "running")]
    assert door.events(9, "pump-7")[0].source == "running"
    for one in (door, everything, output):
        one.close()


@pytest.mark.parametrize(("source", "seen"), [("running", True), ("pressure", False)])
def test_a_block_is_cut_to_these_tags(source: str, seen: bool) -> None:
    """What an output is handed has no row, description or event of another tag."""
    of = stream(b"stream-1", BOOT)
    cut = SOME.cut(batch([Row(tag.id, T0 + tag.id, 1.0) for tag in TAGS]), of.assets, of.tags)
    assert isinstance(cut, BatchBody)
    assert cut.columns.tag.tolist() == [1]
    page = SOME.cut(Page(index=0, assets=ASSETS, tags=TAGS), of.assets, of.tags)
    assert isinstance(page, Page)
    assert [tag.name for tag in page.tags] == ["running"]
    assert (SOME.cut(event("pump-7", source), of.assets, of.tags) is not None) == seen


def test_a_scope_of_some_tags_is_not_the_whole_one() -> None:
    """Who sees everything but for some tags is not told what concerns the sender itself."""
    assert not Scope(tags=frozenset({("pump-7", "running")})).whole
    assert Scope(tags=frozenset({("pump-7", "running")})).text == "tags pump-7/running"

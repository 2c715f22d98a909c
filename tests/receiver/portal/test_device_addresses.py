"""Where a tag stands in its device is the plant's own: nobody from outside is told, by no page and no answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from portal_plant import Clock, Plant, ask, served

from protocol.content.catalog import Asset, Page, Tag
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app

NOW, THEN = "holding@10.7.3.9:40001", "holding@10.7.3.9:40002"
PAGES = (
    "/",
    "/asset/pump-7",
    "/tag?asset=pump-7&name=pressure",
    "/tag?asset=pump-7&name=pressure&version=1",
    "/search?find=pump",
    "/trend?tag=pump-7/pressure",
    "/events",
    "/changes",
    "/api/assets",
    "/api/latest",
    "/api/search?find=pressure",
    "/api/tags?find=",
    "/api/trend?series=2&from=2025-11-22&to=2025-11-24&buckets=9",
    "/api/trends?tag=pump-7/pressure&from=2025-11-22&to=2025-11-24",
    "/api/samples?from=2025-11-23&to=2025-11-24",
    "/i3x/v1/objects?includeMetadata=true",
    "/i3x/v1/objecttypes",
)


@pytest.mark.parametrize(
    ("scope", "told"),
    [(Scope(), True), (Scope(vendors=frozenset({"Acme"})), False), (Scope(assets=frozenset({"pump-7"})), False)],
    ids=["whole", "vendor", "asset"],
)
def test_no_reader_from_outside_is_told_where_a_tag_stands_in_its_device(
    tmp_path: Path, scope: Scope, told: bool
) -> None:
    """Neither of what is described now nor of what was; who reads the whole plant is told both."""
    clock = Clock()
    asset = Asset(name="pump-7", site="north", vendors=("Acme",))
    old = Tag(id=1, asset="pump-7", name="pressure", unit="bar", address=THEN)
    new = Tag(id=2, asset="pump-7", name="pressure", unit="bar", address=NOW)
    plant = Plant(tmp_path, [asset], [old], clock=clock)
    plant.say({("pump-7", "pressure"): 1.5})
    plant.stream.tags[2] = new  # type: ignore[index]
    plant.take(Page(index=1, assets=(asset,), tags=(new,)))
    plant.ids["pump-7", "pressure"] = 2
    plant.say({("pump-7", "pressure"): 2.5})
    plant.report()
    with served(create_app(plant.history, plant.state, scope, clock=clock)) as base:
        answers = {path: ask(base + path) for path in PAGES}
    plant.close()
    assert {path: one.status for path, one in answers.items() if one.status != 200} == {}
    assert ("pressure" in answers["/api/assets"].text, "Earlier descriptions" in answers["/asset/pump-7"].text) == (
        True,
        True,
    )
    found = {held for one in answers.values() for held in (NOW, THEN) if held in one.text}
    assert found == ({NOW, THEN} if told else set())
    assert told or not any("10.7.3.9" in one.text for one in answers.values())

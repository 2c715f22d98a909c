"""The search over the plant: nearest first, all words, nothing beyond the scope."""

from __future__ import annotations

from protocol.content.catalog import Asset, Tag
from receiver.outputs.historian.views import AssetView, TagView
from receiver.portal.plant_picture import Picture
from receiver.portal.searching.plant_search import PlantSearch

NAMES = ("pump-7", "pump-70", "fan")


def picture() -> Picture:
    held = Picture()
    views = [
        AssetView(asset=Asset(name=name, path="hall-2", model="KSB"), state="up", state_text="", state_ns=0, tags=2)
        for name in NAMES
    ]
    held.describe_assets(views, {})
    for number, name in enumerate(NAMES):
        tags = [
            Tag(id=0, asset=name, name="seal/oil-pressure", unit="bar", description="Oil at the shaft"),
            Tag(id=1, asset=name, name="pressure", unit="bar"),
        ]
        held.describe_tags(
            name,
            [
                TagView(series=number * 2 + at, site="s", tag=tag, version=1, current=True)
                for at, tag in enumerate(tags)
            ],
        )
    return held


def found(text: str, most: int = 100) -> tuple[list[str], list[str], int]:
    held = PlantSearch(picture()).find(text, most=most)
    return [one.asset.name for one in held.assets], [f"{one.tag.asset} {one.tag.name}" for one in held.tags], held.more


def test_the_nearest_name_comes_first_and_every_word_counts() -> None:
    """In any order and whatever the case; description, unit, path and model are known too."""
    assert found("PUMP-7")[0] == ["pump-7", "pump-70"]
    assert found("pressure fan")[1] == ["fan pressure", "fan seal/oil-pressure"]
    assert found("shaft pump-70") == ([], ["pump-70 seal/oil-pressure"], 0)
    assert found("ksb hall-2")[0] == sorted(NAMES)
    assert found("") == found("   ") == ([], [], 0)
    assert found("nothing-like-it") == ([], [], 0)


def test_what_is_not_shown_is_counted_and_neither_kind_hides_the_other() -> None:
    """Half of the lines are the tags' where there are enough of them."""
    assets, tags, more = found("pump-7", most=2)
    assert (assets, len(tags), more) == (["pump-7"], 1, 4)


def test_a_description_that_changes_is_found_by_its_new_words() -> None:
    """What is kept of one search does not outlive its description."""
    held = picture()
    search = PlantSearch(held)
    assert not search.find("turbine", most=9).tags
    tag = Tag(id=1, asset="fan", name="pressure", unit="bar", description="before the turbine")
    held.describe_tags("fan", [TagView(series=5, site="s", tag=tag, version=1, current=True)])
    assert [one.series for one in search.find("turbine", most=9).tags] == [5]

"""An asset's tags as they are listed: grouped by the paths of their names, sifted, a part at a time."""

from __future__ import annotations

import json

import pytest
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from protocol.content.catalog import Asset, Tag
from receiver.outputs.historian.views import AssetView, TagView
from receiver.portal.faults import DisplayFaults
from receiver.portal.listing.listed_tags import PART, ListedTags, TagQuestion
from receiver.portal.listing.name_groups import groups, rest
from receiver.portal.plant_picture import Picture, ViewTime
from receiver.portal.shown import show

HOSTILE = '</script><!--<b>\u2028&"'


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["speed", "power"], ["", ""]),
        (["a/x", "a/y", "a/z"], [""] * 3),
        (["a/x", "a/y", "a/z", "b/x", "b/y", "b/z"], ["a"] * 3 + ["b"] * 3),
        (["m.a.x", "m.a.y", "m.a.z", "m.b.x", "m.b.y", "m.b.z"], ["m.a"] * 3 + ["m.b"] * 3),
        (["p/1/v", "p/2/v", "p/3/v", "q/1/v", "q/2/v", "q/3/v"], ["p"] * 3 + ["q"] * 3),
        (["a/1.5", "a/2.5", "a/x", "top", "b/y", "b/z", "b/0", "b/1", "b/2"], ["a"] * 3 + [""] + ["b"] * 5),
    ],
)
def test_tags_are_grouped_by_the_deepest_path_that_holds_several(names: list[str], found: list[str]) -> None:
    """A name for each tag never becomes a group for each, and one group is none."""
    assert groups(names) == found
    for name, group in zip(names, found, strict=True):
        assert name.startswith(group)
        assert name.endswith(rest(name, group))
        assert len(name) == len(group) + len(rest(name, group)) + bool(group)


def picture(names: list[str]) -> Picture:
    held = Picture()
    held.describe_assets([AssetView(asset=Asset(name="m"), state="up", state_text="", state_ns=0, tags=len(names))], {})
    described = [
        TagView(series=at + 1, site="s", tag=Tag(id=at, asset="m", name=name), version=1, current=True)
        for at, name in enumerate(names)
    ]
    held.describe_tags("m", described)
    return held


def test_every_tag_is_in_one_part_and_the_find_looks_at_all_of_them() -> None:
    """Parts follow one another without a hole; what is asked beyond the last is the last."""
    names = [f"g{at // 20}/t{at:03d}" for at in range(130)]
    held, at = picture(names), ViewTime(0, 0, 0.0)
    tags = ListedTags(held.assets["m"].tags)
    seen: list[str] = []
    for page in (1, 2, 3):
        part = tags.part(TagQuestion(page=page), lambda one: show(held, one, at))
        assert (part.found, part.of, part.pages) == (130, 130, 3)
        assert len(part.rows) <= PART
        seen += [one.tag.name for one, _, _ in part.rows]
    assert seen == names
    assert tags.part(TagQuestion(page=99), lambda one: show(held, one, at)).asked.page == 3
    found = tags.part(TagQuestion(find="T129"), lambda one: show(held, one, at))
    assert [(one.tag.name, group, short) for one, group, short in found.rows] == [("g6/t129", "g6", "t129")]
    assert tags.part(TagQuestion(abnormal=True), lambda one: show(held, one, at)).found == 130  # none has a value


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "9999999", "\u0661"])
def test_a_page_that_is_no_number_is_refused(page: str) -> None:
    """With 400, as any address that asks for nothing."""
    with pytest.raises(HTTPException):
        TagQuestion.asked(QueryParams({"page": page}))


def test_facts_of_hostile_names_end_no_script_and_are_whole_json() -> None:
    """Nothing in them can be taken for markup."""
    text = str(ListedTags(picture([HOSTILE, "b"]).assets["m"].tags).facts(DisplayFaults()))
    assert not set("<>&\u2028\u2029") & set(text)
    assert [one["name"] for one in json.loads(text)][1] == "b"

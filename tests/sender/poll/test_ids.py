"""The ids' laws: an id never changes its meaning, equal descriptions are equal ids, renaming is one look-up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polling import asset_toml, loaded, scripted, sender_toml

from collectors.base import Facts
from collectors.registry import load
from protocol.content.catalog import Tag, meaning_of
from protocol.content.sample import columns
from protocol.errors import ConfigError
from protocol.limits import NAME_BYTES
from sender.poll.ids import UNKNOWN_TYPE, Ids, drafts

DRAFT = st.builds(
    lambda asset, name, kind, unit, high: Tag(id=0, asset=asset, name=name, type=kind, unit=unit, high=high),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["x", "y", "z"]),
    st.sampled_from(["int16", "float64"]),
    st.sampled_from(["", "bar"]),
    st.sampled_from([None, 1.0, 2.0]),
)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.lists(DRAFT, min_size=1, max_size=6)), max_size=20))
def test_id_never_changes_meaning(rounds: list[tuple[str, list[Tag]]]) -> None:
    """However often devices are described anew, an id stands for one description and a description for one id."""
    ids = Ids()
    known: dict[int, Tag] = {}
    for asset, tags in rounds:
        for tag in ids.describe(asset, tags):
            assert tag.id not in known or meaning_of(known[tag.id]) == meaning_of(tag)
            assert known.get(tag.id) != tag, "described again without a change"
            known[tag.id] = tag
        renamed = ids.rename(asset, columns(list(range(len(tags))), 0, [1.0] * len(tags))).tag.tolist()
        assert [meaning_of(known[one]) for one in renamed] == [meaning_of(tag) for tag in tags]
        # two points of one description share its id; what is known of it is what was said last
        last = {meaning_of(tag): tag for tag in tags}
        assert all(known[one].high == last[meaning_of(tag)].high for one, tag in zip(renamed, tags, strict=True))
    assert sorted(known) == list(range(len(known)))


def test_stream_without_ids_left_is_told() -> None:
    """More tags than a stream has is the operator's to mend."""
    ids = Ids(most=2)
    ids.describe("a", [Tag(id=0, asset="a", name="x"), Tag(id=0, asset="a", name="y")])
    with pytest.raises(ConfigError, match="more than 2 tags"):
        ids.describe("b", [Tag(id=0, asset="b", name="x")])


def test_point_number_that_is_not_there_is_refused() -> None:
    """A row of an unknown point cannot take another point's id."""
    ids = Ids()
    ids.describe("a", [Tag(id=0, asset="a", name="x")])
    with pytest.raises(IndexError):
        ids.rename("a", columns([1], 0, [1.0]))


def test_configuration_wins_over_the_device_but_for_the_type(tmp_path: Path) -> None:
    """Unit, text and range are the configuration's where it says them; the type is what the collector gives out."""
    text = asset_toml(
        "pump",
        'name = "a", at = "0", type = "int16", unit = "bar", range = [0, 16], description = "mine"',
        'name = "b", at = "1", normal = [-inf, 80.0]',
    )
    asset = loaded(tmp_path, sender_toml(text), {"pump": scripted()}).assets[0]
    said = Facts(type="float64", unit="Pa", description="theirs", low=0.0, high=1.0, states=("off", "on"))
    a, b = drafts("pump", asset.watched, {0: said, 1: said})
    assert a is not None
    assert b is not None
    assert (a.type, a.unit, a.description, a.low, a.high) == ("float64", "bar", "mine", 0.0, 16.0)
    assert (b.type, b.unit, b.description, b.low, b.high) == ("float64", "Pa", "theirs", 0.0, 1.0)
    assert (b.normal_low, b.normal_high, b.states) == (None, 80.0, ("off", "on"))


def test_device_cannot_make_a_description_that_the_low_side_refuses(tmp_path: Path) -> None:
    """Nonsense in a device's facts is left out or cut to the catalog's limits."""
    asset = loaded(tmp_path, sender_toml(asset_toml("pump", 'name = "a", at = "0"')), {"pump": scripted()}).assets[0]
    odd = Facts(type="COMPLEX", unit="é" * 400, description="é" * 400, low=float("nan"), high="9", states=(1, "on"))  # type: ignore[arg-type]
    (tag,) = drafts("pump", asset.watched, {0: odd})
    assert tag is not None
    assert tag.type == UNKNOWN_TYPE
    assert len(tag.description.encode()) <= NAME_BYTES
    assert len(tag.unit.encode()) <= NAME_BYTES
    assert (tag.low, tag.high, tag.states) == (None, None, ("1", "on"))


def test_thousand_tags_are_renamed_by_one_look_up() -> None:
    """The renamed rows share every other array with the rows that came."""
    ids = Ids()
    ids.describe("other", [Tag(id=0, asset="other", name="x")])
    ids.describe("a", [Tag(id=0, asset="a", name=f"t{i}") for i in range(1000)])
    rows = columns(np.arange(1000, dtype=np.uint32), 0, np.zeros(1000))
    renamed = ids.rename("a", rows)
    assert renamed.tag.tolist() == list(range(1, 1001))
    assert renamed.floats is rows.floats


MODBUS = 'name = "a", at = "holding:0", type = "int16", scale = {}'


def modbus_drafts(folder: Path, scale: float, facts: dict[int, Facts]) -> Tag:
    """The one tag of a Modbus device whose raw number is scaled."""
    text = asset_toml("pump", MODBUS.format(scale), collector="modbus").replace("fake:1", "tcp://10.0.0.7:502")
    asset = loaded(folder, sender_toml(text), {"modbus": load("modbus")}).assets[0]
    (tag,) = drafts("pump", asset.watched, facts)
    assert tag is not None
    return tag


def test_another_scale_is_another_id_and_the_same_scale_is_not(tmp_path: Path) -> None:
    """Values before and after are not one quantity, though name, type, unit and address stayed."""
    ids = Ids()
    numbers = [ids.describe("pump", [modbus_drafts(tmp_path, scale, {})]) for scale in (0.1, 0.1, 0.01, 0.1)]
    assert [[tag.id for tag in fresh] for fresh in numbers] == [[0], [], [1], []]


def test_a_tag_has_one_id_before_and_after_its_device_is_reached(tmp_path: Path) -> None:
    """What the table says is known at once: bad samples of a start without the device begin no version of their own."""
    before = modbus_drafts(tmp_path, 0.1, {})
    assert (before.type, before.conversion) == ("float64", "int16 x 0.1")
    assert modbus_drafts(tmp_path, 0.1, {0: Facts(type="float64")}) == before

"""Laws of the asset's numbers: kept up as values move, they are what counting everything anew would give."""

from __future__ import annotations

import random

import pytest

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import NO_TIME, Quality, severity
from receiver.outputs.historian.views import AssetView, LatestView, TagView
from receiver.portal.freshness import Stale
from receiver.portal.plant_picture import LiveAsset, LiveTag, NeedsLook, Picture, ViewTime
from receiver.portal.steady import UNKNOWN

SECOND = 10**9
ASSETS = ("pump", "fan")
QUALITIES = (Quality.GOOD, Quality.GOOD, Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.BAD_SENSOR_FAILURE)
VALUES = (0.5, 5.0, 50.0, None, True, "text", float("nan"), 7)


def described(chance: random.Random, asset: str, first: int, old: bool) -> list[TagView]:
    """Ten tags with and without a band, read every second or every minute; one of them an older description."""
    views = []
    for at in range(10):
        low, high = chance.choice([(None, None), (1.0, 10.0), (None, 10.0), (1.0, None)])
        period = chance.choice([1.0, 60.0])
        tag = Tag(id=0, asset=asset, name=f"t{at}", normal_low=low, normal_high=high, scan_s=period)
        current = not (old and at == 9)
        views.append(TagView(series=first + at, site="", tag=tag, version=1, current=current))
    return views


def steady(seen_ns: int) -> int:
    """A clock that was never set."""
    return seen_ns


def unknown(seen_ns: int) -> int:
    """A renewal of which nobody knows the age."""
    return UNKNOWN


def stale(picture: Picture, live_asset: LiveAsset, at: ViewTime) -> list[LiveTag]:
    """All of its tags with a value, each judged by itself."""
    return [live_tag for live_tag in live_asset.tags if live_tag.seen_ns and picture.stale(live_tag, at)]


def check(picture: Picture, at: ViewTime) -> None:
    """Cards and the list of what needs a look against plain counting."""
    wanted, stale_alone, groups = [], [], []
    for live_asset in picture.assets.values():
        known = [live_tag for live_tag in live_asset.tags if live_tag.seen_ns]
        grades = [severity(live_tag.quality) for live_tag in known]
        card = picture.card(live_asset, at)
        assert card.silent == len(live_asset.tags) - len(known)
        assert (card.bad, card.uncertain) == (grades.count(2), grades.count(1))
        assert card.outside == sum(1 for live_tag in known if live_tag.outside)
        assert card.stale == len(stale(picture, live_asset, at))
        assert card.seen_ms == (max((live_tag.seen_ns for live_tag in known), default=0) / 1e6 or None)
        if live_asset.state != "down":
            odd = [live_tag for live_tag in known if severity(live_tag.quality) or live_tag.outside]
            wanted += [(-severity(live_tag.quality), live_tag.tag.asset, live_tag.series) for live_tag in odd]
            silent = [live_tag for live_tag in known if picture.stale(live_tag, at) is Stale.SILENT]
            only = [live_tag for live_tag in silent if live_tag not in odd]
            if len(only) == 1:
                stale_alone.append((live_asset.asset.name, only[0].series))
            elif only:
                groups.append((live_asset.asset.name, len(only), len(silent) < len(known)))
    found = picture.attention(at, limit=7)
    every = [series for *_, series in sorted(wanted)] + [series for _, series in sorted(stale_alone)]
    assert [live_tag.series for live_tag in found.tags] == every[:7], "what is only stale stands last"
    assert found.more == max(len(every) - 7, 0)
    assert [(one.asset, one.tags, one.others) for one in found.stale] == groups


@pytest.mark.parametrize("seed", range(20))
def test_numbers_kept_up_as_values_move_are_those_counted_anew(seed: int) -> None:
    """Values, renewals, descriptions, a dead link, a machine down, and a clock that steps back: after every step."""
    chance = random.Random(seed)
    picture, now_ns = Picture(), 1_800_000_000 * SECOND
    state = dict.fromkeys(ASSETS, "up")
    asked = 0
    for _ in range(300):
        do = chance.choice(["values", "values", "values", "wait", "wait", "long", "back", "state", "describe"])
        if do == "values":
            series = chance.sample(range(20), chance.randrange(1, 21))
            rows = [
                LatestView(one, 0, NO_TIME, chance.choice(VALUES), chance.choice(QUALITIES), 0, now_ns)
                for one in series
            ]
            picture.move(rows, chance.choice([steady, steady, unknown]))
        elif do in ("wait", "long", "back"):
            low, high = {"wait": (0, 3), "long": (0, 200), "back": (-100, 0)}[do]
            now_ns += round(chance.uniform(low, high) * SECOND)
        elif do == "state":
            state[chance.choice(ASSETS)] = chance.choice(["up", "up", "down"])
        if do in ("state", "describe"):
            views = [
                AssetView(asset=Asset(name=name), state=state[name], state_text="", state_ns=0, tags=10)
                for name in ASSETS
            ]
            picture.describe_assets(views, {})
        if do == "describe":
            at = chance.randrange(2)
            picture.describe_tags(ASSETS[at], described(chance, ASSETS[at], 10 * at, chance.random() < 0.5))
        if chance.random() < 0.7:
            asked += 1
            check(picture, ViewTime(now_ns, now_ns, chance.choice([0.5, 0.5, 0.5, 9.0, None])))
    assert asked > 100


class Judged(Picture):
    """Counts the tags that are judged."""

    times = 0

    def stale(self, live_tag: LiveTag, at: ViewTime) -> Stale | None:
        self.times += 1
        return super().stale(live_tag, at)


def test_a_tag_that_is_renewed_in_time_is_seldom_judged() -> None:
    """An overview costs what changed: a tag that is well is judged at most once in the time it may be silent."""
    picture, now_ns = Judged(), 1_800_000_000 * SECOND
    picture.describe_assets([AssetView(asset=Asset(name="a"), state="up", state_text="", state_ns=0, tags=1000)], {})
    tags = [Tag(id=0, asset="a", name=f"t{at}") for at in range(1000)]
    picture.describe_tags(
        "a", [TagView(series=at, site="", tag=tag, version=1, current=True) for at, tag in enumerate(tags)]
    )
    for _ in range(60):
        now_ns += SECOND
        picture.move([LatestView(one, 0, NO_TIME, 1.0, 0, 0, now_ns) for one in range(1000)], steady)
        assert picture.cards(ViewTime(now_ns, now_ns, 0.5))[0].stale == 0
        assert picture.attention(ViewTime(now_ns, now_ns, 0.5)) == NeedsLook(tags=[], more=0, stale=[])
    assert picture.times <= 1000 * 60 // 5

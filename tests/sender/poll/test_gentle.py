"""What the configuration refuses for a device's sake, and patterns, whose values only the device knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from polling import Fake, asset_toml, loaded, points_of, poll_for, scripted, sender_toml

from collectors.base import Collector, Device, Facts, Request, Scan
from protocol.content.sample import Columns, columns
from protocol.errors import ConfigError
from sender.poll.config import SenderConfig

TAG = 'name = "a", at = "0"'


def busy(requests: int) -> type[Fake]:
    """A collector whose scans cost so many requests."""

    class Busy(scripted()):  # type: ignore[misc]
        @classmethod
        def plan(cls, device: Device) -> list[Request]:
            return [
                Request(what=f"read {at}", every_s=scan.every_s, points=1, request_bytes=12, reply_bytes=12)
                for scan in device.scans
                for at in range(requests)
            ]

    return Busy


@pytest.mark.parametrize(
    ("more", "requests", "every", "allowed"),
    [
        ("", 1000, "100ms", None),
        ("requests_s = 20", 20, "1s", None),
        ("requests_s = 20", 21, "1s", "20"),
        ('class = "safety"', 5, "1s", None),
        ('class = "safety"', 6, "1s", "5"),
        ('class = "protection"', 11, "2s", "5"),
        ('class = "protection"\nrequests_s = 6', 12, "2s", None),
    ],
)
def test_a_plan_over_the_budget_is_refused(
    tmp_path: Path, more: str, requests: int, every: str, allowed: str | None
) -> None:
    """By `plan`, `send` and `--check` alike, since all read the file; the line says what is planned and allowed."""
    text = sender_toml(asset_toml("relay", TAG, every=every, more=more))
    if allowed is None:
        assert loaded(tmp_path, text, {"relay": busy(requests)}).assets
        return
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text, {"relay": busy(requests)})
    (line,) = str(caught.value).splitlines()[1:]
    assert line.strip().startswith("asset[0].requests_s (relay): ")
    assert f"{allowed} are allowed; " in line


def test_what_a_collector_does_not_offer_is_refused_rather_than_ignored(tmp_path: Path) -> None:
    """A fence that nobody keeps is worse than none."""
    more = 'never_read = ["1-2"]\nurls = ["fake:1", "fake:2"]'
    text = asset_toml("pump", 'name = "a", at = "0", most = 5', more=more).replace('url = "fake:1"\n', "")
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, sender_toml(text), {"pump": scripted()})
    keys = {line.strip().partition(" ")[0] for line in str(caught.value).splitlines()[1:]}
    assert keys == {"asset[0].never_read", "asset[0].urls", "asset[0].scan[0].tags[0].most"}


def test_a_device_has_one_address_or_several(tmp_path: Path) -> None:
    """`url` or `urls`, never both and never none."""
    kind = scripted()
    kind.offers = frozenset({"urls"})
    both = asset_toml("pump", TAG, more='urls = ["fake:2"]')
    none = asset_toml("pump", TAG).replace('url = "fake:1"\n', "")
    for text, key in ((both, "asset[0].urls"), (none, "asset[0].url")):
        with pytest.raises(ConfigError, match=r"asset\[0\]") as caught:
            loaded(tmp_path, sender_toml(text), {"pump": kind})
        assert key in str(caught.value)
    several = none.replace("[[asset.scan]]", 'urls = ["fake:1", "fake:2"]\n[[asset.scan]]')
    (asset,) = loaded(tmp_path, sender_toml(several), {"pump": kind}).assets
    assert (asset.device.url, asset.device.urls) == ("fake:1", ("fake:1", "fake:2"))


class Branch(scripted()):  # type: ignore[misc]
    """A device with a branch in which values come and go."""

    offers = frozenset({"most"})
    names: Sequence[str] = ()

    @classmethod
    def check(cls, device: Device) -> list[str]:
        return []

    @classmethod
    def spreads(cls, at: str) -> bool:
        return at.endswith("*")

    async def read(self, scan: Scan) -> Columns:
        numbers = [number for number in points_of(scan) if number in self.facts()]
        return columns(numbers, self.clock(), [float(number) for number in numbers])

    def facts(self) -> dict[int, Facts]:
        first = next(point.number for point in self.device.points if point.pattern)
        named = {
            first + at: Facts(type="float32", name=f"fan/{name}", address=name) for at, name in enumerate(self.names)
        }
        return {0: Facts(type="float64")} | named


def branch(tmp_path: Path, **members: Any) -> SenderConfig:
    """A plain tag and a pattern for at most four values."""
    kind: type[Collector] = type("Branched", (Branch,), {"made": [], **members})
    tags = (TAG, 'name = "fan", at = "fan/*", most = 4', 'name = "b", at = "1"')
    return loaded(tmp_path, sender_toml(asset_toml("plant", *tags)), {"plant": kind})


def test_a_pattern_becomes_a_tag_for_each_value_that_is_there(tmp_path: Path) -> None:
    """Named by the device; what is not there is no tag and has no row, good or bad."""
    sink = poll_for(branch(tmp_path, names=("speed", "power")), 2.5)
    assert {tag.name: tag.address for tag in sink.tags.values()} == {
        "a": "0",
        "fan/speed": "speed",
        "fan/power": "power",
        "b": "1",
    }
    assert {name for _, name, _ in sink.rows("plant")} == {"a", "b", "fan/speed", "fan/power"}
    values = {name: row.value for _, name, row in sink.rows("plant") if name.startswith("fan")}
    assert values == {"fan/speed": 1.0, "fan/power": 2.0}


def test_a_pattern_of_a_device_that_was_never_reached_is_no_tag_yet(tmp_path: Path) -> None:
    """Its other tags are, and are bad."""

    async def dead(self: Any) -> None:
        raise OSError("no route")

    sink = poll_for(branch(tmp_path, names=("speed",), open=dead), 5.5)
    assert {tag.name for tag in sink.tags.values()} == {"a", "b"}
    assert all(row.quality >> 31 for _, _, row in sink.rows("plant"))


def test_a_patterns_room_is_a_hundred_where_nothing_is_said(tmp_path: Path) -> None:
    """Point numbers behind it leave that room."""
    kind: type[Collector] = type("Branched", (Branch,), {"made": [], "names": ()})
    text = asset_toml("plant", 'name = "fan", at = "fan/*"', TAG)
    (asset,) = loaded(tmp_path, sender_toml(text), {"plant": kind}).assets
    assert [(point.number, point.count, point.pattern) for point in asset.device.points] == [
        (0, 100, True),
        (100, 1, False),
    ]

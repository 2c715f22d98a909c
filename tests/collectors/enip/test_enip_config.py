"""What a person types for a Logix device is understood or named, key by key, before anything is connected."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from enip_peer import asking, device

from collectors.base import Device, numbered
from collectors.enip.collector import LogixCollector
from collectors.enip.config import Address, Step, load, parse_address
from protocol.errors import ConfigError

SAMPLE = Path(__file__).parents[3] / "collectors" / "enip" / "sample.toml"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pressure", Address("", (Step("Pressure"),))),
        ("Program:Main.Speed", Address("Main", (Step("Speed"),))),
        ("Motors[2].Speed", Address("", (Step("Motors", (2,)), Step("Speed")))),
        ("Word.5", Address("", (Step("Word"),), 5)),
        ("Grid[1,2,3].Bits[4].0", Address("", (Step("Grid", (1, 2, 3)), Step("Bits", (4,))), 0)),
        ("Local:1:I.Ch0Data", Address("", (Step("Local:1:I"), Step("Ch0Data")))),
        (
            "program:Cell_1.Line.Drive[0].Word.31",
            Address("Cell_1", (Step("Line"), Step("Drive", (0,)), Step("Word")), 31),
        ),
    ],
)
def test_an_address_is_taken_apart_and_put_together_again(text: str, expected: Address) -> None:
    """Every notation means its steps, and its text names the same address."""
    assert parse_address(text) == expected
    assert parse_address(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "a b", "a..b", ".a", "a.", "a[", "a[]", "a[x]", "a[1,2,3,4]", "a[-1]", "a[1][2]", "a.64"),
        *("Program:Main", "Program:.a", "Program:Main.", "9a", "a{5}", "a/b", "ä", "x" * 41, "a[99999999999]", "5.5"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Anything else is a mistake with the tag's name in front."""
    with pytest.raises(ValueError, match=r".+"):
        parse_address(text)
    (mistake,) = LogixCollector.check(device(1, [{"name": "tag", "at": text}]))
    assert mistake.startswith("tags.tag.at: ")


@pytest.mark.parametrize(
    ("url", "host", "port", "route"),
    [
        ("enip://10.0.0.9", "10.0.0.9", 44818, ((1, "0"),)),
        ("enip://10.0.0.9:2222", "10.0.0.9", 2222, ((1, "0"),)),
        ("enip://10.0.0.9:65535/1", "10.0.0.9", 65535, ((1, "1"),)),
        ("enip://plc-7.example/backplane/2", "plc-7.example", 44818, ((1, "2"),)),
        (
            "enip://10.0.0.9/bp/2/enet/192.168.1.5/backplane/0",
            "10.0.0.9",
            44818,
            ((1, "2"), (2, "192.168.1.5"), (1, "0")),
        ),
        ("enip://[::1]:44818", "::1", 44818, ((1, "0"),)),
    ],
)
def test_a_url_names_host_port_and_route(url: str, host: str, port: int, route: tuple[tuple[int, str], ...]) -> None:
    """Slot and routes stand after the slash; without one it is slot 0."""
    config = load(replace(device(1, []), url=url))
    assert (config.host, config.port, config.route) == (host, port, route)


@pytest.mark.parametrize(
    "url",
    [
        "10.0.0.9",
        "tcp://10.0.0.9",
        "enip://",
        "enip://10.0.0.9:0",
        "enip://10.0.0.9/a",
        "enip://h/1/2/3",
        "enip://h/999",
    ],
)
def test_a_wrong_url_is_named(url: str) -> None:
    """Each wrong part is one mistake that begins with `url`."""
    mistakes = LogixCollector.check(replace(device(1, []), url=url))
    assert [mistake.partition(":")[0] for mistake in mistakes] == ["url"]


def test_every_mistake_is_named_at_once() -> None:
    """Wrong url, settings and tags each give a line with their key; nothing is raised until it is loaded."""
    tags: list[dict[str, Any]] = [
        {"name": "a", "at": "x", "type": "float31"},
        {"name": "b", "at": "Word.3", "count": 4},
        {"name": "c", "at": "x", "count": 0},
        {"name": "d", "at": "x", "scale": "two"},
        {"name": "e", "at": "x", "dead_band": 1},
        {"name": "f", "at": "x", "type": "string", "scale": 2.0},
    ]
    given = device(1, tags, slot=300, large_forward_open="no", slots=1)
    mistakes = LogixCollector.check(given)
    assert [mistake.partition(": ")[0] for mistake in mistakes] == [
        *("enip.slot", "enip.large_forward_open", "enip.slots", "tags.a.type", "tags.b.count", "tags.c.count"),
        *("tags.d.scale", "tags.e.dead_band", "tags.f.scale"),
    ]
    with pytest.raises(ConfigError):
        LogixCollector(given, clock=lambda: 0, refused=print)


def test_the_pollers_own_keys_pass() -> None:
    """Deadband, description and ranges belong to others and are no mistake here."""
    tag = {"name": "a", "at": "x", "deadband": 0.1, "max_silence": "60s", "description": "d", "low": 0, "high": 9}
    assert LogixCollector.check(device(1, [tag])) == []


def test_a_slot_is_given_once() -> None:
    """A slot in the url and in the settings is a mistake, even if they agree."""
    given = device(1, [], slot=1)
    assert LogixCollector.check(given) == []
    assert len(LogixCollector.check(replace(given, url=given.url + "/1"))) == 1


def sample() -> Device:
    """The shipped sample as a device."""
    (asset,) = tomllib.loads(SAMPLE.read_text(encoding="utf-8"))["asset"]
    assert asset["collector"] == "enip"
    scans = numbered([(1.0, scan["tags"]) for scan in asset["scan"]])
    return Device(name=asset["name"], url=asset["url"], kind="process", settings=asset.get("enip", {}), scans=scans)


def test_the_sample_is_right() -> None:
    """The shipped sample has no mistake, and its plan has a request for each scan."""
    assert LogixCollector.check(sample()) == []
    assert len(LogixCollector.plan(sample())) >= 2 * len(sample().scans)


def test_the_plan_packs_as_the_connection_allows() -> None:
    """300 numbers fit two large packets but many small ones; a long array is read in parts; each point counts once."""
    numbers: list[dict[str, Any]] = [{"at": f"Pressure_{at:03d}", "type": "float32"} for at in range(300)]
    tags = [*numbers, {"name": "p", "at": "Profile[0]", "count": 2000, "type": "float32"}]
    large = LogixCollector.plan(device(1, tags))
    small = LogixCollector.plan(device(1, tags, large_forward_open=False))
    assert sum(request.points for request in large) == 2300 == sum(request.points for request in small)
    assert len([request for request in large if "together" in request.what]) <= 3
    assert len([request for request in small if "together" in request.what]) == 17
    assert len([request for request in large if "part" in request.what]) == 3
    for request in large:
        assert request.request_bytes <= 4100
        assert request.reply_bytes <= 4100
    for request in small:
        assert request.request_bytes <= 600
        assert request.reply_bytes <= 600


def test_the_plan_of_a_safety_device_asks_for_the_typed_tags_only() -> None:
    """No tag list, no change counts: the requests are the tags, and each of them once at a connect."""
    requests = LogixCollector.plan(device(1, asking("a", "b"), kind="safety"))
    assert [request.what for request in requests if request.every_s == 1.0] == ["read 2 tags together: a, b"]
    (opening,) = [request.what for request in requests if request.every_s > 1.0]
    assert "tag list" not in opening
    assert "each of 2 tags once" in opening

"""An OPC UA configuration is understood, or each of its mistakes is named with its key and the next step."""

from __future__ import annotations

from pathlib import Path
from tomllib import loads
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.base import Device, numbered
from collectors.opcua import config, units
from collectors.opcua.address import Address, NodeAddress, PathAddress, Space, parse, path_of
from collectors.opcua.config import load, mistakes, requests
from protocol.content import ucum
from protocol.errors import ConfigError

LAW = settings(max_examples=50, deadline=None, derandomize=True, database=None)

GUID = "09087e75-8e5e-499b-954f-f2a9603db28a"
TAG = {"name": "p", "at": "ns=2;s=Pump"}
SECURED: dict[str, Any] = {"security": "Basic256Sha256", "certificate": __file__, "key": __file__}


def device(*tags: dict[str, Any], url: str = "opc.tcp://10.0.0.9:4840", every: float = 1.0, **settings: Any) -> Device:
    """A server of one scan."""
    return Device(name="t", url=url, kind="process", settings=settings, scans=numbered([(every, tags)]))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("i=2258", NodeAddress(identifier=2258)),
        ("ns=2;i=4294967295", NodeAddress(identifier=4294967295, namespace=2)),
        ("ns=2;s=Pump.Pressure", NodeAddress(identifier="Pump.Pressure", namespace=2)),
        ("ns=2;s=a;b=c/d", NodeAddress(identifier="a;b=c/d", namespace=2)),
        (f"ns=3;g={GUID}", NodeAddress(identifier=UUID(GUID), namespace=3)),
        ("ns=3;b=AP8=", NodeAddress(identifier=b"\0\xff", namespace=3)),
        ("nsu=http://acme.example/plc;s=Pump", NodeAddress(identifier="Pump", uri="http://acme.example/plc")),
        ("/Objects/2:Plant/2:Pump", PathAddress(steps=((0, "Objects"), (2, "Plant"), (2, "Pump")))),
        ("/0:Objects/2:a&/b&:c&&d", PathAddress(steps=((0, "Objects"), (2, "a/b:c&d")))),
        ("/Objects/2:Druck Nr. 1", PathAddress(steps=((0, "Objects"), (2, "Druck Nr. 1")))),
    ],
)
def test_a_node_is_named_in_three_notations(text: str, address: Address) -> None:
    """By id, by id with the namespace's uri, by browse path."""
    assert parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "Pump", "ns=2", "ns=2;x=1", "ns=;i=1", "ns=65536;i=1", "i=-1", "i=4294967296", "i=٣", "ns=2;g=1", "b=!"),
        *(
            "nsu=;i=1",
            "/",
            "/Plant",
            "/Objects/",
            "/Objects//a",
            "/2:Objects",
            "/Objects/2:a:b",
            "/Objects/2:a&",
            "2258",
        ),
    ],
)
def test_no_node_is_guessed(text: str) -> None:
    """What is none of the notations is refused."""
    assert parse(text) is None


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8) | st.sampled_from([";", "nsu=a;b", "&n", "a&*"])
URIS = st.sampled_from(["urn:a;b", "http://a/b%3B&c", "x", "%25"])


@LAW
@given(st.lists(st.tuples(st.integers(0, 65535) | URIS, NAMES), max_size=5))
def test_a_path_is_read_as_it_was_written(steps: list[tuple[Space, str]]) -> None:
    """Whatever signs its names have."""
    whole = ((0, "Objects"), *steps)
    assert parse(path_of(whole)) == PathAddress(steps=whole)


@pytest.mark.parametrize(
    ("made", "key", "step"),
    [
        (device(TAG, url="tcp://h:4840"), "url", "opc.tcp://"),
        (device(TAG, url="opc.tcp://u:p@h:4840"), "url", "take it out"),
        (device(TAG, mode="listen"), "opcua.mode", "subscribe, poll"),
        (device(TAG, sampling_ms=-1), "opcua.sampling_ms", "from 0"),
        (device(TAG, mode="poll", sampling_ms=100), "opcua.sampling_ms", "take it out"),
        (device(TAG, security="Basic128Rsa15"), "opcua.security", "Basic256Sha256"),
        (device(TAG, certificate=__file__), "opcua.security", "Basic256Sha256"),
        (device(TAG, certificate="/no/such/file"), "opcua.certificate", "whole path"),
        (device(TAG, security="Basic256Sha256", certificate=__file__), "opcua.key", "key ="),
        (device(TAG, password_file=__file__, plain_password=True), "opcua.user", "user"),
        (device(TAG, user="u", password_file=__file__), "opcua.password_file", "plain_password = true"),
        (device(TAG, pasword_file="x"), "opcua.pasword_file", "did you mean password_file"),
        (device(TAG, **SECURED), "opcua.server_certificate", "trust_any = true"),
        (device(TAG, **SECURED, trust_any=True, server_certificate=__file__), "opcua.server_certificate", "trust_any"),
        (device(TAG, **SECURED, trust="/no/such/folder"), "opcua.trust", "whole path"),
        (device(TAG, trust_any=True), "opcua.trust_any", "set security"),
        (device(TAG, **SECURED, trust_any=True, user_certificate=__file__), "opcua.user_certificate", "both files"),
        (
            device(TAG, **SECURED, trust_any=True, user_certificate=__file__, user_key=__file__, user="u"),
            "opcua.user_certificate",
            "keep one",
        ),
        (device(TAG, time="plc"), "opcua.time", "source, server, read"),
        (device(TAG, time_offset="two hours"), "opcua.time_offset", 'write "-2h"'),
        (device(TAG, time_offset="--2h"), "opcua.time_offset", 'write "-2h"'),
        (device(TAG, time_offset="25h"), "opcua.time_offset", "at most a day"),
        (device(TAG, time="read", time_offset="2h"), "opcua.time_offset", "take it out"),
        (device(TAG, events="some"), "opcua.events", "none, conditions, all"),
        (device(TAG, notifiers=["i=2253"]), "opcua.notifiers", 'events = "conditions"'),
        (device(TAG, events="all", notifiers=["/Objects/*"]), "opcua.notifiers", "i=2253"),
        (device(TAG, events="all", least_severity=0), "opcua.least_severity", "from 1"),
        (device({**TAG, "at": "/Objects/2:Plant/*"}), "tags.p.at", "name a node"),
        (device({**TAG, "path": "Pump"}), "tags.p.path", "/Objects/"),
        (device({**TAG, "at": "/Objects/2:P", "path": "/Objects/2:P"}), "tags.p.path", "take it out"),
        (device({**TAG, "at": "Pump"}), "tags.p.at", "ns=2;s=Name"),
        (device({**TAG, "type": "real"}), "tags.p.type", "float32"),
        (device({**TAG, "scale": 2}), "tags.p.scale", "take it out"),
        (device({**TAG, "count": 0}), "tags.p.count", "from 1"),
    ],
)
def test_each_mistake_is_named_with_its_key_and_the_next_step(made: Device, key: str, step: str) -> None:
    """One line, `key: what is wrong; next step`."""
    lines = mistakes(made)
    assert [line.partition(": ")[0] for line in lines][:1] == [key]
    assert step in lines[0].partition("; ")[2]


def test_a_device_with_mistakes_cannot_be_built() -> None:
    """Who skips `check` gets the same lines as an error."""
    with pytest.raises(ConfigError, match=r"tags\.p\.at"):
        load(device({**TAG, "at": "x"}))


def test_queues_hold_what_comes_between_two_publishings() -> None:
    """Twice the samples of a period, ten at least; or what was asked for."""
    (slow,) = load(device(TAG)).watches
    assert (slow.sampling_ms, slow.queue, slow.buffer) == (1000, config.LEAST_QUEUE, config.BUFFER)
    (fast,) = load(device(TAG, every=2.0, sampling_ms=50)).watches
    assert (fast.sampling_ms, fast.queue) == (50, 80)
    (asked,) = load(device(TAG, queue=3, buffer=7)).watches
    assert (asked.queue, asked.buffer) == (3, 7)


def test_the_plan_shows_each_request_and_the_watchdog() -> None:
    """Polling 1,200 nodes takes three requests of at most 500."""
    tags = [{"name": f"t{i}", "at": f"ns=2;s=T{i}"} for i in range(1200)]
    polled = requests(device(*tags, mode="poll"))
    assert [one.what for one in polled] == ["read 500 values"] * 2 + ["read 200 values", config.PROBE]
    assert polled[0].points == 500
    assert polled[-1].every_s == config.WATCHDOG_S
    heard = requests(device(*tags, sampling_ms=250))
    assert heard[0].what == "publish up to 500 values, sampled every 250 ms"


def test_the_plan_shows_what_a_pair_and_alarms_cost() -> None:
    """ServiceLevel of one of several servers, and what happens."""
    pair = Device(
        name="t",
        url="opc.tcp://a",
        urls=("opc.tcp://a", "opc.tcp://b"),
        kind="process",
        settings={"events": "conditions"},
        scans=numbered([(1.0, [TAG])]),
    )
    asked = [one.what for one in requests(pair)][1:]
    assert asked == [config.PROBE, config.LEVEL, "publish alarms of 1 nodes"]


def test_the_sample_file_is_sound() -> None:
    """What people copy from works."""
    path = Path(config.__file__).with_name("sample.toml")
    (asset,) = loads(path.read_text())["asset"]
    scans = numbered([(1.0, scan["tags"]) for scan in asset["scan"]])
    made = Device(name=asset["name"], url=asset["url"], kind=asset["class"], settings=asset["opcua"], scans=scans)
    assert mistakes(made) == []
    assert len(load(made).watches) == len(asset["scan"]) > 1


def test_units_become_ucum_codes() -> None:
    """The number is certain; without it the shown text is taken, in its right spelling where that is known."""
    assert units.ucum(units.UNECE_URI, 4408652, "°C") == "Cel"
    assert units.ucum(units.UNECE_URI, int.from_bytes(b"MQH"), None) == "m3/h"
    assert units.ucum("http://other.example", 4408652, "°C") == "Cel"
    assert units.ucum(None, -1, "rpm") == "r/min"
    assert units.ucum(None, 0, " bar ") == "bar"
    assert units.ucum(None, 0, "furlong") == "furlong"
    assert units.ucum(None, 0, None) == ""


def test_every_unit_in_the_table_is_a_ucum_code() -> None:
    """Or the catalog would warn about what we made ourselves."""
    assert len(units.UCUM_OF) > 100
    assert [code for code in units.UCUM_OF.values() if not ucum.known(code)] == []

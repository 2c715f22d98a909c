"""The configuration: what is right loads with its defaults; every mistake of a file is named at once, with its key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from polling import asset_toml, loaded, scripted, sender_toml

from collectors.base import Device
from collectors.settings import ASSETS_KEYS
from protocol.errors import ConfigError
from sender.poll.config import devices, load
from sender.poll.tables import AssetTable

HEAD = 'site = "north"\n[keys]\nown = "keys/high"\nreceivers = ["keys/low.pub"]\n'
OUTLET = '[outlet]\nto = "127.0.0.1:5005"\n'

LINE = re.compile(r" \(line [0-9]+\)$")
"""What tells where in the file a mistake stands."""

KINDS = {"fake": scripted(), "notify": scripted(subscribes=True)}


def refused(folder: Path, text: str) -> dict[str, str]:
    """Key path -> what is wrong, of a file that must be refused."""
    with pytest.raises(ConfigError) as error:
        loaded(folder, text, KINDS)
    lines = [LINE.sub("", line) for line in str(error.value).splitlines()[1:]]
    assert all("; " in line for line in lines), "a mistake without a next step"
    return {line.split(": ")[0].split(" (")[0].strip(): line.split(": ", 1)[1] for line in lines}


def test_every_key_that_is_sent_home_to_the_asset_is_one_of_its_own() -> None:
    """A fence in a table below it is told where it belongs, not to be taken out."""
    assert {one.alias or name for name, one in AssetTable.model_fields.items()} >= ASSETS_KEYS


def test_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    """A file with the least in it: safe values everywhere, paths beside the file."""
    config = loaded(tmp_path, sender_toml(asset_toml("pump", 'name = "a", at = "0"', collector="fake")), KINDS)
    outlet = config.outlet
    assert (outlet.to, outlet.rate_mbit, outlet.mtu, outlet.spread_ms) == (("127.0.0.1", 5005), 20, 1500, 50)
    assert (outlet.loss_target, outlet.spare, outlet.repeat, outlet.burst) == (None, None, (20, 900), None)
    assert (config.spool.keep, config.spool.max_gb) == (14 * 86_400, 20)
    assert config.keys.own == tmp_path / "keys/high"
    assert config.keys.receivers == (tmp_path / "keys/low.pub",)
    assert config.state == tmp_path / "state"
    (device,) = devices(config)
    assert (device.kind, device.timeout_s, device.scans[0].every_s) == ("process", 3.0, 1.0)
    assert (device.points[0].type, device.points[0].count, dict(device.points[0].options)) == (None, 1, {})


def test_tag_keys_of_the_collector_reach_it(tmp_path: Path) -> None:
    """Extra keys of a tag go to the point's options, the collector's table to the device's settings, no other does."""
    tags = (
        'name = "a", at = "0", type = "int16", unit = "bar", deadband = 1, scale = 0.1',
        'name = "b", at = "1", count = 3',
    )
    text = asset_toml("pump", *tags, collector="fake", more="[asset.fake]\nunit = 7").replace(
        "[[asset.scan]]", "[[asset.scan]]"
    )
    (device,) = devices(loaded(tmp_path, sender_toml(text), KINDS))
    assert dict(device.settings) == {"unit": 7}
    assert dict(device.points[0].options) == {"scale": 0.1}
    assert [point.number for point in device.points] == [0, 1]
    assert device.points[1].count == 3


def test_silence_follows_from_how_a_tag_is_sent(tmp_path: Path) -> None:
    """The scan's period where every poll is sent, 60 s by deadband or subscription, else what is written."""
    tags = (
        'name = "a", at = "0"',
        'name = "b", at = "1", deadband = "1%", range = [-10, 40]',
        'name = "c", at = "2", deadband = 0, max_silence = "5m"',
    )
    text = asset_toml("p", *tags, collector="fake") + asset_toml("q", tags[0], collector="notify", every="2m")
    config = loaded(tmp_path, sender_toml(text), KINDS)
    silences = [one.silence_s for asset in config.assets for one in asset.watched]
    assert silences == [1.0, 60.0, 300.0, 120.0]
    assert [one.table.change for one in config.assets[0].watched] == [None, 0.5, 0.0]


def test_ten_mistakes_are_ten_lines(tmp_path: Path) -> None:
    """One mistake never hides another: of the file, of its tables, between keys, between assets, of a collector."""
    text = (
        'site = ""\noutlets = 1\n'
        '[outlet]\nto = "plant.example:5005"\nmtu = 100\nloss_target = "1%"\nspare = "10%"\nrepeat = ["15m", "20s"]\n'
        '[keys]\nown = "keys/high"\nreceivers = []\n'
        + asset_toml(
            "pump", 'name = "a", at = "x"', 'name = "a", at = "1"', 'at = "2", type = "flot32"', collector="fake"
        )
        + asset_toml("pump", 'name = "a", at = "0", deadband = "1%"', 'name = "b"', every="1 second", collector="fake")
        + asset_toml("fan", 'name = "a", at = "0"', collector="fieldbus")
        + asset_toml(
            "belt", 'name = "a", at = "0"', collector="fake", more='class = "critical"\ntimeout = 3\nkolor = "red"'
        )
    ).replace('url = "fake:1"', 'url = "other:1"', 1)
    mistakes = refused(tmp_path, text)
    assert set(mistakes) == {
        "site",
        "outlets",
        "outlet.to",
        "outlet.mtu",
        "outlet.spare",
        "outlet.repeat",
        "keys.receivers",
        "asset[0].url",
        "asset[0].scan[0].tags[0].at",
        "asset[0].scan[0].tags[1].name",
        "asset[0].scan[0].tags[2].name",
        "asset[0].scan[0].tags[2].type",
        "asset[1].name",
        "asset[1].scan[0].every",
        "asset[1].scan[0].tags[0].deadband",
        "asset[1].scan[0].tags[1].at",
        "asset[2].collector",
        "asset[3].class",
        "asset[3].timeout",
        "asset[3].kolor",
    }
    assert mistakes["outlets"] == "unknown key; did you mean outlet?"
    assert mistakes["asset[2].collector"] == "collector 'fieldbus' is not installed; installed are: fake"
    assert 'such as "1s"' in mistakes["asset[3].timeout"]


def test_mistake_names_asset_and_tag(tmp_path: Path) -> None:
    """A path of numbers is for programs; people are told the names too."""
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, sender_toml(asset_toml("pump", 'name = "flow", at = "x"', collector="fake")), KINDS)
    assert "asset[0].scan[0].tags[0].at (pump, flow): 'x' is no number; write 0" in str(error.value)
    assert "has 1 mistake:" in str(error.value)
    assert "--check" in error.value.hint


def test_finding_of_a_collector_stands_where_its_tag_stands(tmp_path: Path) -> None:
    """Also for tags whose names have dots; what is no tag's is the asset's."""

    class Strict(scripted()):  # type: ignore[misc]
        @classmethod
        def check(cls, device: Device) -> list[str]:
            return [
                "tags.Pump.Speed.at: no; x",
                "tags.Pump.Speed.a.b: no; x",
                "tags.None.at: no; x",
                "fake.unit: no; x",
            ]

    text = asset_toml("p", 'name = "Pump", at = "0"', 'name = "Pump.Speed", at = "1"', collector="fake")
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, sender_toml(text), {"fake": Strict})
    lines = [LINE.sub("", line).strip() for line in str(error.value).splitlines()[1:]]
    assert lines == [
        "asset[0].scan[0].tags[1].at (p, Pump.Speed): no; x",
        "asset[0].scan[0].tags[1].a.b (p, Pump.Speed): no; x",
        "asset[0].tags.None.at (p): no; x",
        "asset[0].fake.unit (p): no; x",
    ]


def test_broken_toml_names_its_line(tmp_path: Path) -> None:
    """A file that is no TOML is refused with the line, a file that is not there with a next step."""
    with pytest.raises(ConfigError, match="line 3"):
        loaded(tmp_path, 'site = "north"\n\n[outlet\n', KINDS)
    (tmp_path / "sender.toml").unlink()
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path / "sender.toml")
    (tmp_path / "sender.toml").write_bytes(b'site = "\xff"')
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "sender.toml")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('to = "239.0.0.1:5005"', "outlet.to"),
        ("rate_mbit = 0", "outlet.rate_mbit"),
        ('rate_mbit = "20"', "outlet.rate_mbit"),
        ("rate_mbit = nan", "outlet.rate_mbit"),
        ("mtu = 1500.5", "outlet.mtu"),
        ('loss_target = "60%"', "outlet.loss_target"),
        ("spare = 0.1", "outlet.spare"),
        ("spread_ms = -1", "outlet.spread_ms"),
        ('repeat = "20s"', "outlet.repeat"),
        ('repeat = ["20s", 5]', "outlet.repeat[1]"),
        ('repeat = ["0s"]', "outlet.repeat[0]"),
        ('burst = "1kB"', "outlet.burst"),
        ("listen = 5005", "outlet.listen"),
    ],
)
def test_outlet_refuses(tmp_path: Path, line: str, key: str) -> None:
    """Each key of the outlet has its range; there is no listening key."""
    outlet = f"[outlet]\n{line}\n" if line.startswith("to") else f"{OUTLET}{line}\n"
    assert set(refused(tmp_path, HEAD + outlet)) == {key}


@pytest.mark.parametrize(
    ("tag", "key"),
    [
        ('name = "a", at = "0", count = 0', "count"),
        ('name = "a", at = "0", range = [5, 1]', "range"),
        ('name = "a", at = "0", low = 5, high = 1', "low"),
        ('name = "a", at = "0", range = [0, 1], low = 0', "range"),
        ('name = "a", at = "0", normal = 5', "normal"),
        ('name = "a", at = "0", deadband = -1', "deadband"),
        ('name = "a", at = "0", deadband = nan', "deadband"),
        ('name = "a", at = "0", type = "bool", deadband = 0.5', "deadband"),
        ('name = "a", at = "0", deadband = 1, max_silence = "500ms"', "max_silence"),
        ('name = "a", at = "0", states = "on"', "states"),
        ('name = "", at = "0"', "name"),
        ('name = "a\\tb", at = "0"', "name"),
        ("name = 5, at = 0", "name"),
    ],
)
def test_tag_refuses(tmp_path: Path, tag: str, key: str) -> None:
    """Each key of a tag has its range."""
    mistakes = refused(tmp_path, sender_toml(asset_toml("pump", tag, collector="fake")))
    assert f"asset[0].scan[0].tags[0].{key}" in mistakes


def test_array_element_is_a_name_too(tmp_path: Path) -> None:
    """A tag called like an array's element would be two tags of one name."""
    tags = ('name = "a", at = "0", count = 2', 'name = "a[1]", at = "5"')
    mistakes = refused(tmp_path, sender_toml(asset_toml("pump", *tags, collector="fake")))
    assert list(mistakes) == ["asset[0].scan[0].tags[1].name"]


def test_tables_of_the_wrong_shape_are_named(tmp_path: Path) -> None:
    """A table where a list belongs, a number where a table belongs: named, not a traceback."""
    shapes = {
        "asset = 5": "asset",
        "asset = [5]": "asset[0]",
        "outlet = 5": "outlet",
        '[[asset]]\nname = "p"\nurl = "fake:1"\ncollector = "fake"\nscan = 5': "asset[0].scan",
        '[[asset]]\nname = "p"\nurl = "fake:1"\ncollector = "fake"\nfake = 5': "asset[0].fake",
        '[[asset]]\nname = "p"\nurl = "fake:1"\ncollector = 5': "asset[0].collector",
        '[[asset]]\nname = "p"\nurl = "fake:1"\ncollector = "fake"\n[asset.other]\nx = 1': "asset[0].other",
        '[[asset]]\nname = "p"\nurl = "fake:1"\ncollector = "fake"\n[[asset.scan]]\nevery = "1s"\ntags = [1]': (
            "asset[0].scan[0].tags[0]"
        ),
    }
    for text, key in shapes.items():
        head = HEAD if text.startswith("outlet") else HEAD + OUTLET
        whole = text + "\n" + head if not text.startswith("[") else head + text
        assert key in refused(tmp_path, whole), text


def test_what_may_be_meant_is_a_warning(tmp_path: Path) -> None:
    """Unknown units, useless keys, empty scans and keys not yet made load, with a warning each."""
    tags = ('name = "a", at = "0", unit = "degC"', 'name = "b", at = "1", max_silence = "5m"')
    text = asset_toml("pump", *tags, collector="fake") + asset_toml("idle", collector="fake")
    config = loaded(tmp_path, sender_toml(text), KINDS)
    told = "\n".join(config.warnings)
    assert (
        'asset[0].scan[0].tags[0].unit (pump, a): "degC" is no UCUM code that is known here; did you mean "Cel"?'
        in told
    )
    assert "asset[0].scan[0].tags[1].max_silence" in told
    assert "asset[1].scan" in told
    assert "keys/low.pub is not there yet" in told


def test_file_without_assets_is_right(tmp_path: Path) -> None:
    """A first file may have no device yet; it says so."""
    config = loaded(tmp_path, sender_toml(""), KINDS)
    assert config.assets == ()
    assert any("discover" in line for line in config.warnings)


def test_digest_is_of_the_bytes(tmp_path: Path) -> None:
    """A comment changes the digest: it names the file, not its meaning."""
    one = loaded(tmp_path, sender_toml(""), KINDS).digest
    two = loaded(tmp_path, sender_toml("# \n"), KINDS).digest
    assert one != two
    assert tomllib.loads((tmp_path / "sender.toml").read_text())["site"] == "north"

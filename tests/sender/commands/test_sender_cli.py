"""The high side's commands: what they print, and that a draft is a right configuration."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from polling import Fake, asset_toml, loaded, sender_toml

import checkvalve
from collectors import registry
from collectors.base import Collector, Device, Draft, Identity
from protocol.errors import AssetError, ConfigError
from protocol.process.statusfile import write_status
from sender.commands import cli
from sender.commands.draft import asset_section
from sender.commands.forecast import DeviceLoad
from sender.commands.link_load import lines, link_load
from sender.geometry import Geometry
from sender.poll import config

TAGS: tuple[Mapping[str, Any], ...] = (
    {"name": "flow", "at": "0", "type": "float32", "unit": "m3/h"},
    {"name": 'odd "name" \\ é', "at": "1", "count": 3},
    {"name": "flow", "at": "2"},
    {"name": "strange", "at": "3", "type": "matrix"},
    {"name": "unread", "at": "x"},
    {"name": "unwritable", "at": "4", "nested": object()},
)


class Browsable(Fake):
    """A device that can be browsed."""

    made: ClassVar[list[Fake]] = []
    broken = False

    async def open(self) -> None:
        if type(self).broken:
            raise AssetError("no route to host", quality=0x80050000)

    async def discover(self, ranges: Sequence[str] = ()) -> Draft:
        who = Identity(vendor="Acme\nPumps", model="CX", serial="7", firmware="4.1")
        return Draft(identity=who, tags=TAGS, notes=("two tags\ncannot be read",))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fake` is the only collector there is."""

    def find(name: str) -> type[Collector]:
        if name != "fake":
            raise ConfigError(f"collector {name!r} is not installed", hint="installed are: fake")
        return Browsable

    monkeypatch.setattr(registry, "load", find)
    monkeypatch.setattr(config.load, "__kwdefaults__", {"find": find, "look": False, "source": None})
    monkeypatch.setattr(Browsable, "broken", False)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    code = checkvalve.main(words)
    out, err = capsys.readouterr()
    return code, out, err


def section_of(tags: tuple[Mapping[str, Any], ...]) -> str:
    """The drafted section of a device with these tags."""
    device = Device(name="pump", url="fake:1", kind="safety", settings={"unit": 3}, scans=())
    draft = Draft(identity=Identity(vendor="Acme\nPumps", model="CX"), tags=tags, notes=("a\nb",))
    return asset_section(device, Browsable, draft)


@pytest.mark.parametrize("tags", [TAGS, ()])
def test_draft_is_a_right_configuration(tmp_path: Path, tags: tuple[Mapping[str, Any], ...]) -> None:
    """Behind a head of its own the draft loads; what could not stand is a comment with its reason."""
    section = section_of(tags)
    read = loaded(tmp_path, sender_toml(section), {"fake": Browsable})
    (asset,) = read.assets
    assert (asset.table.kind, asset.table.model, asset.table.vendor) == ("safety", "CX", ("Acme Pumps",))
    assert dict(asset.device.settings) == {"unit": 3}
    assert [point.name for point in asset.device.points] == (["flow", 'odd "name" \\ é'] if tags else [])
    comments = [line for line in section.splitlines() if line.startswith("# {")]
    assert len(comments) == (4 if tags else 0)
    assert "# a\\nb" in section


@pytest.mark.usefixtures("fake")
def test_discover_prints_toml_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed can be appended to a file as it stands."""
    code, out, err = printed(capsys, "discover", "fake", "fake:10.0.0.7", "--set", "unit=3", "--set", "order=big")
    assert (code, err) == (0, "")
    (asset,) = tomllib.loads(out)["asset"]
    assert asset["fake"] == {"unit": 3, "order": "big"}
    assert asset["name"] == "asset-fake-10-0-0-7"
    assert [made.closed for made in Browsable.made[-1:]] == [1]


@pytest.mark.usefixtures("fake")
def test_discover_of_a_silent_device_is_the_operators(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer, a wrong url, a wrong --set and an unknown collector: exit 2, the device and a next step."""
    monkeypatch.setattr(Browsable, "broken", True)
    code, out, err = printed(capsys, "discover", "fake", "fake:1")
    assert (code, out) == (2, "")
    assert "error: fake:1: no route to host\nhint: " in err
    for words in (
        ["fake", "tcp://1"],
        ["fake", "fake:1", "--set", "unit"],
        ["profibus", "x"],
        ["fake", "fake:1", "--timeout", "3"],
    ):
        code, _, err = printed(capsys, "discover", *words)
        assert code == 2
        assert err.startswith("error: ")


@pytest.mark.usefixtures("fake")
def test_check_names_mistakes_and_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`send --check` starts nothing: 0 with the warnings, or 2 with every mistake."""
    file = tmp_path / "sender.toml"
    file.write_text(sender_toml(asset_toml("pump", 'name = "a", at = "0", unit = "degC"', collector="fake")))
    code, out, err = printed(capsys, "send", str(file), "--check")
    assert code == 0
    assert "right (1 asset, 1 tag, 3 warnings)" in out
    assert 'warning: asset[0].scan[0].tags[0].unit (pump, a): "degC"' in err
    file.write_text(sender_toml(asset_toml("pump", 'name = "a", at = "x"', 'name = "a", at = "y"', collector="fake")))
    code, out, err = printed(capsys, "send", str(file), "--check")
    assert (code, out) == (2, "")
    assert "has 3 mistakes:" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sender.toml"]


@pytest.mark.usefixtures("fake")
def test_plan_shows_every_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For people a table a device and the link's load; for programs one object; no device is touched."""
    file = tmp_path / "sender.toml"
    tags = ('name = "a", at = "0"', 'name = "b", at = "1", count = 99')
    file.write_text(sender_toml(asset_toml("pump", *tags, collector="fake", every="100ms")))
    before = len(Browsable.made)
    code, out, _ = printed(capsys, "plan", str(file), "--json")
    told = json.loads(out)
    assert code == 0
    assert told["devices"][0]["requests"][0]["what"] == "read all"
    assert told["devices"][0]["requests_s"] == pytest.approx(10)
    assert told["devices"][0]["samples_s"] == pytest.approx(1000)
    assert told["devices"][0]["bytes_s"] == pytest.approx(10 * (12 + 100 + 80))
    assert told["link"]["whole_s"] == pytest.approx(3 * told["link"]["first_s"])
    code, out, _ = printed(capsys, "plan", str(file))
    assert code == 0
    assert "read all" in out
    assert "1,000 samples/s" in out
    assert len(Browsable.made) == before


@pytest.mark.parametrize("repeats", [0, 2])
def test_link_load_never_passes_the_rate_unsaid(repeats: int) -> None:
    """A load whose repeats fit is below the rate with them, and one that does not fit is above."""
    geometry = Geometry(width=1400, rate=2.5e6, repeats=repeats, loss=0.01)
    for count in (1, 100, 10_000, 1_000_000):
        tag = {"name": "a", "at": "0", "count": count}
        device = Device(name="p", url="fake:1", kind="process", settings={}, scans=_scan(tag))
        link = link_load([DeviceLoad(device=device, requests=())], geometry)
        assert link.samples_s == count
        assert link.spare_s > 0
        assert (link.first_s <= link.fits_s) == (link.whole_s <= link.rate_s)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (100, ("a burst of loss up to 50ms costs nothing", "0s in good weather, 50ms where", "GB a day", "14d are")),
        (400_000, ("they do not; raise rate_mbit", "a burst of loss up to 50ms costs nothing", "it holds")),
        (3_000_000, ("MORE THAN THE LINK CARRIES", "a round of the tags' descriptions takes")),
    ],
)
def test_plan_says_what_the_settings_cost_and_what_they_survive(count: int, said: tuple[str, ...]) -> None:
    """Overhead, latency, burst, repeats that fit, GB a day and how long the spool lasts, for this load."""
    geometry = Geometry(width=1424, rate=2.5e6, repeats=2, loss=0.01)
    tag = {"name": "a", "at": "0", "count": count}
    device = Device(name="p", url="fake:1", kind="process", settings={}, scans=_scan(tag))
    link = link_load([DeviceLoad(device=device, requests=())], geometry, 0.05)
    text = "\n".join(lines(link, (20.0, 900.0), 14 * 86_400.0, 20.0))
    assert not [part for part in said if part not in text], text
    assert link.burst_frames == pytest.approx(link.burst_s * 2.5e6 / link.frame_bytes)
    assert link.overhead > 2
    at_most = link_load([DeviceLoad(device=device, requests=())], geometry)
    assert at_most.burst_s == pytest.approx(at_most.spare * at_most.frame_bytes / 2.5e6)


def _scan(tag: Mapping[str, Any]) -> Any:
    from collectors.base import numbered

    return numbered([(1.0, [tag])])


def test_status_shows_what_processes_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The status files beside the configuration, or that there is none."""
    file = tmp_path / "sender.toml"
    code, _, err = printed(capsys, "status", str(file))
    assert code == 2
    assert "does not exist" in err
    file.write_text(sender_toml(""))
    said = printed(capsys, "status", str(file))[1]
    assert said == f"nothing has run here yet: no process has left its status in {tmp_path / 'state'}\n"
    (tmp_path / "state").mkdir()
    told = {"assets": {"pump": {"state": "up", "read": 5, "bad": 0}}}
    write_status(tmp_path / "state", "poll", told, time_ns=1_700_000_000_000_000_000)
    code, out, _ = printed(capsys, "status", str(file))
    assert code == 0
    assert "pump: state=up read=5" in out
    assert "not running?" in out
    assert json.loads(printed(capsys, "status", str(file), "--json")[1])["poll"]["assets"] == told["assets"]
    emit = {"session": "0a", "backlog_s": 1.23456, "repeats_dropped": 7, "errand": {"name": "1", "kind": "replay"}}
    write_status(tmp_path / "state", "emit", emit, time_ns=1_700_000_000_000_000_000)
    _, out, _ = printed(capsys, "status", str(file))
    assert "  link: session=0a backlog_s=1.23 repeats_dropped=7 errand=kind:replay" in out


def test_commands_load_no_collector_before_they_need_one() -> None:
    """`send --only emit` goes through this module: it must not import what reads devices."""
    source = Path(cli.__file__).read_text()
    top = source.split("if TYPE_CHECKING:")[0]
    assert "collectors" not in top.split('"""')[2]
    assert "sender." not in top.split('"""')[2]

"""The example is the demo's plant: it is right as it stands, and reads every point of the scene."""

from __future__ import annotations

from pathlib import Path

from sender.commands.forecast import DeviceLoad
from sender.commands.link_load import link_load
from sender.poll.config import devices, load
from simulator.scene.file import load as load_scene

EXAMPLE = Path(__file__).parents[3] / "examples" / "sender.toml"


def test_example_is_right_and_reads_the_whole_scene() -> None:
    """No mistake, no warning but the keys that are still to be made; assets, name plates and points are the scene's."""
    config = load(EXAMPLE)
    assert all(line.startswith("keys: ") for line in config.warnings), config.warnings
    scene = load_scene("small")
    assert [asset.table.name for asset in config.assets] == [section.asset for section in scene.servers]
    for asset, section in zip(config.assets, scene.servers, strict=True):
        assert asset.table.simulated
        assert (asset.table.serial, asset.table.model) == (section.serial, section.model)
        assert (asset.table.path, asset.table.vendor) == (section.path, (section.vendor,))
        assert sum(one.point.count for one in asset.watched) == len(section.points)


def test_example_fits_its_link_many_times() -> None:
    """The demo's load is light, so that a burst shorter than the spread costs nothing."""
    config = load(EXAMPLE)
    loads = [
        DeviceLoad(device=asset.device, requests=tuple(asset.collector.plan(asset.device))) for asset in config.assets
    ]
    assert all(one.requests for one in loads)
    assert len(devices(config)) == 3
    link = link_load(loads, config.outlet.geometry)
    assert link.light
    assert link.whole_s < link.rate_s / 5


def test_opcua_server_that_is_polled_counts_as_polled(tmp_path: Path) -> None:
    """The protocol subscribes; with `mode = "poll"` each poll is sent, and silence is the scan's period."""
    text = EXAMPLE.read_text()
    (tmp_path / "sender.toml").write_text(text.replace('mode = "subscribe"', 'mode = "poll"'))
    silences = []
    for path in (EXAMPLE, tmp_path / "sender.toml"):
        turbine = next(asset for asset in load(path).assets if asset.table.collector == "opcua")
        silences.append({one.silence_s for one in turbine.watched if one.table.deadband is None})
    assert silences == [{60.0}, {1.0}]

"""The `sender.toml` of a scene: the high side accepts it for every shipped scene, at the ports that are real."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest

import checkvalve
from protocol.errors import ConfigError
from simulator import sender_file
from simulator.certificates import pair
from simulator.main import SCHEMES
from simulator.scene.file import load
from simulator.scene.scene import Scene

SCENES = sorted(path.stem for path in (Path(sender_file.__file__).parent / "scenes").glob("*.toml"))


def places(scene: Scene) -> dict[str, dict[str, Any]]:
    """As a room tells them, where every port was taken and moved up."""
    ports = {section.asset: section.port + 100 for section in scene.servers}
    out = {}
    for section in scene.servers:
        port = ports[section.settings.get("behind", section.asset)]
        unit = {"unit": int(section.settings.get("unit", 1))} if section.protocol == "modbus" else {}
        out[section.asset] = {"url": f"{SCHEMES[section.protocol]}://127.0.0.1:{port}", **unit}
    return out


def written(folder: Path, name: str) -> tuple[Path, Scene]:
    """The file of a scene, as `simulate` writes it once all devices listen and have their certificates."""
    file = folder / "sender.toml"
    scene = sender_file.prepared(load(name), file)
    for section in scene.servers:
        if certificate := section.settings.get("certificate"):
            pair(section.asset, "urn:x", "127.0.0.1", Path(certificate))
    sender_file.write(file, scene, places(scene))
    return file, scene


@pytest.mark.parametrize("name", SCENES)
def test_the_high_side_accepts_the_file_of_every_shipped_scene(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`send --check` finds no mistake; every asset is there at its real port, and every tag once."""
    file, scene = written(tmp_path, name)
    assert checkvalve.main(["send", str(file), "--check"]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert f"{len(scene.servers)} assets, {len(scene.points)} tags, 0 warnings" in told
    held = {one["name"]: one for one in tomllib.loads(file.read_text())["asset"]}
    real = places(scene)
    assert {name: one["url"].partition("://")[2] for name, one in held.items()} == {
        name: place["url"].partition("://")[2] for name, place in real.items()
    }


def test_a_file_of_a_persons_is_never_overwritten(tmp_path: Path) -> None:
    """Its own is written anew, since ports move; another is refused before any device is started."""
    file, scene = written(tmp_path, "small")
    keys = (tmp_path / "keys/high.pub").read_text()
    sender_file.write(file, scene, places(scene))
    assert (tmp_path / "keys/high.pub").read_text() == keys
    file.write_text("site = 'mine'\n")
    with pytest.raises(ConfigError, match="not written by"):
        sender_file.prepared(scene, file)
    assert file.read_text() == "site = 'mine'\n"


def test_a_scenes_own_certificate_is_left(tmp_path: Path) -> None:
    """Only a device that would have made one for a single run gets a file."""
    scene = load("awkward")
    own = {"certificate": str(tmp_path / "own.pem")}
    servers = tuple(dataclasses.replace(one, settings={**one.settings, **own}) for one in scene.servers)
    ready = sender_file.prepared(dataclasses.replace(scene, servers=servers), tmp_path / "sender.toml")
    assert {one.settings["certificate"] for one in ready.servers} == {str(tmp_path / "own.pem")}


def test_nothing_that_a_reader_needs_is_open_to_others(tmp_path: Path) -> None:
    """Passwords and keys are for their owner alone, as a real plant's would have to be."""
    written(tmp_path, "awkward")
    held = [path for path in (tmp_path / "simulated").iterdir() if "key" in path.name or path.suffix == ".password"]
    assert held
    assert all(path.stat().st_mode & 0o077 == 0 for path in held)

"""The emitter's part of `sender.toml` is read without the plant's, and every mistake of it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.errors import ConfigError
from sender import link_file


def test_a_mistake_of_the_plant_stops_no_sending(tmp_path: Path) -> None:
    """What was read before is sent on while somebody mends an asset's table."""
    path = tmp_path / "sender.toml"
    path.write_text(
        '[outlet]\nto = "192.0.2.2:5005"\n[keys]\nown = "keys/high"\nreceivers = "keys/low.pub"\n[[asset]]\nkolor = 1\n'
    )
    config = link_file.load(path)
    assert config.keys.own == tmp_path / "keys/high"
    assert config.keys.receivers == (tmp_path / "keys/low.pub",)
    assert config.outlet.geometry.rate == 20e6 / 8


def test_every_mistake_of_the_link_is_told(tmp_path: Path) -> None:
    """Of both tables, and between keys, with the command that names the file's others."""
    path = tmp_path / "sender.toml"
    path.write_text('[outlet]\nto = "plant:5005"\nspare = "1%"\nloss_target = "1%"\nmtuu = 1500\n')
    with pytest.raises(ConfigError) as caught:
        link_file.load(path)
    told = [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert told == ["outlet.to", "outlet.mtuu", "outlet.spare", "keys"]
    assert "--check" in caught.value.hint

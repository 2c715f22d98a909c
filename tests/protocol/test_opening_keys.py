"""The keys that open data: the present one, those before it, and the one out of the safe."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from protocol import commissioning, keymaking, keys, seal
from protocol.errors import ConfigError
from protocol.opening_keys import load_opening

STREAM = b"stream-a"


def test_every_key_of_the_folder_that_opens_data_is_used(tmp_path: Path) -> None:
    """A replaced key and a recovery key, under any name, open what was sealed for them; catch's key is left alone."""
    for name, side in (("old", "low"), ("new", "low"), ("safe", "recovery"), ("twin", "low")):
        keymaking.make(side, tmp_path / name)
    shutil.copy2(tmp_path / "old/open.key", tmp_path / "new/open-until-2026-11.key")
    shutil.copy2(tmp_path / "safe/recovery.key", tmp_path / "new")
    (tmp_path / "new/mqtt.key").write_bytes(b"-----BEGIN PRIVATE KEY-----\n")
    held = load_opening(tmp_path / "new")
    assert [one.kind for one in held] == ["open", "open", "recovery"]
    assert held[0].public.id == keys.load(tmp_path / "new", "open").public.id
    for folder, kind in (("old", "open"), ("safe", "recovery"), ("new", "open")):
        body = seal.epoch_body(1, STREAM, b"e" * 32, [keys.load(tmp_path / folder, kind).public])
        assert seal.open_epoch(body, STREAM, *held) == (1, b"e" * 32)
    assert len(load_opening(tmp_path / "twin")) == 1


def test_a_further_key_that_is_wrong_is_named(tmp_path: Path) -> None:
    """Readable by others, cut short, or without the present key: never passed over."""
    keymaking.make("low", tmp_path / "low")
    further = tmp_path / "low/open-old.key"
    text = (tmp_path / "low/open.key").read_text()
    further.write_text(text)
    further.chmod(0o640)
    with pytest.raises(ConfigError, match="can be read by others"):
        load_opening(tmp_path / "low")
    further.write_text(text[: len("checkvalve-key-v1 open ") + 40] + "\n")
    further.chmod(0o600)
    with pytest.raises(ConfigError, match="its bytes are no key"):
        load_opening(tmp_path / "low")
    further.unlink()
    (tmp_path / "low/open.key").unlink()
    with pytest.raises(ConfigError, match="no key file"):
        load_opening(tmp_path / "low")


def test_the_sheet_tells_a_recovery_key_from_a_receiver(tmp_path: Path) -> None:
    """Its fingerprint stands there to be compared, and nothing is left to be filled in for it."""
    for name, side in (("high", "high"), ("low", "low"), ("recovery", "recovery")):
        keymaking.make(side, tmp_path / name)
    text = commissioning.sheet("high", {}, tmp_path / "high", [tmp_path / "low.pub", tmp_path / "recovery.pub"])
    (key,) = keymaking.show(tmp_path / "recovery.pub")
    assert "  in a safe, recovery\n    recovery   " + key.fingerprint[:39] in text
    assert "____ ____" not in text

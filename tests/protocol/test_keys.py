"""Key files."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from protocol import keymaking, keys
from protocol.errors import ConfigError


@pytest.mark.parametrize("side", ["high", "low", "recovery"])
def test_keys_come_back_as_they_were_made(side: str, tmp_path: Path) -> None:
    """A private file and its public lines are the same key."""
    made = keymaking.make(side, tmp_path / side)
    bundle = keys.load_public(tmp_path / f"{side}.pub")
    assert [key.kind for key in bundle] == list(keys.SIDES[side])
    for public in bundle:
        private = keys.load(tmp_path / side, public.kind)
        assert private.public.raw == public.raw
        assert private.public.id == public.id
        assert len(public.fingerprint.split(" ")) == 16
    assert made[-1] == tmp_path / f"{side}.pub"


def test_private_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Mode 0600 in a 0700 folder; a file that others can read is refused."""
    keymaking.make("high", tmp_path / "high")
    path = tmp_path / "high" / "sign.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="read by others"):
        keys.load(tmp_path / "high", "sign")


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    """A second `new` in the same folder refuses and leaves the first."""
    keymaking.make("low", tmp_path / "low")
    before = (tmp_path / "low" / "open.key").read_bytes()
    with pytest.raises(ConfigError, match="never overwritten"):
        keymaking.make("low", tmp_path / "low")
    assert (tmp_path / "low" / "open.key").read_bytes() == before


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "checkvalve-key-v1 sign", "checkvalve-key-v1 sign !!!", "checkvalve-key-v1 sign AAAA", "\xff"],
)
def test_a_file_that_is_no_key_is_named(text: str, tmp_path: Path) -> None:
    """Whatever stands in the file, the error names it and is the operator's."""
    path = tmp_path / "sign.key"
    path.write_text(text, "latin-1")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="sign"):
        keys.load(tmp_path, "sign")


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A catch key does not serve as an open key."""
    keymaking.make("low", tmp_path / "low")
    (tmp_path / "low" / "catch.key").rename(tmp_path / "low" / "open.key")
    with pytest.raises(ConfigError, match="holds a catch key"):
        keys.load(tmp_path / "low", "open")


def test_secrets_are_not_in_what_is_printed(tmp_path: Path) -> None:
    """repr shows the kind and the id only."""
    keymaking.make("high", tmp_path / "high")
    key = keys.load(tmp_path / "high", "sign")
    assert repr(key) == f"PrivateKey(sign, {key.public.id.hex()})"

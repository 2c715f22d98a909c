"""Key files."""

from __future__ import annotations

import stat
import subprocess
import sys
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
    with pytest.raises(ConfigError, match="holds a key of the kind catch where one of the kind open belongs"):
        keys.load(tmp_path / "low", "open")


def test_secrets_are_not_in_what_is_printed(tmp_path: Path) -> None:
    """repr shows the kind and the id only."""
    keymaking.make("high", tmp_path / "high")
    key = keys.load(tmp_path / "high", "sign")
    assert repr(key) == f"PrivateKey(sign, {key.public.id.hex()})"


@pytest.mark.parametrize(("side", "kind"), [("low", "catch"), ("high", "link-sign")])
def test_an_end_of_the_link_takes_its_keys_out_of_a_bundle_and_no_others(side: str, kind: str, tmp_path: Path) -> None:
    """Asked for one kind, a bundle gives that one, and what it holds of others is not read as a key."""
    keymaking.make(side, tmp_path / side)
    bundle = tmp_path / f"{side}.pub"
    (wanted,) = [key for key in keys.load_public(bundle) if key.kind == kind]
    later = bundle.read_text() + f"{keys.LABEL} later.pub AAAA\n"
    bundle.write_text(later)
    assert [key.raw for key in keys.load_public(bundle, kind)] == [wanted.raw]
    with pytest.raises(ConfigError, match="not a public key"):
        keys.load_public(bundle)


def test_an_end_of_the_link_loads_nothing_of_the_hybrid_keys(tmp_path: Path) -> None:
    """What opens data is no part of emit and catch, also once they have read their keys."""
    for side in ("low", "high"):
        keymaking.make(side, tmp_path / side)
    script = (
        "import sys; from pathlib import Path; from protocol import keys; at = Path(sys.argv[1])\n"
        "keys.load(at / 'low', 'catch'), keys.load_public(at / 'high.pub', 'link-sign')\n"
        "keys.load(at / 'high', 'link-sign'), keys.load_public(at / 'low.pub', 'catch')\n"
        "assert 'protocol.hybrid' not in sys.modules\n"
        "keys.load(at / 'low', 'open')\n"
        "assert 'protocol.hybrid' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)

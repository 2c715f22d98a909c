"""State files: replaced whole, never through a link, and never a reason to stop."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from protocol.store import statefile

WALL = 1_790_000_000 * 10**9


def _number(held: Mapping[str, Any]) -> int:
    return int(held["number"])


UNBELIEVABLE = {
    "empty": b"",
    "zeros": bytes(100),
    "cut": b'{"number": 1',
    "another shape": b'{"number": [1]}',
    "no such key": b"{}",
    "a list": b"[1]",
    "null": b"null",
    "not utf-8": b'{"number": "\xff"}',
    "infinite": b'{"number": 1e999}',
    "nested": b"[" * 100_000,
    "nested objects": b'{"a":' * 50_000,
    "digits": b'{"number": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("data", UNBELIEVABLE.values(), ids=UNBELIEVABLE)
def test_a_file_that_cannot_be_believed_is_set_aside_and_told(tmp_path: Path, data: bytes) -> None:
    """None, one line that names it, and the file as it was under another name."""
    path = tmp_path / "floor.json"
    path.write_bytes(data)
    told: list[str] = []
    assert statefile.load(path, _number, told.append, wall_ns=WALL) is None
    aside = list(tmp_path.iterdir())
    assert [one.name.startswith("floor.json.damaged-") for one in aside] == [True]
    assert aside[0].read_bytes() == data
    assert len(told) == 1
    assert "floor.json" in told[0]
    assert aside[0].name in told[0]
    assert statefile.load(path, _number, told.append, wall_ns=WALL) is None
    assert len(told) == 1


def test_a_whole_file_is_believed(tmp_path: Path) -> None:
    """And nothing is said."""
    statefile.write(tmp_path / "one.json", json.dumps({"number": 7}).encode())
    told: list[str] = []
    assert statefile.load(tmp_path / "one.json", _number, told.append, wall_ns=WALL) == 7
    assert not told


def test_what_was_set_aside_never_fills_the_disk(tmp_path: Path) -> None:
    """The newest stay."""
    path = tmp_path / "note.json"
    for at in range(statefile.ASIDE_KEPT + 5):
        path.write_bytes(b"%d" % at)
        assert statefile.set_aside(path, WALL + at * 10**9) is not None
    held = sorted(int(one.read_bytes()) for one in tmp_path.iterdir())
    assert held == list(range(5, statefile.ASIDE_KEPT + 5))


@pytest.mark.parametrize("planted", ["file.json", "file.json.new"])
def test_no_planted_link_is_written_through(tmp_path: Path, planted: str) -> None:
    """Another user's link in the folder is replaced or taken away; what it points to stands as it was."""
    target, folder = tmp_path / "target", tmp_path / "state"
    folder.mkdir()
    target.write_text("untouched")
    (folder / planted).symlink_to(target)
    statefile.write(folder / "file.json", b"{}")
    assert target.read_text() == "untouched"
    assert (folder / "file.json").read_bytes() == b"{}"
    assert not (folder / "file.json").is_symlink()
    assert [one.name for one in folder.iterdir()] == ["file.json"]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_plain_file_is_never_read(tmp_path: Path, kind: str) -> None:
    """A link that leads to a good file, a FIFO without a writer, a folder: set aside and told, like damage."""
    (tmp_path / "good").write_bytes(b'{"number": 1}')
    path = tmp_path / "state.json"
    if kind == "link":
        path.symlink_to(tmp_path / "good")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    told: list[str] = []
    assert statefile.load(path, _number, told.append, wall_ns=WALL) is None
    assert len(told) == 1
    assert not os.path.lexists(path)
    with pytest.raises(ValueError, match="plain file"):
        statefile.read(next(one for one in tmp_path.iterdir() if "damaged" in one.name))


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing beside it."""
    path = tmp_path / "file.json"
    statefile.write(path, b"old")

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        statefile.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for another user")
def test_what_root_writes_belongs_to_the_folders_owner(tmp_path: Path) -> None:
    """A request that root leaves can be read by the process that it is for."""
    os.chown(tmp_path, 12345, 12346)
    statefile.write(tmp_path / "accept.json", b"{}")
    held = (tmp_path / "accept.json").stat()
    assert (held.st_uid, held.st_gid) == (12345, 12346)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for another user")
@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_what_root_leaves_is_read_by_the_folders_group_whatever_roots_umask_is(tmp_path: Path, umask: int) -> None:
    """On an installed machine a state folder is root's, and its group are the services."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o2770)
    before = os.umask(umask)
    try:
        statefile.make_folder(state / "errands")
        statefile.write(state / "errands/1.json", b"{}", inside=state)
    finally:
        os.umask(before)
    assert stat.S_IMODE((state / "errands").stat().st_mode) == 0o2770
    assert stat.S_IMODE((state / "errands/1.json").stat().st_mode) == 0o640


def test_a_flipped_digit_is_not_believed() -> None:
    """Any one bit of what `pack` made: it is refused, or the content is as it was; JSON without a check is read."""
    told = {"boot": 1_800_000_000, "new": [3, 5000], "text": "check"}
    data = statefile.pack(told)
    assert statefile.unpack(data) == told
    assert statefile.unpack(json.dumps(told).encode()) == told
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            found = statefile.unpack(bytes(flipped))
        except (ValueError, TypeError):
            continue
        assert {key: found[key] for key in told} == told

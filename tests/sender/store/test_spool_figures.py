"""What the poller says of its spool reaches the beats by a file of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from protocol.store import statefile
from sender.store import spool_figures


def test_figures_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Counts, seconds and a yes or no."""
    told = {"bytes": 12, "keep_s": 1.5, "full": True}
    spool_figures.write(tmp_path, told)
    assert spool_figures.read(tmp_path) == told


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"null", b'{"bytes": 1e999}', b'{"bytes": NaN}', b'{"a": {"b": 1}}', b'{"bytes": "1"}',
        json.dumps({"bytes": 1 << 64}).encode(), b'{"\\ud800": 1}', b'{"\\u001b[2J": 1}',
        b"[" * 100_000, statefile.pack({"bytes": 7}).replace(b"7", b"8", 1),
    ],
)  # fmt: skip
def test_nothing_in_the_file_can_stop_a_beat(tmp_path: Path, data: bytes) -> None:
    """What no beat can carry is left out, and a file whose check does not fit says nothing."""
    (tmp_path / spool_figures.NAME).write_bytes(data)
    assert spool_figures.read(tmp_path) == {}


def test_a_file_of_many_figures_leaves_room_for_the_beat(tmp_path: Path) -> None:
    """Names and their number have a bound: a beat is one frame."""
    (tmp_path / spool_figures.NAME).write_text(json.dumps({f"{at:040}": at for at in range(1000)}))
    read = spool_figures.read(tmp_path)
    assert len(read) <= spool_figures.FIGURES_MOST
    assert all(len(key) <= spool_figures.KEY_MOST for key in read)


def test_without_the_file_beats_say_nothing_of_the_spool(tmp_path: Path) -> None:
    """A state folder of an earlier version has none; neither has one in which a FIFO or a link stands for it."""
    assert spool_figures.read(tmp_path) == {}
    os.mkfifo(tmp_path / spool_figures.NAME)
    assert spool_figures.read(tmp_path) == {}
    (tmp_path / spool_figures.NAME).unlink()
    (tmp_path / "other").write_text('{"bytes": 1}')
    (tmp_path / spool_figures.NAME).symlink_to(tmp_path / "other")
    assert spool_figures.read(tmp_path) == {}

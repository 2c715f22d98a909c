"""A low side whose one disk is full, with its real processes: it says so, and goes on by itself when there is room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from history_blocks import ALL
from journal_blocks import Reading, Source
from stream_records import low_side, records
from test_patience import HERE, _no_disks

from receiver.outputs.base import BatchBody
from receiver.outputs.historian.read import Door


def test_a_full_disk_stops_publishing_aloud_and_everything_resumes_by_itself(tmp_path: Path) -> None:
    """Journal and history on one small disk, and kill -9 while it is full: nothing is lost, nothing is there twice."""
    if why := _no_disks():
        pytest.skip(why)
    low_side(tmp_path)
    path = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
    command = ["unshare", "-m", sys.executable, str(HERE / "side_full.py"), str(tmp_path), "700"]
    subprocess.run(command, check=True, timeout=110, env={**os.environ, "PYTHONPATH": path})
    said = json.loads((tmp_path / "said.json").read_text())
    for moment in ("full", "full again"):
        assert any("full" in line for line in said[moment]["warnings"])
        assert "nothing is lost" in said[moment]["trouble"]
    assert (said["end"]["trouble"], said["end"]["warnings"], said["end"]["missing_blocks"]) == ("", [], 0)
    assert said["exit"] == 0
    reading = Reading(tmp_path / "after/journal")
    reading.read(10_000)
    assert reading.numbers() == [one.number for one in records(Source(), said["blocks"])]
    samples = Counter(
        (one.stream.tags[row.tag].asset, one.stream.tags[row.tag].name, row.time_ns)
        for one in reading.blocks
        if isinstance(one.body, BatchBody)
        for row in one.body.columns.rows()
    )
    door = Door(tmp_path / "after/history", ALL)
    there = Counter(
        (tag.tag.asset, tag.tag.name, one.time_ns)
        for asset in ("pump", "press")
        for tag in door.tags(asset)
        for one in door.samples(tag.series, -(2**62), 2**62, None)
    )
    door.close()
    assert there == samples

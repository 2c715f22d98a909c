"""The whole state of a low side on one small disk; run in a mount namespace: `side_full.py FOLDER KB`.

Mounts KB kibibytes of memory at FOLDER/state, journals blocks as catch does, and keeps the historian's own process
beside it: kills it once both are out of room, makes the disk large once that process has said so again, and ends when
all that it journaled is published. FOLDER/said.json has what they said, and how many blocks there were.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from journal_blocks import Source
from stream_records import records

from protocol.process.statusfile import read_status
from receiver.catch.store.journal import Journal

PATIENCE_S = 60.0
"""Longest wait for anything [s]."""


def main(folder: Path, size_kb: int) -> None:
    state = folder / "state"
    _mount(state, f"size={size_kb}k")
    journal = Journal(state, keep_s=1e9, most_bytes=1e12, now=time.monotonic(), segment_bytes=1 << 18)
    blocks = records(Source(), 10**6)
    said: dict[str, Any] = {"blocks": 0}

    def historian() -> subprocess.Popen[bytes]:
        words = ("receive", str(folder / "receiver.toml"), "--only", "historian")
        return subprocess.Popen([sys.executable, "-P", "-m", "checkvalve", *words])

    def told() -> dict[str, Any]:
        return read_status(state, "historian") or {}

    def until(done: Callable[[], bool], *, most: int) -> None:
        ends = time.monotonic() + PATIENCE_S
        while not done():
            now = time.monotonic()
            assert now < ends, (journal.full, told())
            for one in islice(blocks, 0 if journal.full else min(50, most - said["blocks"])):
                journal.append(one, now)
                said["blocks"] += 1
            journal.tick(now)
            time.sleep(0.005)

    child = historian()
    try:
        until(lambda: told().get("blocks", 0) >= 100, most=100)
        until(lambda: journal.full and "full" in str(told().get("trouble")), most=10**6)
        said["full"] = told()
        child.kill()
        child.wait()
        child = historian()
        until(lambda: told().get("pid") == child.pid and "full" in str(told().get("trouble")), most=10**6)
        said["full again"] = told()
        _mount(state, "remount,size=100m")
        most = said["blocks"] + 100
        until(lambda: said["blocks"] == most and journal.sync(time.monotonic()), most=most)
        until(lambda: told().get("place") == list(journal.store.place), most=most)
        said["end"] = told()
        child.terminate()
        said["exit"] = child.wait(20)
    finally:
        child.kill()
        child.wait()
    journal.close()
    (folder / "said.json").write_text(json.dumps(said))
    subprocess.run(["cp", "-r", str(state), str(folder / "after")], check=True)


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

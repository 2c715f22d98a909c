"""Fills a history on a small disk of its own; run as a program in a mount namespace: `history_full.py FOLDER KB STATE`.

Mounts KB kibibytes of memory at FOLDER, hands over blocks for ever, and writes STATE/status-historian.json as an
output's process does. `free` on its input makes the disk large.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from history_writer import made

from protocol.process.statusfile import write_status
from receiver.outputs.historian.output import HistorianOutput
from receiver.publish.patience import GivenUp, Patience


def main(folder: Path, size_kb: int, state: Path) -> int:
    _mount(folder, f"size={size_kb}k")
    patience = Patience(lambda: write_status(state, "historian", {"trouble": "full at start"}, time_ns=time.time_ns()))
    patience.listen()

    def more() -> None:
        sys.stdin.readline()
        _mount(folder, "remount,size=64m")

    threading.Thread(target=more, daemon=True).start()
    try:
        output = HistorianOutput(folder, wait=patience.wait)
    except GivenUp:
        return 0
    number = int(output.place() or b"0")
    patience.say = lambda: write_status(state, "historian", {**output.status(), "at": number}, time_ns=time.time_ns())
    try:
        while not patience.stop:
            output.take([made(number)], b"%d" % (number + 1))
            number += 1
            output.step(time.monotonic())
            if number % 50 == 0:
                patience.say()
    except GivenUp:
        pass
    patience.say()
    output.close()
    subprocess.run(["cp", "-r", str(folder), str(state / "after")], check=True)
    return 0


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))

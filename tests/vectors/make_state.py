"""What a build leaves in both sides' folders when its machines lose power, kept as `state_COMMIT.tar.xz`.

    python tests/vectors/make_state.py COMMIT        takes that build out of the repository, runs it, kills it

The parts of a site are killed one after another, the last first: so there are blocks that were published, some that
were journaled only, some that were sent to nobody, and some that never left. tests/system/test_life_upgrade.py starts
the present build on it. Run it once for each build that was installed anywhere; the files are never made again.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))
from plant import _RECEIVER, _SCENE, _SENDER, free  # noqa: E402  the same plant as the other tests have

PARTS = (
    ("low", "receive", "historian"),
    ("low", "receive", "catch"),
    ("high", "send", "emit"),
    ("high", "send", "poll"),
)
"""In the order in which they are killed."""
BETWEEN = 0.8
"""From one death to the next [s]."""
PUBLISHED = 60
"""Samples in the history before the first death."""
LEFT_OUT = ("status-", "doorbell", "lock")


def build(commit: str, folder: Path) -> dict[str, str]:
    """Take a build out of the repository; the environment in which it is what is imported."""
    held = subprocess.run(["git", "archive", commit], cwd=HERE.parents[1], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(held.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return {**os.environ, "PYTHONPATH": str(folder)}


def main(commit: str) -> Path:
    """Run it, kill it, keep what it left."""
    with tempfile.TemporaryDirectory(prefix="checkvalve-state-") as name:
        work, site = Path(name) / "build", Path(name) / "site"
        work.mkdir()
        site.mkdir()
        environment = build(commit, work)

        def start(*words: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen([sys.executable, "-m", "checkvalve", *words], env=environment, cwd=site)

        for side, other in (("high", "low"), ("low", "high")):
            assert start("keys", "new", side, f"{side}/keys/{side}").wait() == 0
            (site / other / "keys").mkdir(parents=True, exist_ok=True)
            (site / other / f"keys/{side}.pub").write_bytes((site / f"{side}/keys/{side}.pub").read_bytes())
        link, page = free(socket.SOCK_DGRAM), free(socket.SOCK_STREAM)
        (site / "one.toml").write_text(_SCENE)
        device = start("simulate", "one.toml", "--ports-file", "ports.json")
        while not (site / "ports.json").exists():
            time.sleep(0.1)
        url = json.loads((site / "ports.json").read_text())["pump"]["url"]
        (site / "high/sender.toml").write_text(_SENDER.format(link=link, url=url, repeat='["2s", "6s"]'))
        (site / "low/receiver.toml").write_text(_RECEIVER.format(link=link, page=page))
        files = {"high": "high/sender.toml", "low": "low/receiver.toml"}
        running = [start(verb, files[side], "--only", part) for side, verb, part in PARTS]
        published, ends = 0, time.monotonic() + 90
        while published < PUBLISHED:
            assert time.monotonic() < ends, published
            time.sleep(0.1)
            try:
                told = json.loads((site / "low/state/status-historian.json").read_text())
                published = told["assets"]["pump"]["published"]
            except (OSError, ValueError, KeyError):
                continue
        for one in running:
            one.send_signal(signal.SIGKILL)
            one.wait()
            time.sleep(BETWEEN)
        device.terminate()
        device.wait()
        out = HERE / f"state_{commit[:7]}.tar.xz"
        with tarfile.open(out, "w:xz", preset=9) as tar:
            for path in sorted(site.glob("*/**/*")):
                if path.is_file() and not path.name.startswith(LEFT_OUT):
                    tar.add(path, path.relative_to(site).as_posix(), filter=_plain)
    return out


def _plain(one: tarfile.TarInfo) -> tarfile.TarInfo:
    one.uid = one.gid = 0
    one.uname = one.gname = ""
    return one


if __name__ == "__main__":
    sys.stdout.write(f"{main(sys.argv[1])}\n")

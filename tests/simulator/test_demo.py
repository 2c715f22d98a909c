"""The demo's work folder and its control: what failed can be looked at, and a trip can be asked for."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import checkvalve
import supervise


def test_what_a_failed_demo_says_is_there_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A part that ends by itself: its log is named, and has what it said; the work folder stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ends = [sys.executable, "-c", "import sys; print('simulate'); sys.exit(7)"]
    real = supervise.command
    monkeypatch.setattr(supervise, "command", lambda *words: ends if words[0] == "simulate" else real(*words))
    assert checkvalve.main(["demo", "--headless", "--seconds", "1"]) == 2
    told = capsys.readouterr()
    assert "simulate ended with exit code 7" in told.err
    (log,) = re.findall(r"(/\S+/simulate\.log), which stays", told.err.replace("\n", ""))
    assert Path(log).read_text() == "simulate\n"
    assert f"configurations, keys and logs are in {Path(log).parent}" in told.out.replace("\n", " ")


def test_a_demo_that_went_well_leaves_nothing_and_takes_lines(tmp_path: Path) -> None:
    """`--control`: the address is said, `trip` and `fault` are obeyed; at the end the temporary folder is gone."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "checkvalve", "demo", "--headless", "--seconds", "8", "--control", str(port)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([*words, "--json"], stdout=-1, stderr=-1, text=True, env=environment) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        said = next(line for line in running.stderr if line.startswith("control: "))
        real = int(re.search(r"127\.0\.0\.1 (\d+)", said)[1])  # type: ignore[index]
        with socket.create_connection(("127.0.0.1", real), 10) as line:
            line.sendall(b"fault pump-7 late 0.1s x1\ntrip turbine-1\n")
            replies = line.makefile()
            assert replies.readline().startswith("ok pump-7: late")
            trip = replies.readline()
            assert trip == "ok turbine-1 trips: overspeed\n" or "by itself" in trip or "is on" in trip
        out, err = running.communicate(timeout=110)
    assert running.returncode == 0, err
    assert json.loads(out)["frames_back"] == 0
    assert list(tmp_path.glob("checkvalve-demo-*")) == []

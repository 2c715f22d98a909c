"""`linktest` through the real link: real processes, a relay that loses and has little room, the low side's table."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pipe import Pipe, lossy

import checkvalve
from protocol import keymaking
from protocol.errors import ConfigError
from protocol.process.statusfile import read_status
from sender.commands import errand
from sender.commands.link_test import Wanted, numbers, plan
from sender.emit.probing import PAUSE, ProbeStep, Probing, steps_from

PATIENCE = 60.0
"""Longest wait for what must come [s]."""
SENDER = """
site = "north"
[outlet]
to = "127.0.0.1:{port}"
rate_mbit = 8
[keys]
own = "keys"
receivers = ["../low/keys.pub"]
"""
RECEIVER = """
[inlet]
listen = "127.0.0.1:{port}"
[keys]
own = "keys"
senders = ["../high/keys.pub"]
"""
ASKED = ("--rates", "4,8,100", "--sizes", "512", "--bursts", "4096", "--seconds", "0.3")


def test_the_low_side_tells_what_a_bad_link_does_to_each_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A relay of 10 Mb/s that loses 3 %: alone and through the running emitter, the table says 8 and not 100."""
    high, low = tmp_path / "high", tmp_path / "low"
    for side in (high, low):
        side.mkdir()
        keymaking.make(side.name, side / "keys")
    out, into = _free(), _free()
    sender, receiver = high / "sender.toml", low / "receiver.toml"
    sender.write_text(SENDER.format(port=out))
    receiver.write_text(RECEIVER.format(port=into))
    ways = ("--listen", f"127.0.0.1:{out}", "--to", f"127.0.0.1:{into}")
    started = [
        _start("relay", *ways, "--loss", "3%", "--rate-mbit", "10", "--buffer", "512KiB"),
        _start("receive", str(receiver), "--only", "catch"),
    ]
    try:
        _until(lambda: read_status(low / "state", "catch") is not None, "catch did not start")
        alone = subprocess.run(
            _command("linktest", str(sender), *ASKED, "--json"), capture_output=True, timeout=PATIENCE
        )
        assert alone.returncode == 0, alone.stderr.decode()
        sent = json.loads(alone.stdout)
        assert sent["alone"]
        _until(lambda: len(_steps(low)) == 5, "not every step came")
        first = _steps(low)[0]["session"]
        started.append(_start("send", str(sender), "--only", "emit", "--confine", "strict"))
        _until(lambda: (read_status(high / "state", "emit") or {}).get("pid") == started[-1].pid, "emit did not start")
        assert checkvalve.main(["linktest", str(sender), *ASKED]) == 0
        assert "sent " in capsys.readouterr().out
        _until(lambda: len(_steps(low)) == 5 and _steps(low)[0]["session"] != first, "not every step came")
        assert checkvalve.main(["linktest", str(receiver)]) == 0
        printed = capsys.readouterr().out
        assert checkvalve.main(["linktest", str(receiver), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)
    steps = told["steps"]
    assert [one["of"] for one in steps] == [one["frames"] for one in sent["steps"]]
    assert [one["rate"] for one in steps] == [4000, 8000, 100000, 8000, 8000]
    assert [one["length"] for one in steps] == [1472, 1472, 1472, 484, 1472]
    assert steps[2]["received"] < 0.9 * steps[2]["of"]
    assert sum(one["received"] for one in steps[:2]) > 0.85 * sum(one["of"] for one in steps[:2])
    assert any(line in told["advice"] for line in ("  rate_mbit = 4", "  rate_mbit = 8"))
    assert "for sender.toml" in printed


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_a_linktest_leaves_beside_the_data_and_costs_none_of_it(tmp_path: Path, share: float) -> None:
    """Probes are counted as sent and received, samples arrive as always, and the step's loss is the link's."""
    pipe = Pipe(tmp_path, loss=share, repeat=(1.0, 2.0))
    pipe.run(1.2)
    steps = [asdict(ProbeStep(rate_kbit=20_000, frames=1000, length=1472, burst=2500))] * 2
    name = errand.put(pipe.high, "linktest", {"steps": steps}, time_ns=1, salt=b"x")
    told = None
    for _ in range(60):
        pipe.sample()
        pipe.run(0.1, lossy(share))
        told = told or errand.result(pipe.high, name)
    assert told == {"state": "done", "sent": [1000, 1000]}
    counted = pipe.intake.gather.probes.test()
    assert [one["of"] for one in counted] == [1000, 1000]
    lost = sum(one["lost_wire"] for one in counted)
    assert 0.7 * share * 2000 <= lost <= 1.3 * share * 2000
    pipe.finish()
    pipe.run(4, lossy(share))
    pipe.run(3)
    assert pipe.intake.gaps.counts().missing == 0
    assert pipe.intake.sessions.totals()[2] == pytest.approx(share, abs=0.03)


def test_a_linktest_that_was_broken_off_by_a_restart_says_so(tmp_path: Path) -> None:
    """Half of a test says nothing, and one that kills the emitter must not do so for ever."""
    pipe = Pipe(tmp_path)
    pipe.run(0.2)
    steps = [asdict(ProbeStep(rate_kbit=20_000, frames=10, length=1472, burst=2500))] * 30
    name = errand.put(pipe.high, "linktest", {"steps": steps}, time_ns=1, salt=b"x")
    pipe.run(3)
    pipe.kill_emit()
    pipe.start_emit()
    pipe.run(3)
    told = errand.result(pipe.high, name)
    assert told is not None
    assert told["state"] == "refused"
    assert "restart" in told["text"]


@pytest.mark.parametrize(
    "told", [None, [], [{}], [{"rate_kbit": 1, "frames": 10**9, "length": 100, "burst": 1}],
             [{"rate_kbit": 1.5, "frames": 1, "length": 100, "burst": 1}],
             [{"rate_kbit": 1, "frames": 10**6, "length": 1472, "burst": 1}]],
)  # fmt: skip
def test_steps_of_an_errand_are_not_believed(told: Any) -> None:
    """Wrong types, too many, too long: refused in words."""
    with pytest.raises(ValueError, match=r"step|test"):
        steps_from(told, 1472)


def test_no_step_number_serves_twice_and_steps_keep_their_pace(tmp_path: Path) -> None:
    """Two tests of one session have different numbers; the bytes of a step in a window are its rate and burst."""
    pipe = Pipe(tmp_path)
    session = pipe.emitter.session
    step = ProbeStep(rate_kbit=20_000, frames=400, length=1472, burst=5000)
    tests = [Probing([step, step], session, 1514, 0.0) for _ in range(2)]
    seen: set[tuple[int, int]] = set()
    for one in tests:
        now = 0.0
        while not one.done:
            parcel = one.next(now)
            if parcel is None:
                now = one.deadline(now)
                continue
            assert len(parcel.frames) + 42 * parcel.count <= one.pace.burst
            for at in range(0, len(parcel.frames), parcel.length):
                read = session.probe.read(bytes(parcel.frames[at : at + parcel.length]))
                assert (read.step, read.index) not in seen
                seen.add((read.step, read.index))
        assert now >= 2 * PAUSE
    assert len(seen) == 1600


def test_steps_are_planned_up_to_what_was_asked_for() -> None:
    """Rates rise to --up-to and hold the set one; a size above the mtu is a mistake."""
    steps = plan(Wanted(), rate_mbit=20, mtu=1500)
    assert [one.rate_kbit for one in steps] == [5000, 10_000, 20_000, 50_000, 100_000] + [20_000] * 5
    assert [one.burst for one in steps][-3:] == [4096, 16_384, 65_536]
    assert max(one.rate_kbit for one in plan(Wanted(up_to=900), rate_mbit=20, mtu=1500)) == 900_000
    assert numbers("5,2.5", "--rates") == (5.0, 2.5)
    for wrong in (Wanted(sizes=(9000,)), Wanted(seconds=1000), Wanted(rates=tuple(range(1, 90)))):
        with pytest.raises(ConfigError):
            plan(wrong, rate_mbit=20, mtu=1500)
    with pytest.raises(ConfigError):
        numbers("fast", "--rates")


def _steps(low: Path) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = (read_status(low / "state", "catch") or {}).get("linktest", [])
    return told


def _free() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "checkvalve", *words]


def _start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(_command(*words))


def _until(done: Callable[[], bool], text: str) -> None:
    ends = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < ends, text
        time.sleep(0.05)

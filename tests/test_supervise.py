"""Laws of the parent: what a child's end does to the others, by exit code and by how long it had run."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import supervise
from protocol.errors import ConfigError
from supervise import FIRST_WAIT, HEALTHY, LONGEST_WAIT, Child


class Process:
    """Stands for a child: ends with a code when it is told to."""

    def __init__(self) -> None:
        self.code: int | None = None

    def poll(self) -> int | None:
        """As subprocess.Popen."""
        return self.code


class Parent:
    """One child, virtual time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, vital: bool = True) -> None:
        self.now, self.lines, self.started = 0.0, list[str](), 0
        self.child = Child("emit", ["x"], vital=vital)

        def start(*given: Any) -> Process:
            self.started += 1
            return Process()

        monkeypatch.setattr(supervise, "start", start)
        self.look()

    def look(self) -> int | None:
        """The code that ends the parent, None where it goes on."""
        return supervise._look_after(self.child, self.now, self.lines.append)

    def ends(self, code: int, after: float) -> int | None:
        """The child runs so long and ends."""
        assert self.look() is None
        self.now += after
        running: Any = self.child.process
        running.code = code
        return self.look()

    def restart(self) -> float:
        """How long it takes until it runs again."""
        began, before = self.now, self.started
        while self.started == before:
            self.now += 0.05
            assert self.look() is None
        return self.now - began


def test_a_mistake_at_the_start_ends_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has just typed the command and reads what it says; also where it first died of something else."""
    assert Parent(monkeypatch).ends(2, 3.0) == 2
    parent = Parent(monkeypatch)
    assert parent.ends(1, 3.0) is None
    parent.restart()
    assert parent.ends(2, 1.0) == 2


def test_a_mistake_after_it_ran_well_ends_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, less and less often, each time with a line, for as long as it takes."""
    parent = Parent(monkeypatch)
    assert parent.ends(2, HEALTHY + 1) is None
    waits = []
    for _ in range(12):
        waits.append(parent.restart())
        assert parent.ends(2, 1.0) is None
    assert waits[0] == pytest.approx(FIRST_WAIT, abs=0.06)
    assert waits[-1] == pytest.approx(LONGEST_WAIT, abs=0.06)
    assert all("exit 2" in line for line in parent.lines)
    assert parent.started == 13


@pytest.mark.parametrize("vital", [True, False])
def test_a_failing_disk_ends_the_parent_of_a_vital_child_alone(monkeypatch: pytest.MonkeyPatch, vital: bool) -> None:
    """Whenever it comes: what must not go on without it ends with it, and what may does not."""
    for after in (1.0, HEALTHY + 1):
        assert Parent(monkeypatch, vital=vital).ends(3, after) == (3 if vital else None)


def test_a_second_parent_with_the_same_folder_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to do; where nobody is, or whoever was there has just ended, nothing is in the way."""
    monkeypatch.setattr(supervise, "ALONE", 0.3)
    lock = tmp_path / "journal" / "lock"
    supervise.alone(tmp_path / "receiver.toml", lock)
    lock.parent.mkdir()
    holder = os.open(lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(ConfigError, match="it runs already") as refused:
        supervise.alone(tmp_path / "receiver.toml", lock)
    assert "checkvalve status" in refused.value.hint
    ending = threading.Timer(0.1, os.close, [holder])
    ending.start()
    supervise.alone(tmp_path / "receiver.toml", lock)
    ending.join()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has anything to give up")
def test_a_child_keeps_its_tie_where_its_parent_gave_up_less_than_its_bounds() -> None:
    """As `publish` under `receive`: it may not touch its bounding set, and root's children would gain what is in it."""
    asked = (
        "import ctypes; signal = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(signal));"  # PR_GET_PDEATHSIG
        "from protocol.process.capabilities import _mask; print(signal.value, hex(_mask('CapPrm')), flush=True)"
    )
    second = f"import sys, supervise; {{shed}}; supervise.start([sys.executable, '-c', {asked!r}]).wait()"
    shed = "from protocol.process import capabilities as c; c.shed({keep})"
    second = second.format(shed=shed.format(keep="c.NET_BIND_SERVICE"))
    first = (
        f"import sys, supervise; {shed.format(keep='c.NET_ADMIN, c.NET_BIND_SERVICE')};"
        f"supervise.start([sys.executable, '-c', {second!r}]).wait()"
    )
    done = subprocess.run([sys.executable, "-c", first], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["15", "0x400"], done.stderr

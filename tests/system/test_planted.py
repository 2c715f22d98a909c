"""Laws of a state folder that a service user owns: root's commands write through nothing, wait for nothing and print
nothing that such a user may have planted there."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import checkvalve
import sender.commands.cli
from audit import carried
from audit.machine import process_facts
from protocol import keymaking
from protocol.errors import ConfigError
from protocol.process.last_words import read_statuses
from protocol.process.statusfile import read_status, write_status
from protocol.store import statefile
from receiver.catch.store import floors
from receiver.commands.cli import app
from receiver.outputs.historian.mending.verify import check
from receiver.outputs.historian.output import HistorianOutput
from receiver.portal import reports
from receiver.status.catch import CatchStatus
from sender.commands import errand
from sender.emit import errands
from sender.emit.state_keeper import StateKeeper
from sender.poll import reload

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="it is root that must be careful")

NOBODY = 65534
SECRET = "not for everybody"


class Plant:
    """A state folder of a service user's, with files of root's beside it that it would like to see changed or read."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "root", folder / "side" / "state"
        self.root.mkdir(mode=0o700)
        self.state.mkdir(mode=0o770, parents=True)
        os.chown(self.state, NOBODY, NOBODY)
        self.victim = self.root / "victim"
        self.victim.write_text(SECRET)
        self.victim.chmod(0o600)
        for side in ("high", "low"):
            keymaking.make(side, folder / "keys" / side)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        self.low = folder / "side" / "receiver.toml"
        self.low.write_text(
            f'[inlet]\nlisten = "127.0.0.1:{port}"\n[keys]\nown = "../keys/low"\nsenders = ["../keys/high.pub"]\n'
        )
        self.high = folder / "side" / "sender.toml"
        self.high.write_text(
            f'site = "north"\n[outlet]\nto = "127.0.0.1:{port}"\n[keys]\nown = "../keys/high"\n'
            'receivers = ["../keys/low.pub"]\n'
        )

    def link(self, name: str, to: Path | None = None) -> None:
        """A link of the service user's."""
        (self.state / name).symlink_to(self.victim if to is None else to)
        os.chown(self.state / name, NOBODY, NOBODY, follow_symlinks=False)

    def fifo(self, name: str) -> None:
        """A FIFO that nobody ever writes into."""
        os.mkfifo(self.state / name, 0o666)
        os.chown(self.state / name, NOBODY, NOBODY)

    def untouched(self) -> bool:
        """Nothing of root's was changed, and nothing new lies there."""
        held = self.victim.stat()
        same = (held.st_mode & 0o777, held.st_uid, held.st_nlink) == (0o600, 0, 1)
        return same and self.victim.read_text() == SECRET and os.listdir(self.root) == ["victim"]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """A fresh one."""
    return Plant(tmp_path)


def _reload(plant: Plant) -> None:
    reload.ask(plant.state, "ab")
    reload.answer(plant.state, "ab", lines=["x"])


def _errand(plant: Plant) -> None:
    name = errand.put(plant.state, "replay", {}, time_ns=1, salt=b"x")
    errands.ErrandFolder(plant.state).finish(name, {"state": "done"})


def _status(plant: Plant) -> None:
    write_status(plant.state, "emit", {"told": 1}, time_ns=1)


def _carried(plant: Plant) -> None:
    document = plant.low.with_name("found.json")
    document.write_text("{}")
    statefile.make_folder(plant.state / "outbox")
    carried.leave(document, plant.high)


def _progress(plant: Plant) -> None:
    StateKeeper(plant.state).close()


WRITES: list[tuple[str, Callable[[Plant], object]]] = [
    ("accept.json", lambda plant: checkvalve.main(["accept", str(plant.low), "--lower"])),
    ("accept.json.new", lambda plant: checkvalve.main(["accept", str(plant.low), "--lower"])),
    ("floor.json.new", lambda plant: floors.save(plant.state, floors.Floors())),
    ("reload.json.new", _reload),
    ("reload.done.new", _reload),
    ("reload.json", _reload),
    ("reload.done", _reload),
    ("errands/00000000000000000001-78.json.new", _errand),
    ("errands/00000000000000000001-78.done.new", _errand),
    ("status-emit.json", _status),
    ("status-emit.json.new", _status),
    ("status-emit.new", _status),
    ("outbox/found.json", _carried),
    ("outbox/found.json.new", _carried),
    ("outbox/.found.json", _carried),
]


@pytest.mark.parametrize(("name", "act"), WRITES, ids=[name for name, _ in WRITES])
@pytest.mark.parametrize("planted", ["link to a file", "link to nothing", "FIFO"])
def test_root_writes_through_nothing_that_is_planted(
    plant: Plant, name: str, act: Callable[[Plant], object], planted: str
) -> None:
    """What stands under the name is taken away, or stays; the file is the service user's, so that it can be read."""
    parent = (plant.state / name).parent
    if parent != plant.state:
        statefile.make_folder(parent)
    if planted == "FIFO":
        plant.fifo(name)
    else:
        plant.link(name, None if planted == "link to a file" else plant.root / "made")
    act(plant)
    assert plant.untouched()
    written = [path for path in plant.state.rglob("*.json") if path.is_file() and not path.is_symlink()]
    assert written or "reload" in name or "errands" in name
    assert {path.stat().st_uid for path in written} <= {NOBODY}


@pytest.mark.parametrize(
    ("name", "act"),
    [("errands", _errand), ("errands", lambda plant: errand.leave(plant.state, "replay", {})), ("outbox", _carried)],
    ids=["errands", "errands, from the command", "outbox"],
)
def test_a_folder_that_is_a_link_is_not_entered(plant: Plant, name: str, act: Callable[[Plant], object]) -> None:
    """Whatever is below it: the command says which folder, and root's own stays as it is."""
    plant.link(name, plant.root)
    with pytest.raises((ConfigError, NotADirectoryError), match=name):
        act(plant)
    assert plant.untouched()


@pytest.mark.parametrize("word", ["check", "rebuild"])
def test_a_history_that_is_a_link_is_not_entered(plant: Plant, word: str) -> None:
    """Root would make its database there, with its own rights."""
    plant.link("history", plant.root)
    argv = [sys.executable, "-P", "-m", "checkvalve", "history", word, str(plant.low)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "is a link" in done.stderr
    assert plant.untouched()


@pytest.mark.parametrize(
    "name", ["2025-09.db", "2025-09.db.damaged-1", "current.db", "current.db-journal", "current.db-wal"]
)
@pytest.mark.parametrize("planted", ["link", "FIFO"])
def test_no_command_waits_for_what_is_planted_in_a_history(plant: Plant, name: str, planted: str) -> None:
    """It is said to be damaged, set aside by a rebuild, and nothing is read through it."""
    history = plant.root.parent / "side" / "history"
    HistorianOutput(history).close()
    (history / name).unlink(missing_ok=True)
    if planted == "link":
        (history / name).symlink_to(plant.victim)
    else:
        os.mkfifo(history / name)
    assert any("DAMAGED" in line or "damaged-1" in line for line in check(history))
    output = HistorianOutput(history)
    output.rebuild(lambda line: None)
    output.close()
    assert [line for line in check(history) if "DAMAGED" in line] == []
    assert plant.victim.read_text() == SECRET


def test_a_history_of_roots_in_a_folder_of_the_service_user_is_not_worked_on_as_root(plant: Plant) -> None:
    """That user could put another folder in its place at any moment."""
    (plant.state / "history").mkdir()
    argv = [sys.executable, "-P", "-m", "checkvalve", "history", "rebuild", str(plant.low)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "may not be read and written" in done.stderr
    assert os.listdir(plant.state / "history") == []


def test_a_lock_that_is_a_link_makes_no_file_elsewhere(plant: Plant) -> None:
    """Emit started by root refuses it."""
    plant.link("emit.lock", plant.root / "made")
    with pytest.raises(OSError, match=r"emit\.lock"):
        StateKeeper(plant.state)
    assert plant.untouched()


@pytest.mark.parametrize("planted", ["link", "hard link", "FIFO", "folder"])
def test_a_status_on_a_full_disk_overwrites_its_own_file_alone(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    """Where there is no room the old bytes are written over: of a plain file under one name, and of nothing else."""

    def full(*given: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = plant.state / "status-emit.json"
    if planted == "link":
        plant.link(path.name)
    elif planted == "hard link":
        os.link(plant.victim, path)
    elif planted == "FIFO":
        plant.fifo(path.name)
    else:
        path.mkdir()
    monkeypatch.setattr(statefile, "write", full)
    write_status(plant.state, "emit", {}, time_ns=1)
    assert plant.victim.read_text() == SECRET
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    path.write_text(" " * 4000)
    write_status(plant.state, "emit", {"told": "x"}, time_ns=7)
    told = read_status(plant.state, "emit")
    assert told is not None
    assert told["told"] == "x"


@pytest.mark.parametrize("planted", ["link", "FIFO", "folder", "nested", "device"])
def test_root_reads_nothing_that_is_planted(plant: Plant, planted: str) -> None:
    """A status that is a link, a FIFO, a folder, a device or JSON without end: as if there were none, at once."""
    names = [f"status-{one}.json" for one in ("catch", "emit", "poll")]
    names += ["reload.json", "reload.done", "errands/1.done", "errands/1.json"]
    statefile.make_folder(plant.state / "errands")
    plant.victim.write_text(json.dumps({"time_ns": time.time_ns(), "pid": 1, "warnings": [SECRET], "lines": [SECRET]}))
    for name in names:
        if planted == "link":
            plant.link(name)
        elif planted == "FIFO":
            plant.fifo(name)
        elif planted == "folder":
            (plant.state / name).mkdir()
        elif planted == "nested":
            (plant.state / name).write_text("[" * 200_000)
        else:
            os.mknod(plant.state / name, 0o20666, os.makedev(1, 5))  # /dev/zero
    assert read_statuses(plant.state) == {}
    assert process_facts.said(plant.state, "emit") == {}
    assert not reports.read(plant.state, "catch", CatchStatus, time.time_ns()).running
    assert reload.asked(plant.state) == ""
    assert reload.result(plant.state, "") is None
    assert errand.result(plant.state, "1") is None
    found = errands.ErrandFolder(plant.state).next()
    assert found is None
    for words in (["status"], ["gaps"], ["linktest"]):
        for more in ([], ["--json"]):
            done = CliRunner().invoke(app, [*words, str(plant.low), *more])
            assert done.exit_code == 0, (words, done.output)
            assert SECRET not in done.output


WRONG = (
    {},
    {"time_ns": None},
    {"time_ns": 10**300, "pid": 1},
    {"time_ns": -(10**29), "pid": 1},
    *({"time_ns": 1, "pid": 1, key: wrong} for key in ("warnings", "alarms", "assets", "link") for wrong in (5, None)),
    {"time_ns": 1, "pid": 1, "assets": {"pump": 5}, "blocks": 7, "gaps": 7, "codes": 7, "lost": 7, "linktest": 7},
    {"time_ns": 1, "pid": 1, "blocks": {}, "gaps": [{}], "codes": [{}], "lost": [{}], "linktest": [{}]},
)


@pytest.mark.parametrize("told", WRONG, ids=str)
def test_a_status_of_any_shape_is_shown_as_far_as_it_goes(plant: Plant, told: dict[str, object]) -> None:
    """Damaged while its process did not run, or planted: no command fails, and the other processes are shown."""
    write_status(plant.state, "zz", {"warnings": ["seen"]}, time_ns=time.time_ns())
    for name in ("catch", "emit", "poll"):
        (plant.state / f"status-{name}.json").write_text(json.dumps(told))
    for front, words in (
        (app, ["status"]),
        (app, ["gaps"]),
        (app, ["linktest"]),
        (sender.commands.cli.app, ["status"]),
    ):
        side = plant.low if front is app else plant.high
        done = CliRunner().invoke(front, [*words, str(side)])
        assert done.exit_code in (0, int(words == ["status"])), (words, done.output, done.exception)  # 1: an alarm
        assert "seen" in done.output or words != ["status"]

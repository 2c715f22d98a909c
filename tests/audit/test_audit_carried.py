"""The high side's findings travel with the data, and come out byte for byte."""

from __future__ import annotations

import json
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from audit import carried, catalogue, findings_folder
from audit.check import AuditFindings, CheckStatus
from audit.cli import app
from protocol import keymaking, keys
from protocol.content.parts import LARGEST, PART_BYTES
from protocol.errors import ConfigError
from protocol.store.segment_store import Store
from sender.geometry import Geometry
from sender.store.outbox import Outbox, audit_line
from sender.store.pack import Packer
from supervise import command

NOW = 1_700_000_000 * 10**9


class Plant:
    """A packer whose blocks go straight into a low side's journal, and an outbox before it."""

    def __init__(self, folder: Path) -> None:
        self.high, self.low = folder / "high", folder / "low"
        for side, place in (("high", self.high), ("low", self.low)):
            keymaking.make(side, place / "keys" / side)
        (self.high / "sender.toml").write_text('[keys]\nown = "keys/high"\n')
        (self.low / "receiver.toml").write_text('[keys]\nown = "keys/low"\nsenders = ["../high/keys/high.pub"]\n')
        self.store = Store(self.low / "state" / "journal")
        self.now, self.states, self.settled = 100.0, list[tuple[str, str]](), True
        self.packer = Packer(
            site="north",
            boot=1,
            geometry=Geometry(width=1424, rate=2.5e6, repeats=2, loss=0.01),
            signer=keys.load(self.high / "keys" / "high", "sign"),
            receivers=[keys.load(self.low / "keys" / "low", "open").public],
            previous=None,
            append=self.store.append,
            entropy=random.Random(3).randbytes,
            wall=lambda: NOW,
            now=lambda: self.now,
        )
        self.outbox = Outbox(self.high / "state", send=self.packer.file, say=self._say, settle=self._settle)

    @property
    def waiting(self) -> list[str]:
        """Files in the outbox."""
        return sorted(path.name for path in (self.high / "state" / "outbox").iterdir())

    def collect(self) -> carried.Collected:
        """As the low side's timer does."""
        return carried.collect(self.low / "receiver.toml", self.low / "audit")

    def _say(self, what: str, text: str) -> None:
        self.states.append((what, text))

    def _settle(self) -> bool:
        if self.settled:
            self.store.sync()
        return self.settled


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """A fresh one."""
    return Plant(tmp_path)


def findings(time: str = "2026-11-23T06:00:00Z", *, filler: int = 0) -> AuditFindings:
    """A run on the high side."""
    checks = (
        catalogue.check("CNT-1", CheckStatus.PASS, "0 frames"),
        catalogue.check("L1-1", CheckStatus.SKIP, "x" * filler),
    )
    return AuditFindings(what="live high", time=time, facts={"host": "hi"}, checks=checks)


@pytest.mark.parametrize("filler", [0, 3 * PART_BYTES])
def test_findings_arrive_as_they_were_kept(plant: Plant, filler: int) -> None:
    """Left, packed, journaled, opened: the same bytes; a second look finds nothing new."""
    kept = findings_folder.keep(findings(filler=filler), plant.high / "audit")
    carried.leave(kept, plant.high / "sender.toml")
    plant.outbox.look(NOW)
    assert plant.waiting == []
    assert plant.states == [("audit", "live high 2026-11-23T06:00:00Z: 1 PASS, 1 SKIP")]
    done = plant.collect()
    assert [path.name for path in done.new] == [kept.name]
    assert done.new[0].read_bytes() == kept.read_bytes()
    assert (plant.collect().new, plant.collect().known) == ((), 1)


def test_a_file_is_taken_away_only_when_its_blocks_are_on_the_disk(plant: Plant) -> None:
    """On a full disk it stays, and is not packed again every second; sent twice it is still one."""
    kept = findings_folder.keep(findings(), plant.high / "audit")
    carried.leave(kept, plant.high / "sender.toml")
    plant.settled = False
    for _ in range(3):
        plant.outbox.look(NOW)
    assert plant.waiting == [kept.name]
    number = plant.packer.number
    plant.settled = True
    plant.outbox.look(NOW)
    assert (plant.waiting, plant.packer.number) == ([], number)
    carried.leave(kept, plant.high / "sender.toml")  # as after a crash between sync and unlink
    plant.outbox.look(NOW)
    assert len(plant.collect().new) == 1


def test_what_cannot_be_sent_is_said_once_and_put_aside(plant: Plant) -> None:
    """Too large: a note, and a name that a person finds; what comes after it is sent."""
    box = plant.high / "state" / "outbox"
    (box / "a.bin").write_bytes(bytes(LARGEST + 1))
    (box / ".half-written").write_bytes(b"x")
    (box / "b.txt").write_bytes(b"no findings")
    for _ in range(3):
        plant.outbox.look(NOW)
    assert plant.waiting == [".half-written", "a.bin.refused"]
    assert [what for what, _ in plant.states] == ["note"]
    done = plant.collect()
    assert (done.new, done.others) == ((), 1)


def test_an_epochs_forgery_opens_nothing(plant: Plant) -> None:
    """Where the EPOCH is of another signer the file stays shut, and that is counted."""
    carried.leave(findings_folder.keep(findings(), plant.high / "audit"), plant.high / "sender.toml")
    plant.outbox.look(NOW)
    keymaking.make("high", plant.high / "other")
    (plant.low / "receiver.toml").write_text('[keys]\nown = "keys/low"\nsenders = ["../high/other.pub"]\n')
    done = plant.collect()
    assert (done.new, dict(done.arrived.unopened)) == ((), {"key": 1})


@pytest.mark.parametrize("name", ["../../evil.json", ".hidden.json", "a/b.json", "x.sh"])
def test_a_name_never_leaves_the_folder(plant: Plant, name: str) -> None:
    """A name that travelled is not believed: no other folder, no hidden file, no other ending."""
    from protocol.content.parts import cut

    for body in cut("", name, NOW, findings().text().encode()):
        plant.packer.file(body)
    plant.store.sync()
    (path,) = plant.collect().new
    assert path.parent == plant.low / "audit"
    assert path.name[0] != "."
    assert path.suffix == ".json"


@pytest.mark.parametrize("name", ["of the low side", "of no day", "of another format", "nested without end"])
def test_what_a_taken_high_side_could_send_is_not_kept(plant: Plant, name: str) -> None:
    """It cannot speak for the low side, nor leave what no report could be made of."""
    told = json.loads(findings().text())
    hostile = {
        "of the low side": json.dumps(told | {"what": "live low"}),
        "of no day": json.dumps(told | {"time": "yesterday"}),
        "of another format": json.dumps(told | {"format": "checkvalve-audit-v9"}),
        "nested without end": "[" * 200_000,
    }
    (plant.high / "state" / "outbox" / "x.json").write_text(hostile[name])
    plant.outbox.look(NOW)
    done = plant.collect()
    assert (done.new, done.others) == ((), 1)


def test_commands_say_what_is_missing(plant: Plant, tmp_path: Path) -> None:
    """No outbox, no journal, no configuration: a mistake with a hint."""
    kept = findings_folder.keep(findings(), tmp_path / "audit")
    (tmp_path / "sender.toml").write_text("")
    with pytest.raises(ConfigError):
        carried.leave(kept, tmp_path / "sender.toml")
    for text in ("", "[keys]\n", '[keys]\nown = "k"\nsenders = []\n'):
        (tmp_path / "receiver.toml").write_text(text)
        with pytest.raises(ConfigError):
            carried.collect(tmp_path / "receiver.toml", tmp_path / "audit")
    done = CliRunner().invoke(
        app, ["audit", "collect", str(plant.low / "receiver.toml"), "--keep", str(tmp_path / "k")]
    )
    assert done.exit_code == 0
    assert "0 new" in done.output


@pytest.mark.parametrize("held", [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": "checkvalve-audit-v1"}', b"\xff"])
def test_what_is_no_findings_document_has_no_line(held: bytes) -> None:
    """Whatever lies in the outbox, no exception."""
    assert audit_line(held) is None
    told: dict[str, Any] = json.loads(findings().text())
    assert audit_line(json.dumps(told | {"counts": {}}).encode()) == (
        "live high 2026-11-23T06:00:00Z: nothing was checked"
    )


def test_the_daily_command_carries_by_itself(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """High: kept and left for poll; low: kept, with what came. What hinders it is said and stops nothing."""
    from audit.machine import live_checks

    def found(question: live_checks.MachineQuestion, **_: object) -> AuditFindings:
        return AuditFindings(what=f"live {question.subject.side}", time="2026-11-23T06:00:00Z")

    monkeypatch.setattr(live_checks, "run", found)

    def daily(side: str, config: Path, keep: Path, *more: str) -> tuple[int, str]:
        words = ["audit", "live", "--side", side, "--interface", "x", "--config", str(config), "--keep", str(keep)]
        done = CliRunner().invoke(app, [*words, *more])
        return done.exit_code, done.output

    code, told = daily("high", plant.high / "sender.toml", plant.high / "audit")
    assert (code, "left for poll" in told) == (0, True)
    plant.outbox.look(NOW)
    code, told = daily("low", plant.low / "receiver.toml", plant.low / "audit")
    assert (code, "came with the data" in told) == (0, True)
    assert sorted(path.name for path in (plant.low / "audit").iterdir()) == [
        "2026-11-23T06-00-00Z_live-high.json",
        "2026-11-23T06-00-00Z_live-low.json",
    ]
    code, told = daily("high", plant.high / "none" / "sender.toml", plant.high / "audit")
    assert (code, "not carried" in told) == (0, True)
    assert daily("high", plant.high / "none" / "sender.toml", plant.high / "audit", "--carry")[0] != 0
    assert "left for poll" not in daily("high", plant.high / "sender.toml", plant.high / "audit", "--no-carry")[1]


def test_the_polling_process_takes_up_what_lies_in_its_outbox(plant: Plant) -> None:
    """The real process, whose one device is not there: the file becomes blocks of its spool and is taken away."""
    (plant.high / "sender.toml").write_text(
        """
site = "north"
[outlet]
to = "127.0.0.1:5005"
[keys]
own = "keys/high"
receivers = ["../low/keys/low.pub"]
[spool]
max_gb = 1
[[asset]]
name = "pump"
collector = "modbus"
url = "tcp://127.0.0.1:1"
[[asset.scan]]
every = "1s"
tags = [{ name = "speed", at = "holding:0", type = "uint16" }]
"""
    )
    kept = findings_folder.keep(findings(), plant.high / "audit")
    carried.leave(kept, plant.high / "sender.toml")
    with subprocess.Popen(command("send", str(plant.high / "sender.toml"), "--only", "poll")) as poll:
        try:
            ends = time.monotonic() + 90
            while plant.waiting:
                assert poll.poll() is None
                assert time.monotonic() < ends
                time.sleep(0.05)
        finally:
            poll.terminate()
    signer = keys.load_public(plant.high / "keys" / "high.pub")
    found = carried.arrived(
        plant.high / "state" / "spool",
        [keys.load(plant.low / "keys" / "low", "open")],
        {key.id: key for key in signer if key.kind == "sign"},
    )
    assert [one.data for one in found.files] == [kept.read_bytes()]

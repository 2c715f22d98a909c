"""`checkvalve apply`: what changes is shown, kept with who and why, taken or put back; a kill tears nothing."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from polling import asset_toml, loaded, scripted, sender_toml

import checkvalve
from protocol.content import applied
from protocol.content.applied import APPLY, BACK, FOUND, AppliedChange
from protocol.errors import ConfigError, HeldError
from protocol.store import statefile
from sender.change import applications, running
from sender.commands import apply_change
from sender.commands.apply_change import Shell, WantedChange
from sender.poll import reload
from sender.poll.config import SenderConfig, load

KINDS = {"pump": scripted(), "fan": scripted()}
TAG = 'name = "flow", at = "0", type = "float64", unit = "bar"'
NIGHT_NS = 1_800_000_000_000_000_000


def configuration(name: str) -> str:
    """A whole configuration for each letter, unlike any other."""
    return sender_toml(asset_toml("pump", TAG, f'name = "{name}", at = "{ord(name[0])}", type = "float64"'))


class Killed(BaseException):
    """kill -9: nothing behind it happens."""


@dataclass
class Plant:
    """A high side whose poll is a few lines."""

    folder: Path
    alive: bool = True
    refuses: str = ""
    unanswered: bool | None = None
    """poll does not answer; whether the request was withdrawn."""
    said: list[str] = field(default_factory=list)
    states: list[AppliedChange] = field(default_factory=list)
    """What poll said on the link."""
    now_ns: int = NIGHT_NS

    def __post_init__(self) -> None:
        self.file = self.folder / "sender.toml"
        self.state = self.folder / "state"
        self.state.mkdir(exist_ok=True)

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def start(self) -> None:
        """poll starts with the file that stands, or reloads it."""
        self.now_ns += 10**9
        change, _ = running.take(self.state, self.file.read_bytes(), self.said.append, wall_ns=self.now_ns)
        if change is not None:
            self.states.append(applied.read(change.text()))

    def apply(self, ask: Callable[[str], str] | None = None, **wanted: Any) -> AppliedChange | None:
        """The command, as typed by anna."""
        self.now_ns += 10**9
        shell = Shell(
            say=self.said.append,
            ask=ask,
            wall_ns=self.now_ns,
            ask_poll=self._asked,
            runs=lambda state: self.alive,
            check=self._check,
        )
        return apply_change.run(self.file, WantedChange(by="anna", **wanted), shell)

    def new(self, text: str, **more: Any) -> AppliedChange | None:
        """Another file is applied."""
        other = self.folder / "new.toml"
        other.write_text(text)
        return self.apply(source=other, why=more.pop("why", "because"), **more)

    def applied(self) -> list[AppliedChange]:
        return applications.records(self.state, self.said.append, wall_ns=self.now_ns)

    def _check(self, path: Path, *, look: bool, source: Path | None) -> SenderConfig:
        standing = path.read_bytes()
        try:
            return loaded(path.parent, (source or path).read_text(), KINDS)
        finally:
            path.write_bytes(standing)

    def _asked(self, state: Path, digest: str, say: Callable[[str], None]) -> None:
        if self.unanswered is not None:
            error = reload.UnansweredError("poll has not answered in 30 s")
            error.withdrawn = self.unanswered
            raise error
        if self.refuses:
            raise ConfigError(f"not reloaded: {self.refuses}")
        assert applications.digest_of(self.file.read_bytes()) == digest
        self.start()


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Its configuration A runs, and nothing was ever applied."""
    made = Plant(tmp_path)
    made.write(configuration("A"))
    made.start()
    return made


def test_a_source_that_never_ends_is_refused(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device at once; a pipe that nobody writes to, or that stays open, in time; one without end by its size."""
    monkeypatch.setattr(apply_change, "SOURCE_S", 0.2)
    pipe, held = plant.folder / "pipe", plant.folder / "held"
    os.mkfifo(pipe)
    os.mkfifo(held)
    writer = os.open(held, os.O_RDWR)
    os.write(writer, b'site = "x"')
    try:
        for source, told in (("/dev/zero", "is a device"), (pipe, "did not end"), (held, "did not end")):
            with pytest.raises(ConfigError, match=told):
                plant.apply(source=Path(source), why="because")
    finally:
        os.close(writer)
    with pytest.raises(ConfigError, match="/dev/zero has over 64 MiB"):
        load(Path("/dev/zero"))
    endless = subprocess.Popen(["/usr/bin/yes"], stdout=subprocess.PIPE)
    assert endless.stdout is not None
    try:
        with pytest.raises(ConfigError, match="has over 64 MiB"):
            load(plant.file, source=Path(f"/dev/fd/{endless.stdout.fileno()}"))
    finally:
        endless.kill()
        endless.communicate()
    assert plant.file.read_text() == configuration("A")
    assert plant.applied() == []


@pytest.mark.parametrize("named", [True, False])
def test_a_pipe_that_ends_is_applied_as_a_file_is(plant: Plant, named: bool) -> None:
    """`<(sed ..)` of a shell, and a FIFO whose writer comes a moment later."""
    if named:
        source = plant.folder / "pipe"
        os.mkfifo(source)
        writing = threading.Thread(target=source.write_text, args=[configuration("B")])
        writing.start()
    else:
        reading, end = os.pipe()
        os.write(end, configuration("B").encode())
        os.close(end)
        source = Path(f"/dev/fd/{reading}")
    try:
        assert plant.apply(source=source, why="because") is not None
        assert plant.file.read_text() == configuration("B")
    finally:
        if named:
            writing.join()
        else:
            os.close(reading)


def test_the_low_sides_file_is_told_apart(plant: Plant) -> None:
    """Whether it is to be applied or only listed: it is no file that nothing was applied to yet."""
    low = plant.folder / "receiver.toml"
    low.write_text('[inlet]\nlisten = "192.0.2.2:5005"\n')
    with pytest.raises(ConfigError, match="is the low side's file"):
        apply_change.list_lines(low, plant.said.append, wall_ns=0)
    with pytest.raises(ConfigError, match="is the low side's file"):
        apply_change.run(low, WantedChange(), Shell(say=plant.said.append, ask=None, wall_ns=0))


def test_an_application_keeps_file_person_reason_and_ticket_and_poll_says_them(plant: Plant) -> None:
    """What ran before is kept too, so that the very first application can be taken back."""
    plant.new(configuration("B"), why="flow was missing", ticket="MOC-7")
    assert plant.file.read_text() == configuration("B")
    before, change = plant.applied()
    assert (before.kind, before.number, applications.copy(plant.state, before)) == (
        FOUND,
        1,
        configuration("A").encode(),
    )
    assert (change.kind, change.number, change.over, change.time_ns) == (APPLY, 2, 1, plant.now_ns - 10**9)
    assert (change.by, change.why, change.ticket) == ("anna", "flow was missing", "MOC-7")
    assert (change.before, change.after) == (before.after, applications.digest_of(configuration("B").encode()))
    assert applications.copy(plant.state, change) == configuration("B").encode()
    assert change.lines == ("pump changed: tags B added; tags A taken out",)
    (told,) = plant.states
    assert (told.told(), told.lines) == (change.told(), change.lines)
    assert {stat.S_IMODE(path.stat().st_mode) & 0o027 for path in (plant.state / "applied").glob("0*")} <= {0, 0o20}
    assert any("+ tag B" in line for line in plant.said)


@pytest.mark.parametrize(
    "steps",
    ["B<", "BC<<", "BC<D<<", "BCD<<<", "B<C<", "BC<<B<", "BC!D<<"],
    ids=lambda steps: f"steps {steps}",
)
def test_back_returns_through_what_was_applied_before(plant: Plant, steps: str) -> None:
    """A letter applies that file, `<` goes back, `!` reloads an E by hand: as an editor undoes it."""
    way = ["A"]
    for step in steps:
        if step == "<":
            assert plant.apply(back=True) is not None
            way.pop()
        elif step == "!":
            plant.write(configuration("E"))
            plant.start()
            way.append("E")
        else:
            plant.new(configuration(step))
            way.append(step)
        assert plant.file.read_text() == configuration(way[-1]), f"{steps} {way}"
        assert plant.states[-1].after == applications.digest_of(configuration(way[-1]).encode())[:16]
    if steps == "B<":
        assert [one.kind for one in plant.applied()] == [FOUND, APPLY, BACK]
        assert plant.applied()[-1].told() == "application 3, back to 1 by anna: back to what ran as 1"
        with pytest.raises(ConfigError, match="no configuration before this one"):
            plant.apply(back=True)


PRIMITIVES = ((statefile, "write"), (statefile, "remove"), (apply_change, "put"))


@pytest.mark.parametrize("edited", [False, True], ids=["from a file", "edited in place"])
@pytest.mark.parametrize("refuses", ["", "no"], ids=["taken", "refused"])
def test_killed_at_any_moment_the_file_is_whole_and_the_next_apply_knows(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, edited: bool, refuses: str
) -> None:
    """Before and behind each write and each removal: old or new stands, and its record counts only where it stands."""
    old, new = configuration("B"), configuration("C")
    plant.new(old)
    moments = 0
    while True:
        moments += 1
        plant.write(new if edited else old)
        plant.refuses, left = refuses, [moments]
        with monkeypatch.context() as patch:
            for owner, name in PRIMITIVES:
                _kill_around(patch, owner, name, left)
            try:
                _applied_or_refused(plant, new, edited=edited)
            except Killed:
                pass
            else:
                break
        plant.refuses = ""
        standing = plant.file.read_text()
        assert standing in (old, new), f"moment {moments}"
        plant.start()  # whatever stands is taken at a start
        with pytest.raises(ConfigError, match="why"):
            plant.apply(source=_other(plant, configuration("D")))
        last = plant.applied()[-1]
        assert last.after == applications.digest_of(standing.encode()) or edited, f"moment {moments}"
        assert applications.begun(plant.state, plant.said.append, wall_ns=0) is None
        assert applications.copy(plant.state, last) is not None
        plant.new(old, why="again") if plant.file.read_text() != old else None
        plant.start()
    assert moments > (5 if refuses else 8)
    assert not any("damaged" in path.name for path in (plant.state / "applied").iterdir())


def _other(plant: Plant, text: str) -> Path:
    path = plant.folder / "other.toml"
    path.write_text(text)
    return path


def _applied_or_refused(plant: Plant, text: str, *, edited: bool) -> None:
    with contextlib.suppress(ConfigError):
        plant.apply(why="because") if edited else plant.new(text)


def _kill_around(patch: pytest.MonkeyPatch, owner: Any, name: str, left: list[int]) -> None:
    real = getattr(owner, name)

    def killed(*given: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        done = real(*given, **named)
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return done

    patch.setattr(owner, name, killed)


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("why", ["refused", "withdrawn", "unanswered"])
def test_what_poll_does_not_take_is_put_back_and_kept_nowhere(plant: Plant, why: str, edited: bool) -> None:
    """Only where poll may have taken it, since it does not answer, does it count, and that is said."""
    plant.refuses = "this stream has no ids left" if why == "refused" else ""
    plant.unanswered = {"withdrawn": True, "unanswered": False}.get(why)
    if edited:
        plant.write(configuration("B"))
    with pytest.raises(ConfigError, match="nothing was applied" if why != "unanswered" else "not answered"):
        plant.apply(why="x") if edited else plant.new(configuration("B"))
    counts = why == "unanswered"
    assert plant.file.read_text() == configuration("B" if edited or counts else "A")
    assert [one.kind for one in plant.applied()] == ([FOUND, APPLY] if counts else [FOUND])
    assert not plant.states


@pytest.mark.parametrize("answer", ["", "n", "no", "nonsense"])
def test_without_a_yes_or_a_reason_nothing_is_done(plant: Plant, answer: str) -> None:
    """What changes was shown before."""
    with pytest.raises(ConfigError, match="nothing was applied"):
        plant.new(configuration("B"), ask=lambda question: answer)
    with pytest.raises(ConfigError, match="why"):
        plant.new(configuration("B"), why="")
    assert plant.file.read_text() == configuration("A")
    assert not plant.applied()
    assert any("+ tag B" in line for line in plant.said)


def test_a_second_apply_at_the_same_time_is_refused(plant: Plant) -> None:
    """Also while the first one waits for an answer."""

    def meanwhile(question: str) -> str:
        with pytest.raises(HeldError, match="under way"):
            plant.new(configuration("C"))
        return "yes"

    plant.new(configuration("B"), ask=meanwhile)
    assert [one.number for one in plant.applied()] == [1, 2]


def test_what_needs_a_restart_is_applied_without_asking_poll_and_counts_at_its_start(plant: Plant) -> None:
    """Until then it is said to wait; going back from there is going back to what runs."""
    other = configuration("A").replace('"127.0.0.1:5005"\n', '"127.0.0.2:5005"\nrate_mbit = 5\n')
    plant.new(other)
    assert not plant.states
    assert any(
        "outlet cannot change while it runs: all of this waits for a start of poll and emit" in s for s in plant.said
    )
    assert any("systemctl restart checkvalve-poll checkvalve-emit" in line for line in plant.said)
    (line,) = running.unapplied(plant.file, None, wall_ns=0)
    assert "not taken yet, it waits for a start of poll: application 2 by anna" in line
    plant.start()
    assert plant.states[-1].number == 2
    assert plant.states[-1].lines == ("outlet.rate_mbit (none) -> 5", "outlet.to hidden")
    assert running.unapplied(plant.file, None, wall_ns=0) == []
    plant.new(other.replace("rate_mbit = 5", "rate_mbit = 6"))
    plant.apply(back=True)
    assert plant.file.read_text() == other
    assert plant.applied()[-1].kind == BACK


def test_without_a_running_poll_it_takes_effect_at_the_next_start(plant: Plant) -> None:
    """That start says who and why."""
    plant.alive = False
    plant.new(configuration("B"), why="at night")
    assert plant.said[-1].startswith("poll does not run here: it takes effect at the next start")
    assert not plant.states
    plant.start()
    assert [(one.number, one.why) for one in plant.states] == [(2, "at night")]
    plant.start()
    assert len(plant.states) == 2, "a start says again which one runs"
    assert plant.states[0] == plant.states[1]


@pytest.mark.parametrize("in_use", [False, True], ids=["nobody applies", "applications are in use"])
def test_a_change_without_apply_is_said_everywhere(plant: Plant, in_use: bool) -> None:
    """On the link always, with what changed; on this side only where applications are in use."""
    if in_use:
        plant.new(configuration("B"))
    plant.write(configuration("C"))
    lines = running.unapplied(plant.file, None, wall_ns=0)
    assert [line.partition(":")[0] for line in lines] == (
        ["sender.toml is not what application 2 by anna"] if in_use else []
    )
    plant.start()
    told = plant.states[-1]
    assert (told.kind, told.number, told.over) == (FOUND, 0, 2 if in_use else 0)
    assert told.told() == "changed without apply" + (", after application 2" if in_use else "")
    assert told.lines == (f"pump changed: tags C added; tags {'B' if in_use else 'A'} taken out",)
    plant.start()
    assert plant.states[-1] == told, "the same at each start"
    plant.apply(why="it was urgent")
    assert any("this runs already" in line for line in plant.said)
    assert plant.states[-1].why == "it was urgent"
    assert [one.kind for one in plant.applied()] == ([FOUND, APPLY, FOUND, APPLY] if in_use else [FOUND, APPLY])
    assert running.unapplied(plant.file, None, wall_ns=0) == []


def test_the_first_start_ever_says_no_change(tmp_path: Path) -> None:
    """There is nothing to compare with."""
    plant = Plant(tmp_path)
    plant.write(configuration("A"))
    plant.start()
    plant.start()
    assert not plant.states


def test_nothing_to_change_is_said_and_not_counted(plant: Plant) -> None:
    """The same file twice is one application."""
    plant.new(configuration("B"))
    assert plant.new(configuration("B")) is None
    assert plant.said[-1].startswith("nothing changes: this is what application 2 by anna")
    plant.new(configuration("B") + "# a remark\n")
    assert "no value changes, only remarks or the order of lines" in plant.said


@pytest.mark.parametrize("name", ["000002.json", "begun.json", "../running.json"])
@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"kind": 1}', b"\xff" * 100, b"[" * 100_000])
def test_a_damaged_record_is_set_aside_and_stops_nothing(plant: Plant, name: str, damage: bytes) -> None:
    """poll starts and apply applies, whatever stands there."""
    plant.new(configuration("B"))
    (plant.state / "applied" / name).write_bytes(damage)
    plant.start()
    plant.new(configuration("C"))
    assert plant.file.read_text() == configuration("C")
    assert any("cannot be believed" in line for line in plant.said)


def test_a_copy_that_is_not_what_its_record_says_is_not_gone_back_to(plant: Plant) -> None:
    """A file that somebody edited there is no configuration that ever ran."""
    plant.new(configuration("B"))
    applications.copy_path(plant.state, 1).write_text(configuration("D"))
    with pytest.raises(ConfigError, match="the copy of application 1 is not here"):
        plant.apply(back=True)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_the_replaced_file_keeps_its_owner_and_its_mode(plant: Plant, mode: int) -> None:
    """So that the service reads it as before."""
    plant.file.chmod(mode)
    if os.geteuid() == 0:
        os.chown(plant.file, 64_321, 64_322)
    before = plant.file.stat()
    plant.new(configuration("B"))
    after = plant.file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino


def test_a_link_in_place_of_the_file_is_never_replaced(plant: Plant) -> None:
    """Root would write where the link leads; edited in place it can be applied."""
    real = plant.folder / "real.toml"
    plant.file.rename(real)
    plant.file.symlink_to(real)
    with pytest.raises(ConfigError, match="is a link"):
        plant.new(configuration("B"))
    assert real.read_text() == configuration("A")
    assert not plant.applied()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another's rights")
def test_what_root_applies_the_owner_of_the_state_folder_reads(plant: Plant) -> None:
    """Whatever umask root has."""
    os.chown(plant.state, 64_321, 64_322)
    before = os.umask(0o077)
    try:
        plant.new(configuration("B"))
    finally:
        os.umask(before)
    for path in [plant.state / "applied", *(plant.state / "applied").iterdir()]:
        assert (path.stat().st_uid, path.stat().st_gid) == (64_321, 64_322), path.name
        assert path.stat().st_mode & 0o440 == 0o440, path.name


@pytest.mark.parametrize("option", ["why", "ticket", "by"])
@pytest.mark.parametrize("text", [" ", "two\nlines", "\x1b[2J", "x" * 1000, "\udcff", "a\u202eb"])
def test_a_text_that_cannot_stand_in_a_line_is_refused(plant: Plant, option: str, text: str) -> None:
    """Before anything is done."""
    typed: dict[str, Any] = {option: text}
    with pytest.raises(ConfigError, match=f"--{option}"):
        apply_change.named(WantedChange(**typed))


def test_the_oldest_go_where_too_many_are_kept(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """With their copies."""
    monkeypatch.setattr(applications, "MOST", 3)
    for name in "BCDEF":
        plant.new(configuration(name))
    assert [one.number for one in plant.applied()] == [4, 5, 6]
    assert sorted(path.name for path in (plant.state / "applied").glob("*.toml")) == [
        f"00000{n}.toml" for n in (4, 5, 6)
    ]


def test_the_command_asks_lists_and_checks(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody can be asked it shows and refuses; `send --check` and `status` say what was not applied."""
    monkeypatch.setattr(load, "__kwdefaults__", {"find": KINDS.__getitem__, "look": False, "source": None})
    monkeypatch.setattr("sender.poll.config.look_at_keys", lambda *given: None)
    plant.write(configuration("B"))
    monkeypatch.setenv("SUDO_USER", "berta")
    file = str(plant.file)
    assert checkvalve.main(["apply", file, "--why", "x"]) == 2
    assert "add --yes" in capsys.readouterr().err
    assert checkvalve.main(["apply", file, "--why", "x", "--yes"]) == 0
    assert "+ tag B" in capsys.readouterr().out
    assert checkvalve.main(["apply", file, "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert "application 2 by berta (as " in listed[0]
    assert "changed without apply: found as 1" in listed[1]
    plant.write(configuration("C"))
    assert checkvalve.main(["send", file, "--check"]) == 0
    assert "is not what application 2 by berta" in capsys.readouterr().out
    assert checkvalve.main(["status", file]) == 0
    assert "is not what application 2 by berta" in capsys.readouterr().out
    assert json.loads((plant.state / "applied/000002.json").read_text())["why"] == "x"

"""The front door: the right room, the right exit code, and nothing loaded that was not asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import checkvalve
from checkvalve import COMMANDS, Command
from protocol import keymaking
from protocol.errors import AssetError, ConfigError, StoreError


class _Room:
    """A room whose one command raises."""

    error: BaseException | None = None


@pytest.mark.parametrize("words", ["--help", "keys show ."])
def test_a_reader_that_has_seen_enough_is_no_failure(words: str, tmp_path: Path) -> None:
    """As of `| head`: exit 0, and nothing is said of it."""
    reading, writing = os.pipe()
    os.close(reading)
    keymaking.make("high", tmp_path / "keys")
    argv = [sys.executable, "-P", "-m", "checkvalve", *words.replace(".", str(tmp_path / "keys")).split()]
    try:
        done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_broken_pipe_elsewhere_is_a_failure() -> None:
    """Of a socket, say, while somebody still reads what is printed."""
    code = "import checkvalve, sys; checkvalve._run = lambda words: (_ for _ in ()).throw(BrokenPipeError()); "
    words = [sys.executable, "-c", code + "sys.exit(checkvalve.main(['x']))"]
    assert subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 1


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[_Room]:
    """A front door with one more command, `raise`."""
    (tmp_path / "raising_room.py").write_text(
        "import typer\napp = typer.Typer()\nroom = None\n"
        "@app.command()\ndef run(code: int = 0) -> None:\n"
        "    if room.error: raise room.error\n    raise typer.Exit(code)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(COMMANDS, "raise", Command("raising_room", "raises"))
    import importlib

    module = importlib.import_module("raising_room")
    monkeypatch.setattr(module, "room", _Room)
    monkeypatch.setattr(_Room, "error", None)
    monkeypatch.delitem(sys.modules, "raising_room")
    monkeypatch.setitem(sys.modules, "raising_room", module)
    return _Room


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ConfigError("the key x is wrong", hint="mend it"), 2, "error: the key x is wrong\nhint: mend it\n"),
        (ConfigError("no hint"), 2, "error: no hint\n"),
        (StoreError("input/output error"), 3, "error: input/output error\n"),
        (KeyboardInterrupt(), 130, ""),
        (AssetError("gone", quality=0x80000000), 1, "error: AssetError: gone\n"),
        (RuntimeError("a bug"), 1, "error: RuntimeError: a bug\nhint: CHECKVALVE_DEBUG=1"),
    ],
)
def test_exit_code_says_who_must_act(
    door: type[_Room],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    text: str,
) -> None:
    """2 the operator, 3 the disk, 130 stopped, 1 anything else; a traceback only where it was asked for."""
    monkeypatch.delenv("CHECKVALVE_DEBUG", raising=False)
    monkeypatch.setattr(door, "error", error)
    assert checkvalve.main(["raise"]) == code
    shown = capsys.readouterr().err
    assert shown.startswith(text)
    assert "Traceback" not in shown


def test_debug_shows_the_traceback(
    door: type[_Room], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CHECKVALVE_DEBUG=1 shows where a bug is."""
    monkeypatch.setenv("CHECKVALVE_DEBUG", "1")
    monkeypatch.setattr(door, "error", RuntimeError("a bug"))
    assert checkvalve.main(["raise"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.usefixtures("door")
def test_commands_own_code_and_wrong_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """A command's exit code passes through; a wrong argument is 2 with the usage; no command is 2."""
    assert checkvalve.main(["raise", "--code", "7"]) == 7
    assert checkvalve.main(["raise", "--nope"]) == 2
    assert "No such option" in capsys.readouterr().err
    assert checkvalve.main(["rise"]) == 2
    assert "no command is called 'rise'" in capsys.readouterr().err


def test_missing_room_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel of one side lists only what it has and names what it has not."""
    monkeypatch.setitem(COMMANDS, "fly", Command("aviary.cli", "flies"))
    assert checkvalve.main(["fly"]) == 2
    assert "not part of this installation" in capsys.readouterr().err
    assert checkvalve.main(["--help"]) == 0
    assert "flies" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["status", "linktest"])
def test_a_command_of_both_sides_is_helped_to_either_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its help names both configurations, and so does what it says where it is given none, or a folder."""
    assert checkvalve.main([name, "--help"]) == 0
    texts = [capsys.readouterr().out]
    assert checkvalve.main([name, str(tmp_path)]) == 2
    texts.append(capsys.readouterr().err)
    assert texts[-1].startswith(f"error: {tmp_path} is a folder, and no configuration\nhint: ")
    if name == "status":
        assert checkvalve.main([name, str(tmp_path / "sender.toml")]) == 2
        texts.append(capsys.readouterr().err)
    for text in texts:
        assert "sender.toml" in text
        assert "receiver.toml" in text


def test_help_imports_no_room() -> None:
    """`--help` and `--version` of the real command answer without loading a room or a vendor's library."""
    script = (
        "import sys, checkvalve\n"
        "assert checkvalve.main(['--help']) == 0 and checkvalve.main(['--version']) == 0\n"
        "heavy = {'sender.commands.cli', 'receiver.commands.cli', 'simulator.cli'}\n"
        "heavy |= {'numpy', 'asyncua', 'pymodbus', 'pycomm3', 'typer'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert {"send", "plan", "discover", "keys", "status"} <= set(lines)
    assert "checkvalve 0" in done.stdout


def test_keys_are_made_shown_and_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`keys new` tells what to carry, `keys show` the same fingerprints; a second `new` is refused."""
    folder = tmp_path / "high"
    assert checkvalve.main(["keys", "new", "high", str(folder)]) == 0
    made = capsys.readouterr().out
    assert checkvalve.main(["keys", "show", f"{folder}.pub"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 2
    assert all(line in made for line in shown)
    assert checkvalve.main(["keys", "new", "high", str(folder)]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert checkvalve.main(["keys", "new", "middle", str(tmp_path / "m")]) == 2


def test_status_goes_to_the_side_of_its_file(tmp_path: Path) -> None:
    """One word on both sides: the file decides whose status is meant."""
    sender, receiver = tmp_path / "sender.toml", tmp_path / "receiver.toml"
    sender.write_text("[outlet]\n")
    receiver.write_text("[inlet]\n")
    assert checkvalve._room_of("status", ["status", str(sender)]) == "sender.commands.cli"
    assert checkvalve._room_of("status", ["status", "--json", str(receiver)]) == "receiver.commands.cli"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize("words", [("doctor",), ("send", "--check"), ("receive", "--check"), ("gaps",)])
def test_a_file_that_may_not_be_read_is_named_with_the_next_step(
    tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """As for the service's user, where root made it under a mask of 077; no usage, and no bug."""
    low = words[0] in ("receive", "gaps", "doctor")
    path = tmp_path / ("receiver.toml" if low else "sender.toml")
    path.write_text("[inlet]\n" if low else "[outlet]\n")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    argv = [words[0], str(path), *words[1:]]
    checkvalve.main(argv)  # imports what it needs, while that can be read
    capsys.readouterr()
    path.chmod(0o600)
    os.setresuid(65534, 65534, 0)
    try:
        code = checkvalve.main(argv)
    finally:
        os.setresuid(0, 0, 0)
    said = "".join(capsys.readouterr())
    assert code in (1, 2), said
    assert "Permission denied" in said
    assert "give a file that this user may read" in said

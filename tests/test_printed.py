"""Every command that prints, with the texts of `printed_cases`: they are shown letter for letter, and no more happens.

What comes out goes to a pseudo-terminal, so that rich takes it for one.
"""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import threading
import tomllib
import tty
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from printed_cases import CASES, EVIL, SEEN, Broken, Nasty, findings, sender

import checkvalve
from checkvalve import COMMANDS
from collectors import registry
from collectors.base import Collector
from protocol.errors import ConfigError

ROOT = Path(__file__).parent.parent
MODES: dict[str, dict[str, str]] = {
    "no colour": {"TERM": "dumb", "NO_COLOR": "1"},
    "colour": {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
}
OURS = re.compile(r"\x1b\[[0-9;]*[mK]|\x1b\[[0-9]*A|\x1b\[\?25[lh]|\r")
"""What rich sends to a terminal that has colours: none of it stands in EVIL but CR, which is found without colours."""

OWN = (["audit", "questions"], ["audit", "explain"])
"""Command lines that show nothing but what is ours."""


def every_command() -> set[str]:
    """Each command of the front door; of those that are groups, each of their own."""
    from importlib import import_module

    from typer.main import get_command

    names: set[str] = set()
    for name, one in COMMANDS.items():
        app = checkvalve.keys_app() if name == "keys" else import_module(one.room).app if one.room else None
        command: Any = None if app is None else get_command(app)
        group = command if name == "keys" else getattr(command, "commands", {}).get(name)
        own = getattr(group, "commands", None)
        names |= {name} if own is None else {f"{name} {word}" for word in own}
    return names


@pytest.fixture
def nasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only collectors there are."""
    from sender.poll import config

    def find(name: str) -> type[Collector]:
        if name not in ("nasty", "broken"):
            raise ConfigError(f"collector {name} is not installed", hint="installed are: nasty")
        return Nasty if name == "nasty" else Broken

    monkeypatch.setattr(registry, "load", find)
    monkeypatch.setattr(registry, "names", lambda: ["nasty", "broken"])
    monkeypatch.setattr(config.load, "__kwdefaults__", {"find": find, "look": False, "source": None})


@contextmanager
def terminal(patch: pytest.MonkeyPatch, mode: str) -> Iterator[Callable[[], str]]:
    """Stdout and stderr are a terminal of 240 columns; what it was sent is taken once."""
    master, slave = os.openpty()
    tty.setraw(slave)
    patch.setenv("COLUMNS", "240")
    patch.setenv("LINES", "60")
    for key in ("NO_COLOR", "TERM", "COLORTERM", "FORCE_COLOR"):
        patch.delenv(key, raising=False)
    for key, value in MODES[mode].items():
        patch.setenv(key, value)
    sent: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(master, 65_536)
            except OSError:
                return
            if not data:
                return
            sent.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    out = open(slave, "w", encoding="utf-8", errors="surrogateescape", closefd=True)  # noqa: SIM115

    def take() -> str:
        out.close()
        reader.join(10)
        os.close(master)
        return b"".join(sent).decode("utf-8", "surrogateescape")

    with patch.context() as inside:
        inside.setattr(sys, "stdout", out)
        inside.setattr(sys, "stderr", out)
        yield take


def wrong_letters(text: str, mode: str) -> list[str]:
    """What no terminal may be sent, in words."""
    bare = OURS.sub("", text) if mode == "colour" else text
    kinds = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    bad = {one for one in bare if (unicodedata.category(one) in kinds or one == "\u3164") and one != "\n"}
    return [f"U+{ord(letter):04X} {unicodedata.name(letter, 'control')}" for letter in sorted(bad)]


def test_every_command_has_a_case() -> None:
    """A new command comes with texts that it must survive."""
    assert every_command() <= CASES.keys()


@pytest.mark.usefixtures("nasty")
@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("mode", list(MODES))
def test_a_command_shows_texts_and_obeys_none(
    name: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No control, nothing unseen, no line that is not ours, no markup taken for such, and no crash."""
    monkeypatch.chdir(tmp_path)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for words in CASES[name](tmp_path, monkeypatch):
        with terminal(monkeypatch, mode) as take:
            code = checkvalve.main(list(words))
            text = take()
        shown = f"{words} ended with {code}:\n{text!r}"
        assert not wrong_letters(text, mode), f"{wrong_letters(text, mode)} in {shown}"
        bare = OURS.sub("", text)
        assert not [line for line in bare.split("\n") if line.startswith("FORGED")], shown
        assert "this is a bug" not in bare, shown
        assert SEEN in bare or words in OWN, shown
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        signal.signal(number, handler)


PASSES_ON = {
    "protocol/terminal.py": "the door itself",
    "receiver/catch/store/writer.py": "the confined catcher loads no more than it needs, and escapes all but ASCII",
    "audit/selftest.py": "a script for a child, whose parent reads it",
    "bench/field.py": "JSON in ASCII, which the parent reads",
    "bench/history/historian_writer.py": "JSON and numbers in ASCII, which the parent reads",
    "bench/link_ends.py": "JSON in ASCII, which the parent reads",
    "bench/portal/plant_program.py": "JSON in ASCII, which the parent reads",
    "bench/soak/viewers.py": "JSON in ASCII, which the parent reads",
}
"""Modules that write to a stream by themselves, and why they may."""


def prints(path: Path) -> bool:
    """Whether a module writes to a stream itself, or makes a console of its own."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("print", "Console", "traceback.print_exc", "sys.stdout.write", "sys.stderr.write"):
                return True
            if called.endswith((".echo", ".secho", ".print_exception")) or called.startswith("sys.stdout.buffer"):
                return True
    return False


def test_nothing_prints_past_the_door() -> None:
    """A text reaches a terminal through `protocol.terminal`; who writes by himself says why."""
    rooms = ("protocol", "collectors", "sender", "receiver", "oneway", "simulator", "audit", "bench")
    files = [*(file for room in rooms for file in (ROOT / room).rglob("*.py")), *ROOT.glob("*.py")]
    found = {str(file.relative_to(ROOT)) for file in files if prints(file)}
    assert found <= PASSES_ON.keys()


def test_what_logs_warnings_and_threads_say_is_inert_too(tmp_path: Path) -> None:
    """In a process of its own, also on a terminal whose alphabet is small."""
    (tmp_path / "loud_room.py").write_text(
        "import logging, threading, typer, warnings\n"
        "app = typer.Typer()\n"
        f"EVIL = {EVIL!r}\n"
        "def fail() -> None:\n"
        "    raise RuntimeError(EVIL)\n"
        "@app.command()\n"
        "def run() -> None:\n"
        "    logging.getLogger('checkvalve.poll').warning('%s', EVIL)\n"
        "    try: fail()\n"
        "    except RuntimeError: logging.getLogger('x').exception('oh')\n"
        "    warnings.warn(EVIL, stacklevel=1)\n"
        "    thread = threading.Thread(target=fail); thread.start(); thread.join()\n"
        "    from protocol import terminal\n"
        "    terminal.say('漢 °')\n"
        "    fail()\n"
    )
    script = (
        "import sys, checkvalve\n"
        "checkvalve.COMMANDS['loud'] = checkvalve.Command('loud_room', 'is loud')\n"
        "sys.argv = ['checkvalve', 'loud']\n"
        "sys.exit(checkvalve.main())\n"
    )
    for debug in ("", "1"):
        done = subprocess.run(
            [sys.executable, "-W", "default", "-c", script],
            env={
                **os.environ,
                "PYTHONPATH": f"{tmp_path}:{ROOT}",
                "PYTHONIOENCODING": "latin-1",
                "CHECKVALVE_DEBUG": debug,
            },
            capture_output=True,
            timeout=60,
            check=False,
        )
        text = (done.stdout + done.stderr).decode("latin-1")
        assert done.returncode == 1, text
        assert not wrong_letters(text, "no colour"), text
        assert not [line for line in text.split("\n") if line.startswith("FORGED")], text
        assert text.count(SEEN) >= 5, text
        assert done.stdout == b"\\u6f22 \xb0\n"


@pytest.mark.usefixtures("nasty")
def test_a_draft_reads_back_to_what_the_device_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escapes inside of quotes are TOML's own; what could not stand is a comment that is TOML too, once uncommented."""
    assert checkvalve.main(["discover", "nasty", f"nasty:{EVIL}", "--set", f"key={EVIL}"]) == 0
    out = capsys.readouterr().out
    (asset,) = tomllib.loads(out)["asset"]
    (tag,) = asset["scan"][0]["tags"]
    assert tag["states"] == [f"{EVIL}{number}" for number in range(500)]  # a line longer than any that is shown
    assert (tag["unit"], tag["description"], asset["url"]) == (EVIL, EVIL, f"nasty:{EVIL}")
    assert asset["nasty"] == {"key": EVIL}
    (left_out,) = [line for line in out.splitlines() if line.startswith("# {")]
    assert tomllib.loads("tag = " + left_out[2:].partition(",   #")[0])["tag"] == {"name": EVIL, "at": EVIL}


@pytest.mark.usefixtures("nasty")
def test_json_carries_the_text_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made inert is what is shown; what is handed to a program is what the device said, in ASCII."""
    assert checkvalve.main(["peek", "nasty://1", "1", "--json"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out)["readings"][0]["value"] == EVIL
    assert checkvalve.main(["plan", str(sender(tmp_path)), "--json"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out)["devices"][0]["requests"][0]["what"] == f"read {EVIL}"


def test_an_auditors_files_are_inert(tmp_path: Path) -> None:
    """The page, JSON and JUnit of a report are read by people, on a terminal too."""
    findings(tmp_path, "one")
    assert (
        checkvalve.main(["audit", "report", str(tmp_path / "one.json"), "--title", EVIL, "--out", str(tmp_path)]) == 1
    )
    for name in ("report.html", "report.json", "junit.xml"):
        text = (tmp_path / name).read_text()
        assert not wrong_letters(text, "no colour"), name
        assert SEEN in text, name
    ElementTree.parse(tmp_path / "junit.xml")
    held = json.loads((tmp_path / "report.json").read_text())
    assert [one["found"] for one in held["answers"] if one["id"] == "CAP-1"] == [EVIL]

"""The front door: `checkvalve COMMAND ..` hands each command to its room, imported only when asked for.

A side's machine has only its own rooms installed; what is not there is not listed. Exit codes: 0 done, 2 a mistake of
the operator's (ConfigError, a wrong argument), 3 a failing disk (StoreError), 130 stopped by Ctrl-C, 1 anything else
(with a traceback where CHECKVALVE_DEBUG=1).
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from protocol import terminal
from protocol.errors import ConfigError, HeldError, StoreError

if TYPE_CHECKING:
    from typer import Typer


@dataclass(frozen=True, slots=True)
class Command:
    """One command of the front door."""

    room: str
    """Module whose `app` (a typer application) has it."""
    line: str
    """What it does, for `--help`."""


COMMANDS = {
    "demo": Command("simulator.demo", "a simulated plant, a lossy link, a historian and a page, end to end"),
    "simulate": Command("simulator.cli", "the simulated devices of a scene alone"),
    "relay": Command("simulator.cli", "a bad one-way link between two ports"),
    "init": Command("", "high or low: make a configuration by questions or flags, its keys, and a sheet to print"),
    "discover": Command("sender.commands.device_cli", "browse a device, print a draft section of sender.toml"),
    "plan": Command("sender.commands.device_cli", "every read request that would be sent, and the load; no traffic"),
    "peek": Command("sender.commands.device_cli", "one raw read: hex and every type and word order"),
    "watch": Command("sender.commands.device_cli", "live values on the high side; nothing is sent"),
    "send": Command("sender.commands.cli", "high side: read devices, send one way (--check to validate)"),
    "apply": Command("sender.commands.cli", "high side: change the configuration, with who and why (--back to return)"),
    "recommendation": Command("", "a proposed change that a person carries in: show it, answer it; executes nothing"),
    "receive": Command("receiver.commands.cli", "low side: catch, keep and publish (--check to validate)"),
    "accept": Command("receiver.commands.cli", "low side: confirm a session by its fingerprint"),
    "linktest": Command("", "steps of rates, sizes and bursts through the real link; the low side tells the loss"),
    "replay": Command("sender.commands.cli", "high side: send again what a gap code names"),
    "gaps": Command("receiver.commands.cli", "low side: what is missing, and the code to carry to the high side"),
    "aside": Command("receiver.commands.cli", "low side: what an output had refused: list it, send it again, drop it"),
    "history": Command(
        "receiver.commands.cli", "low side: check the history's files, or rebuild them from the journal"
    ),
    "person": Command("receiver.commands.people_cli", "low side: who may sign in: enrol, link, suspend, end"),
    "service": Command("receiver.commands.people_cli", "low side: tokens of systems that read the pages: issue, end"),
    "request": Command(
        "receiver.commands.programme.grant_cli", "low side: what people ask to read: list, approve, deny"
    ),
    "grant": Command("receiver.commands.programme.grant_cli", "low side: what people may read: list, revoke"),
    "trail": Command("receiver.commands.trail_cli", "low side: who did and saw what: show, verify, export, checkpoint"),
    "alerts": Command(
        "receiver.commands.programme.evidence_cli", "low side: what somebody must look at, and who knows"
    ),
    "roster": Command("receiver.commands.programme.evidence_cli", "low side: who approves or keeps break-glass, when"),
    "break-glass": Command(
        "receiver.commands.programme.evidence_cli", "low side: make the sealed code of an emergency"
    ),
    "evidence": Command("receiver.commands.programme.evidence_cli", "low side: a vendor's month of reading, on paper"),
    "backup": Command("protocol.backup.cli", "copy a side into one file while it runs; private keys go apart"),
    "restore": Command("protocol.backup.cli", "make a side's folder from its backup, or look whether that is whole"),
    "export": Command("receiver.commands.cli", "low side: the history as CSV or Parquet, or what came since last time"),
    "asset-report": Command(
        "receiver.commands.cli", "low side: one asset over a range on paper: charts, numbers, events"
    ),
    "status": Command("", "what the running processes of a side say of themselves"),
    "doctor": Command("", "the most likely cause where nothing arrives, and the next step; reads only"),
    "setup": Command("oneway.cli", "this machine's end of the link: prints the one-way recipe, does it with --apply"),
    "keys": Command("checkvalve", "make key files, show fingerprints to compare by eye"),
    "audit": Command("audit.cli", "evidence that nothing flows back, and what it does not prove"),
    "bench": Command("bench.cli", "measure the figures of the README here"),
}
"""In the order in which `--help` lists them."""
INIT = {"high": "sender.commands.init", "low": "receiver.commands.init"}
"""The room of `init` by the side that it names: before there is a configuration, no file tells."""
OPTIONS = {"--help": "this list, or behind a command what it takes", "--version": "what is installed"}
EXITS = (
    "Exit codes: 0 done, 1 not as it should be, 2 a mistake to mend, 3 a failing disk, 130 Ctrl-C (docs/commands.md)."
)


def main(given: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads would keep what a process gives up for itself
    words = list(sys.argv[1:] if given is None else given)
    if given is None:
        terminal.prepare()
        threading.excepthook = _died
    try:
        return _run(words)
    except ConfigError as error:
        return _refuse(str(error), error.hint, 2)
    except StoreError as error:
        hint = "the disk or its mount; nothing was dropped quietly"
        if isinstance(error.__cause__ or error.__context__, PermissionError):
            hint = "its owner or its mode, not the disk: checkvalve doctor FILE says whose it is and whose it should be"
        return _refuse(str(error), hint, 3)
    except HeldError as error:
        return _refuse(str(error), "stop that process, or wait for its end", 1)
    except KeyboardInterrupt:
        return 130
    except FileExistsError as error:
        hint = "take it away, or mount or make what it leads to: the start makes the folder"
        return _refuse(f"{error.filename} is a file, or a link that leads nowhere: it should be a folder", hint, 2)
    except BrokenPipeError:
        seen = _unread(sys.stdout.fileno())
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0 if seen else 1  # it may be another pipe's or a socket's
    except Exception as error:  # noqa: BLE001  the last door: what nobody foresaw becomes exit 1
        if os.environ.get("CHECKVALVE_DEBUG") == "1":
            terminal.trace(error)
            return 1
        return _refuse(f"{type(error).__name__}: {error}", "CHECKVALVE_DEBUG=1 shows where; this is a bug", 1)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        terminal.document(_help())
        return 0
    if words[0] in ("-V", "--version"):
        terminal.say(_version())
        return 0
    name = words[0]
    if name not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(name, [*COMMANDS, "--help", "--version"], n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(f"no command is called {name!r}", hint=f"{hint}checkvalve --help lists them")
    room = _room_of(name, words)
    if not _installed(room):
        raise ConfigError(f"{name!r} is not part of this installation", hint=f"its room, {room}, is in another wheel")
    if words == ["init"]:
        for one in filter(_installed, INIT.values()):
            _call(one, name, [name, "--help"])
        return 2
    return _call(room, name, words)


def _call(room: str, name: str, words: list[str]) -> int:
    """Run a room's typer application; an application of one command takes no command word."""
    import typer
    from typer.main import get_command

    app = keys_app() if room == "checkvalve" else import_module(room).app
    command = get_command(app)
    whole = hasattr(command, "commands") and room != "checkvalve"
    try:
        code = command.main(
            args=words if whole else words[1:],
            prog_name="checkvalve" if whole else f"checkvalve {name}",
            standalone_mode=False,
        )
    except typer.Abort:
        return 130
    except SystemExit:  # what click makes of a broken pipe
        raise BrokenPipeError from None
    except Exception as error:
        show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
        if show is None or code is None:  # only a wrong argument knows how to show itself
            raise
        said = io.StringIO()
        show(said)
        for line in said.getvalue().rstrip("\n").split("\n"):
            terminal.complain(line)
    return code if isinstance(code, int) else 0


def keys_app() -> Typer:
    """`checkvalve keys new|show`, thin over `protocol.keymaking`: both sides have it."""
    import typer

    from protocol import keymaking

    app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Key files.")
    of_side = typer.Argument(help="Whose: high, low, recovery, trail or recommend.")
    into = typer.Argument(help="Made for the private keys; FOLDER.pub stands beside it.")
    those = typer.Argument(help="A folder of keys, or a .pub file.")

    @app.command()
    def new(side: str = of_side, folder: Path = into) -> None:
        """Make the keys of a SIDE (as above) in FOLDER, and FOLDER.pub to carry across."""
        for path in keymaking.make(side, folder):
            terminal.say(path)
        whom = "who verifies the trail" if side == "trail" else "the other side"
        terminal.say(f"carry {folder}.pub to {whom} by hand, and compare:")
        _fingerprints(folder)

    @app.command()
    def show(path: Path = those) -> None:
        """Fingerprints of a folder's keys, or of a .pub file, to compare by eye."""
        _fingerprints(path)

    def _fingerprints(path: Path) -> None:
        for key in dict.fromkeys((key.kind, key.fingerprint) for key in keymaking.show(path)):
            terminal.say(f"{key[0]:10} {key[1]}")

    return app


def _version() -> str:
    """The installed wheel, of all rooms or of one side, and its version."""
    for name in ("checkvalve", "checkvalve-high", "checkvalve-low"):
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return "checkvalve, not installed"


def _room_of(name: str, words: list[str]) -> str:
    """What both sides have belongs to the side whose configuration it is given, `init` to the one named.

    Raises:
        ConfigError: they are given a folder; `init` is given no side.
    """
    if COMMANDS[name].room:
        return COMMANDS[name].room
    if name == "init":
        return _side_of(words)
    paths = [Path(word) for word in words[1:] if not word.startswith("-")]
    for path in paths:
        try:
            if not path.is_file():
                continue
            low = "[inlet]" in path.read_text(errors="replace")
        except OSError:  # another user's, or in his folder: the side's own command says so
            low = path.name.startswith("receiver")
        return "receiver.commands.cli" if low else "sender.commands.cli"
    for path in paths:
        if path.is_dir():
            raise ConfigError(
                f"{path} is a folder, and no configuration",
                hint="name the sender.toml or receiver.toml that the side was started with",
            )
    return "sender.commands.cli" if _installed("sender.commands.cli") else "receiver.commands.cli"


def _side_of(words: list[str]) -> str:
    """The room of `init`, by the first word that is no option; without any word, that of a side that is here."""
    given = [word for word in words[1:] if not word.startswith("-")]
    if given and given[0] in INIT:
        return INIT[given[0]]
    if given or (words and words[1:] not in ([], ["--help"])):
        told = f"{given[0]!r} is no side" if given else "no side is named"
        raise ConfigError(told, hint="name it first: checkvalve init high DIR, or checkvalve init low DIR")
    return INIT["high"] if _installed("sender") else INIT["low"]


def _installed(room: str) -> bool:
    try:
        return find_spec(room) is not None
    except ModuleNotFoundError:
        return False


def _help() -> str:
    there = {name: one for name, one in COMMANDS.items() if _installed(_room_of(name, []))}
    wide = max(map(len, [*there, *OPTIONS]))
    lines = ["Checkvalve: plant diagnostics through a data diode, one way.", "", "checkvalve COMMAND --help for each:"]
    lines += [f"  {name:{wide}}  {one.line}" for name, one in there.items()]
    lines += ["", *(f"  {name:{wide}}  {line}" for name, line in OPTIONS.items()), "", EXITS]
    return "\n".join(lines) + "\n"


def _unread(output: int) -> bool:
    """Whether nobody reads what is printed any more, as of `| head`, which has seen enough."""
    asked = select.poll()
    asked.register(output, 0)
    return any(event & select.POLLERR for _, event in asked.poll(0))


def _died(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None:
        terminal.trace(told.exc_value)


def _refuse(text: str, hint: str, code: int) -> int:
    terminal.refusal(text, hint)
    return code


if __name__ == "__main__":
    sys.exit(main())

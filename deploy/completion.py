"""Shell completion, written once and read by the shell alone: no room is loaded while somebody types.

    completion/checkvalve.bash   source it, or /usr/share/bash-completion/completions/checkvalve
    completion/_checkvalve       a folder of zsh's fpath
    completion/checkvalve.fish   /usr/share/fish/vendor_completions.d

They are made from the commands themselves, and a test makes them again and compares. A word that no option takes is a
file's name, or the shell's own completion. Usage: python deploy/completion.py [FOLDER]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from enum import Enum, EnumType
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from checkvalve import COMMANDS, INIT, Command, keys_app

FILES = {"bash": "checkvalve.bash", "zsh": "_checkvalve", "fish": "checkvalve.fish"}
WORDS = {"keys new": ("high", "low", "recovery"), "discover": ("modbus", "opcua", "enip")}
"""What a first argument mostly is, where its type says nothing."""
_BOTH_SIDES = ("sender.commands.cli", "receiver.commands.cli")


@dataclass(slots=True, kw_only=True)
class Words:
    """What can stand behind a command."""

    line: str
    """What it does, one line."""
    options: dict[str, str] = field(default_factory=dict)
    """`--name`: its help."""
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of an option that takes one of a few words; empty for one that takes any other value."""
    first: tuple[str, ...] = ()
    """Words that its first argument may be."""
    below: dict[str, Words] = field(default_factory=dict)


def tree() -> dict[str, Words]:
    """Every command of the front door, with its subcommands; those of both sides with the options of either."""
    out = {}
    for name, one in COMMANDS.items():
        words = Words(line=one.line)
        for room in _rooms(name, one):
            _gather(words, _command(room, name))
        out[name] = words
    for path, words in _paths(out):
        words.first = words.first or WORDS.get(path, ())
    return out


def commands() -> dict[str, Any]:
    """Every command and subcommand as typer made it, by its words: `audit live`; a side's `status` by its room."""
    out: dict[str, Any] = {}
    for name, one in COMMANDS.items():
        for room in _rooms(name, one):
            command = _command(room, name)
            out[name if one.room else f"{name} ({room.partition('.')[0]})"] = command
            for below, inner in getattr(command, "commands", {}).items():
                out[f"{name} {below}"] = inner
    return out


def _rooms(name: str, one: Command) -> tuple[str, ...]:
    """Where a command is made: of both sides' in two rooms."""
    return (one.room,) if one.room else tuple(INIT.values()) if name == "init" else _BOTH_SIDES


def _command(room: str, name: str) -> Any:
    from typer.main import get_command

    made: Any = get_command(keys_app() if room == "checkvalve" else import_module(room).app)
    return made.commands[name] if name in getattr(made, "commands", {}) else made


def _gather(words: Words, command: Any) -> None:
    for one in command.params:
        choices = _choices(one.type_descriptor.annotation)
        if one.param_type_name == "argument":
            words.first = tuple(dict.fromkeys((*words.first, *choices)))
            continue
        for name in (*one.opts, *one.secondary_opts):
            words.options.setdefault(name, one.help or "")
            if not one.is_flag:
                words.choices.setdefault(name, choices)
    words.options["--help"] = "Show this message and exit."
    for name, inner in getattr(command, "commands", {}).items():
        below = words.below.setdefault(name, Words(line=_line(inner.help)))
        _gather(below, inner)


def _choices(kind: Any) -> tuple[str, ...]:
    """The words of a Literal or an enumeration."""
    if get_origin(kind) is Literal:
        return tuple(map(str, get_args(kind)))
    if not isinstance(kind, EnumType):
        return ()
    members: dict[str, Enum] = dict(kind.__members__)
    return tuple(str(one.value) for one in members.values())


def bash(held: dict[str, Words]) -> str:
    """A function that looks at the words so far, and one `case`."""
    cases = []
    for path, words in _paths(held):
        cases.append(f'        "{path}") offered="{" ".join([*words.below, *words.first, *words.options])}" ;;')
    values = []
    for path, words in _paths(held):
        for name, choices in words.choices.items():
            offered = f'offered="{" ".join(choices)}"' if choices else "offered= files=1"
            values.append(f'        "{path} {name}") {offered}; value=1 ;;')
    groups = "|".join(name for name, words in held.items() if words.below)
    return f"""\
# bash completion for checkvalve; made by deploy/completion.py
_checkvalve() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} offered= files= value= path=
    path=${{COMP_WORDS[1]}}
    case $path in {groups}) [ "$COMP_CWORD" -lt 3 ] || path="$path ${{COMP_WORDS[2]}}" ;; esac
    if [ "$COMP_CWORD" = 1 ]; then
        COMPREPLY=($(compgen -W "{" ".join([*held, "--help", "--version"])}" -- "$word"))
        return
    fi
    case "$path $before" in
{chr(10).join(values)}
    esac
    if [ -z "$value" ]; then
        case $path in
{chr(10).join(cases)}
        esac
        files=1
    fi
    COMPREPLY=($(compgen -W "$offered" -- "$word"))
    case $files$word in 1-*) ;; 1*) COMPREPLY+=($(compgen -f -- "$word")) ;; esac
}}
complete -o filenames -F _checkvalve checkvalve
"""


def zsh(held: dict[str, Words]) -> str:
    """`_arguments` for each command."""
    lines = [
        "#compdef checkvalve",
        "# zsh completion for checkvalve; made by deploy/completion.py",
        "local path=$words[2]",
    ]
    groups = "|".join(name for name, words in held.items() if words.below)
    lines += [
        f'case $path in {groups}) (( CURRENT > 3 )) && path="$path $words[3]" ;; esac',
        "if (( CURRENT == 2 )); then",
    ]
    listed = [f"{name}:{words.line}" for name, words in held.items()] + ["--help:this list", "--version:the version"]
    lines += [
        f"  local -a commands=({' '.join(map(_quoted, listed))})",
        "  _describe command commands",
        "  return",
        "fi",
    ]
    lines.append("case $path in")
    for path, words in _paths(held):
        below = [f"{name}:{inner.line}" for name, inner in words.below.items()]
        lines.append(f"  {_quoted(path)})")
        if below:
            lines += [f"    local -a below=({' '.join(map(_quoted, below))})", "    _describe subcommand below ;;"]
            continue
        depth = len(path.split())
        lines.append(f"    shift {depth} words; (( CURRENT -= {depth} ))")
        specs = [_spec(words, name) for name in words.options]
        first = [f"1:word:({' '.join(words.first)})"] if words.first else []
        lines.append("    _arguments " + " ".join(map(_quoted, [*specs, *first, "*:file:_files"])) + " ;;")
    return "\n".join([*lines, "esac", ""])


def fish(held: dict[str, Words]) -> str:
    """One `complete` a word."""
    lines = ["# fish completion for checkvalve; made by deploy/completion.py"]
    start = "-n __fish_use_subcommand"
    lines += [f"complete -c checkvalve -f {start} -a {name} -d {_quoted(one.line)}" for name, one in held.items()]
    lines += [f"complete -c checkvalve {start} -l version", f"complete -c checkvalve {start} -l help"]
    for path, words in _paths(held):
        seen = " ".join(f"; and __fish_seen_subcommand_from {word}" for word in path.split()).removeprefix("; and ")
        when = f"-n {_quoted(seen)}"
        for name, inner in words.below.items():
            lines.append(f"complete -c checkvalve -f {when} -a {name} -d {_quoted(inner.line)}")
        for word in words.first:
            lines.append(f"complete -c checkvalve {when} -a {word}")
        for name, help_text in words.options.items():
            letter = "-l" if name.startswith("--") else "-s"
            value = "" if name not in words.choices else " -r"
            value += f" -f -a {_quoted(' '.join(words.choices[name]))}" if words.choices.get(name) else ""
            lines.append(
                f"complete -c checkvalve {when} {letter} {name.lstrip('-')}{value} -d {_quoted(_line(help_text))}"
            )
    return "\n".join([*lines, ""])


def write(folder: Path) -> list[Path]:
    """The three scripts, in a folder."""
    held = tree()
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for shell, make in (("bash", bash), ("zsh", zsh), ("fish", fish)):
        out.append(folder / FILES[shell])
        out[-1].write_text(make(held), encoding="utf-8")
    return out


def _paths(held: dict[str, Words]) -> list[tuple[str, Words]]:
    """Every command and subcommand by its words."""
    return [
        one
        for name, words in held.items()
        for one in [(name, words), *((f"{name} {below}", inner) for below, inner in words.below.items())]
    ]


def _spec(words: Words, name: str) -> str:
    told = "".join(f"\\{one}" if one in "[]:\\" else one for one in _line(words.options[name]))
    if name not in words.choices:
        return f"{name}[{told}]"
    choices = words.choices[name]
    return f"*{name}=[{told}]:value:" + (f"({' '.join(choices)})" if choices else "_files")


def _line(text: str | None) -> str:
    """The first sentence's line, without what a shell would read."""
    return " ".join((text or "").split("\n\n")[0].split()).replace("`", "")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "’") + "'"


if __name__ == "__main__":
    for path in write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "completion"):
        sys.stdout.write(f"{path}\n")

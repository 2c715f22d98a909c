"""All commands look alike: help, exit codes, and what a shell completes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import checkvalve
import completion
from checkvalve import COMMANDS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
EVERY = completion.commands()
SECTIONS = ["Usage", "Arguments", "Options", "Commands"]
WORDS = ("modbus", "poll", "catch", "sender.toml", "receiver.toml")
"""What a sentence may begin with besides a capital: words that are typed as they stand."""


def sentence(text: str) -> bool:
    """Whether it begins and ends as one."""
    return (text[:1].isupper() or text.startswith(WORDS)) and text.rstrip().endswith((".", ".)"))


@pytest.mark.parametrize("name", EVERY)
def test_every_command_is_helped_in_sentences(name: str) -> None:
    """It, each argument and each option says what it is for; a sentence begins with a capital and ends with a stop."""
    command = EVERY[name]
    assert sentence(command.help or ""), command.help
    assert {one.name: one.help for one in command.params if not sentence(one.help or "")} == {}


@pytest.mark.parametrize("name", dict.fromkeys(name.partition(" (")[0] for name in EVERY))
def test_every_help_has_its_sections_in_one_order(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Usage, what it does, arguments, options, subcommands; no frames, and no options of completion."""
    assert checkvalve.main([*name.split(), "--help"]) == 0
    text = capsys.readouterr().out
    found = re.findall(r"^(\w+):", text, re.MULTILINE)
    assert found == [one for one in SECTIONS if one in found]
    assert found[:1] == ["Usage"]
    assert "Options" in found
    assert text.startswith(f"Usage: checkvalve {name} ")
    assert "completion" not in text
    assert re.search(r"^  --help +Show this message and exit\.", text, re.MULTILINE)


def test_the_front_doors_help_lists_every_command_and_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` too, and where the exit codes stand."""
    assert checkvalve.main(["--help"]) == 0
    text = capsys.readouterr().out
    listed = re.findall(r"^  (\S+)  ", text, re.MULTILINE)
    assert listed == [*COMMANDS, "--help", "--version"]
    assert "docs/commands.md" in text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(["sned"], "send"), (["recieve", "x"], "receive"), (["--versoin"], "--version"), (["audit", "captur"], "capture"),
     (["history", "chek"], "check"), (["send", "--chek", "x"], "--check"), (["demo", "--los", "1%"], "--loss")],
)  # fmt: skip
def test_what_was_probably_meant_is_named(typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A command, a subcommand, an option; exit 2."""
    assert checkvalve.main(typed) == 2
    assert meant in capsys.readouterr().err


def test_init_without_a_side_shows_what_both_take(capsys: pytest.CaptureFixture[str]) -> None:
    """It is a mistake all the same."""
    assert checkvalve.main(["init"]) == 2
    text = capsys.readouterr().out
    assert "{high} {DIR}" in text
    assert "{low} {DIR}" in text


def test_what_is_like_nothing_is_not_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    """Only the list is named."""
    assert checkvalve.main(["xyzzy"]) == 2
    assert capsys.readouterr().err.endswith("hint: checkvalve --help lists them\n")


def test_exit_codes_of_every_command_are_on_the_page() -> None:
    """Each command of the front door stands in the table once, `send` and `receive` with `--check` again."""
    table = PAGE[PAGE.index("| command |") : PAGE.index("## Completion")]
    rows = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    named = [name for row in rows if "--check" not in row for name in re.findall(r"`([\w-]+)`", row)]
    assert sorted(named) == sorted(COMMANDS)


@pytest.mark.parametrize("name", completion.FILES.values())
def test_what_a_shell_completes_is_what_the_commands_take(name: str, tmp_path: Path) -> None:
    """The shipped scripts are those that `python deploy/completion.py` makes from the commands now."""
    completion.write(tmp_path)
    assert (ROOT / "deploy/completion" / name).read_text() == (tmp_path / name).read_text()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("checkvalve se", {"send", "service", "setup"}),
        ("checkvalve --v", {"--version"}),
        ("checkvalve audit l", {"live"}),
        ("checkvalve audit live --si", {"--side"}),
        ("checkvalve audit live --side ", {"high", "low"}),
        ("checkvalve send sender.toml --only ", {"poll", "emit"}),
        ("checkvalve status --j", {"--json"}),
        ("checkvalve keys n", {"new"}),
        ("checkvalve keys new h", {"high"}),
        ("checkvalve discover m", {"modbus"}),
        ("checkvalve init l", {"low"}),
    ],
)
def test_bash_offers_what_fits(typed: str, offered: set[str], tmp_path: Path) -> None:
    """Commands, subcommands, options, and an option's few words; run by the shell itself."""
    words = typed.split(" ")
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _checkvalve; echo "${COMPREPLY[@]}"'
    argv = ["bash", "-c", script, "bash", str(ROOT / "deploy/completion/checkvalve.bash"), *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert set(done.stdout.split()) == offered, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("shell", "words"), [("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])], ids=["bash", "zsh", "fish"]
)
def test_each_shell_reads_its_script(shell: str, words: list[str]) -> None:
    """No mistake of grammar."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    argv = [shell, *words, str(ROOT / "deploy/completion" / completion.FILES[shell])]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

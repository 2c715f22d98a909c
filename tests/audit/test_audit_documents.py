"""What the auditor's documents name exists: checks, commands, options, other documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from audit.catalogue import catalogue
from audit.cli import audits

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "docs" / name for name in ("acceptance.md", "attack-model.md", "audit.md", "vendor-annex.md")]
PAGES.append(ROOT / "SECURITY.md")
GROUPS = {ident.split("-")[0] for ident in catalogue()}


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_check_that_a_page_names_is_in_the_catalogue(page: Path) -> None:
    """A check that was renamed in a page would be looked for in vain."""
    named = set(re.findall(rf"\b(?:{'|'.join(GROUPS)})-\d+\b", _text(page)))
    assert named <= set(catalogue())


def test_every_file_that_a_check_names_is_there() -> None:
    """A remedy is typed as it stands: a file of another name stops whoever mends."""
    named = set(re.findall(r"\b(?:deploy|docs|protocol|examples)/[\w./-]*\w", _text(ROOT / "audit" / "checks.toml")))
    assert "deploy/nftables/checkvalve-high.nft" in named
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_a_page_shows_exists(page: Path) -> None:
    """Lines are joined where they go on; a word after a command that begins with `--` must be its option."""
    group: Any = typer.main.get_command(audits)
    text = _text(page).replace("\\\n", " ")
    shown = re.findall(r"(?:checkvalve |`)audit ([a-z]+)([^\n`;>]*)", text)
    for name, rest in shown:
        command = group.commands.get(name)
        assert command is not None, f"audit {name}"
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, f"audit {name} {rest}"
    assert shown or page.name in ("vendor-annex.md", "attack-model.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_numbered_promises_are_all_there(page: Path) -> None:
    """G and N numbers that a page refers to stand in the attack model, each once, without holes."""
    model = _text(ROOT / "docs" / "attack-model.md")
    for letter in "GNA":
        defined = re.findall(rf"^\| {letter}(\d+) \|", model, re.M)
        assert defined == [str(number) for number in range(1, len(defined) + 1)]
        assert {int(one) for one in re.findall(rf"\b{letter}(\d+)\b(?!\.)", _text(page))} <= set(map(int, defined))

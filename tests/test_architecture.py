"""The map and the tree are one: what docs/architecture.md says of rooms, files, contracts and the route is so.

A page about a tree is wrong from the first move on, and nobody notices. So what it names is looked for, what it counts
is counted, and what is there must be named.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from audit.source.walk import code_lines

ROOT = Path(__file__).parent.parent
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PAGES = [ARCHITECTURE, ROOT / "CONTRIBUTING.md"]
ROOMS = ("protocol", "collectors", "sender", "receiver", "oneway", "simulator", "audit", "bench")
PLACES = (*ROOMS, "tests", "docs", "deploy", "examples", "findings")
"""Folders at the top whose files a page may name."""
FLAT = 20
"""Most modules that stand side by side in one folder: what a person takes in without a second look."""

_NAMED = re.compile(rf"\b((?:{'|'.join(PLACES)})/[\w./-]*\w|(?:supervise|checkvalve)\.py)")
_ROW = re.compile(r"^\| (\d+) \| `(\S+)` \| ([\d,]+) \|", re.MULTILINE)
_SUM = re.compile(r"^\| \| \*\*(\d+) files\*\* \| \*\*([\d,]+)\*\* \|", re.MULTILINE)


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _folders() -> Counter[str]:
    """Every folder of the product that holds Python files, and how many of them."""
    return Counter(path.parent.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def _route() -> list[tuple[int, str, int]]:
    """The route's table: place, file, lines."""
    part = _text(ARCHITECTURE).split("## The auditor's route", 1)[1]
    return [(int(place), name, int(lines.replace(",", ""))) for place, name, lines in _ROW.findall(part)]


def test_every_folder_of_the_product_is_on_the_map() -> None:
    """A room that is nowhere named is found by accident."""
    page = _text(ARCHITECTURE)
    assert [folder for folder in sorted(_folders()) if f"`{folder}/`" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    """A file that was moved takes its name along."""
    named = set(_NAMED.findall(_text(page)))
    assert len(named) > 10
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """A link is relative to the page that has it."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", _text(page))
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_import_contract_is_on_the_map() -> None:
    """The page tells each contract by the name that `lint-imports` prints."""
    contracts = tomllib.loads(_text(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    page = _text(ARCHITECTURE)
    assert [one["name"] for one in contracts if f"- {one['name']}\n" not in page] == []


def test_the_route_counts_its_lines_as_they_are() -> None:
    """Each file of the route has the lines that the page says, and the sum is theirs."""
    rows = _route()
    assert [place for place, _, _ in rows] == list(range(1, len(rows) + 1))
    lines = {name: code_lines(_text(ROOT / name)) for _, name, _ in rows}
    wrong = [f"{name}: {lines[name]}, the page says {told}" for _, name, told in rows if lines[name] != told]
    (files, total), *more = _SUM.findall(_text(ARCHITECTURE))
    if (int(files), int(total.replace(",", ""))) != (len(lines), sum(lines.values())):
        wrong.append(f"sum: {len(lines)} files, {sum(lines.values()):,}; the page says {files}, {total}")
    assert not more
    assert wrong == []


def test_the_route_leads_from_the_outlet_over_the_inlet_to_the_journal() -> None:
    """Its two sockets stand first, and the store that it ends in is on it."""
    names = [name for _, name, _ in _route()]
    assert names[:2] == ["sender/emit/outlet.py", "receiver/catch/inlet.py"]
    assert {"receiver/catch/gather.py", "receiver/catch/store/writer.py", "receiver/catch/store/journal.py"} <= {*names}
    assert "protocol/store/journal.py" in names


def test_no_folder_holds_more_modules_than_a_person_takes_in() -> None:
    """What grows beyond it is parted into rooms."""
    assert {folder: count for folder, count in _folders().items() if count > FLAT} == {}

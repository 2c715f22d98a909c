"""The map and the tree are one: what docs/architecture.md says of rooms, files, contracts and the route is so.

A page about a tree is wrong from the first move on, and nobody notices. So what it names is looked for, what it counts
is counted, and what is there must be named.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
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

PARALLEL = (
    ("collectors/modbus", "collectors/opcua", "collectors/enip"),
    ("simulator/modbus", "simulator/opcua", "simulator/logix"),
    (
        "receiver/outputs/historian",
        "receiver/outputs/influx",
        "receiver/outputs/kafka",
        "receiver/outputs/mqtt",
        "receiver/outputs/nats",
        "receiver/outputs/parquet",
        "receiver/outputs/postgresql",
    ),
    ("sender/commands", "receiver/commands"),
    ("collectors/testing", "receiver/outputs/testing"),
    ("receiver/governed/people", "receiver/governed/grants", "receiver/governed/recommendations"),
)
"""Rooms of one shape: a name that stands in several rooms of one row plays the same part in each."""
COMMON_MODULES = {
    "cli": "every room that has commands has its command line under this name",
    "process": "the shell of one process: it reads the clock, opens files and sockets, and waits",
    "main": "what `checkvalve send`, `receive` and `simulate` begin with",
    "base": "what the collectors share, and what the outputs share",
    "settings": "the reading of a room's own table of settings",
    "registry": "which collectors are installed, and which outputs",
    "config": "the whole configuration of a program, and that of a collector in it",
    "guard": "what lets only harmless requests through, towards devices and towards pages",
    "confine": "a bench is named after what it measures",
    "link": "a bench is named after what it measures",
}
"""Module names beyond parallel rooms that may stand in several, and why; each must still do so."""
COMMON_CLASSES = {
    "KeysTable": "`[keys]` of each side's own file",
    "_Process": "the one object of a `process.py`, which nothing else sees",
}
"""Class names beyond parallel rooms that may stand in several, and why; each must still do so."""

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


def _modules() -> dict[str, ast.Module]:
    """Every module of the product by its path from the top, as its tree."""
    paths = [ROOT / "supervise.py", ROOT / "checkvalve.py"]
    paths += [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(_text(path)) for path in paths}


def _ambiguous(names: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Of names and the files that have them: those in several files that do not all lie in parallel rooms."""
    out = {}
    for name, files in names.items():
        several = sorted(set(files))
        rows = [{room for room in row for file in several if file.startswith(f"{room}/")} for row in PARALLEL]
        alike = any(len(row) == len(several) for row in rows)
        if len(several) > 1 and not alike:
            out[name] = several
    return out


def test_a_class_name_means_one_thing() -> None:
    """Whoever reads a class name knows the thing; in parallel rooms it plays the same part."""
    names = defaultdict(list)
    for file, tree in _modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                names[node.name].append(file)
    found, allowed = _ambiguous(names), COMMON_CLASSES.keys()
    assert {name: files for name, files in found.items() if name not in allowed} == {}
    assert sorted(allowed - found.keys()) == [], "means one thing now: strike it off the list"


def test_a_module_name_means_one_thing() -> None:
    """Whoever reads the name of a file knows which; in parallel rooms it plays the same part."""
    names = defaultdict(list)
    for file in _modules():
        names[Path(file).stem].append(file)
    found, allowed = _ambiguous(names), COMMON_MODULES.keys() | {"__init__", "__main__"}
    assert {name: files for name, files in found.items() if name not in allowed} == {}
    assert sorted(allowed - found.keys() - {"__main__"}) == [], "means one thing now: strike it off the list"


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
    assert "protocol/store/segment_store.py" in names


def test_no_folder_holds_more_modules_than_a_person_takes_in() -> None:
    """What grows beyond it is parted into rooms."""
    assert {folder: count for folder, count in _folders().items() if count > FLAT} == {}

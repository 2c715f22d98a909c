"""How much an auditor reads: the code that the two ends of the link load, and a bound for it.

A module that is loaded is a module that is trusted, whether it runs or not. So what an end does not need for its one
direction (making keys, reading plants, wording for people) lies in modules that it does not load.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

from audit.source.walk import ENDS, ROOMS, LinkEnd, code_lines

ROOT = Path(__file__).parent.parent.parent
MOST = 6079
"""Lines of code that both ends load together. It is lowered with the code, and never raised for convenience."""


def _loaded(end: LinkEnd) -> dict[str, Path]:
    """Modules of ours that a fresh interpreter holds once it has imported this end, and their files."""
    line = f"import json, sys, {end.start}; print(json.dumps({{name: getattr(one, '__file__', None) "
    line += "for name, one in sys.modules.items()}))"
    done = subprocess.run([sys.executable, "-c", line], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name: Path(file) for name, file in json.loads(done.stdout).items() if file and name.split(".")[0] in ROOMS}


@cache
def _both() -> dict[str, dict[str, Path]]:
    """What each end loads, by its name."""
    return {end.name: _loaded(end) for end in ENDS}


def test_both_ends_together_are_read_in_an_afternoon() -> None:
    """All code of ours that either end loads, a file once, is within the budget; `pytest -rP` shows the table."""
    loaded = _both()
    assert all(end.start in loaded[end.name] for end in ENDS)
    lines = {file: code_lines(file.read_text()) for held in loaded.values() for file in held.values()}
    table = [
        f"{count:6} {file.relative_to(ROOT)!s:32} {', '.join(name for name in loaded if file in loaded[name].values())}"
        for file, count in sorted(lines.items(), key=lambda row: (-row[1], row[0]))
    ]
    table += [
        f"{sum(lines[file] for file in held.values()):6} lines of code in {len(held)} modules: {name}"
        for name, held in loaded.items()
    ]
    total = sum(lines.values())
    table.append(f"{total:6} lines of code in {len(lines)} modules: both, of at most {MOST}")
    sys.stdout.write("\n".join(table) + "\n")
    assert total <= MOST


def test_the_map_tells_what_they_load_by_job() -> None:
    """Each row of the table in docs/architecture.md has the lines that its files have, and the sum is all of them."""
    part = (ROOT / "docs" / "architecture.md").read_text().split("## What the two ends load, by job", 1)[1]
    rows = re.findall(r"^\| [^|*]+ \| (`[^|]+`) \| ([\d,]+) \|", part, re.MULTILINE)
    told = {tuple(re.findall(r"`([^`]+)`", where)): int(lines.replace(",", "")) for where, lines in rows}
    files = {file for held in _both().values() for file in held.values()}
    found: Counter[tuple[str, ...]] = Counter(dict.fromkeys(told, 0))
    for file in files:
        name = file.relative_to(ROOT).as_posix()
        places = [(len(place), row) for row in told for place in row if name.startswith(place)]
        assert places, f"{name} is of no job"
        found[max(places)[1]] += code_lines(file.read_text())
    assert told == found
    (total,) = re.findall(r"^\| \*\*together\*\* \| \| \*\*([\d,]+)\*\* \|", part, re.MULTILINE)
    assert int(total.replace(",", "")) == sum(found.values())


def test_only_code_is_counted() -> None:
    """Blank lines, comments and docstrings are not, also under a constant; a text that is used is."""
    text = '"""Theory.\n\nMore."""\n\nimport os  # why\n# how\nLEAST = 1\n"""Unit."""\n\nTEXT = """a\nb"""\n'
    assert code_lines(text) == 4

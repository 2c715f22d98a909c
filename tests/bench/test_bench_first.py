"""The bench of the first installation: what it makes of what the scripts say, and of a machine that cannot install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import first
from bench.figures import BenchRow


def test_steps_of_an_installation_are_timed_by_what_it_says() -> None:
    """Each step lasts until the next is said; the longest silence is between two lines of any step."""
    said = [(0.0, ""), (0.1, "making .venv with Python"), (5.1, "installing --editable .[fast]"), (7.0, "  library 10")]
    said += [(28.0, "  writing 45 libraries"), (35.1, "installed")]
    rows = first.rows_of([(at, f"{line}\n") for at, line in said])
    assert [row.row for row in rows] == list(first.INSTALL)
    assert [row.value for row in rows] == pytest.approx([5.0, 30.0, 21.0])
    assert "said 5 lines" in rows[-1].note


def test_where_nothing_can_be_installed_the_installed_demo_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are there with the reason, and the first start of the demo is kept apart from the further ones."""
    pages, asked = iter([12.0, 5.0, 3.0, 4.0]), set[Path]()

    def install(copy: Path) -> list[BenchRow]:
        raise OSError("make: no index of packages")

    def page(folder: Path, python: Path) -> float:
        asked.add(python)
        return next(pages)

    monkeypatch.setattr(first, "_install", install)
    monkeypatch.setattr(first, "_page", page)
    rows = first.measure(runs=3)
    assert [(row.row, row.value) for row in rows] == [
        *((row, None) for row in first.INSTALL),
        ("first.page.cold", 12.0),
        ("first.page", 4.0),
    ]
    assert {row.note for row in rows[:3]} == {"make: no index of packages"}
    assert asked == {Path(sys.executable)}

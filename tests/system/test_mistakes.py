"""What a tired person writes into a configuration is told by `--check`: where, what is wrong, and the next step."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mistakes import MISTAKES, RECEIVER, RIGHT, SENDER, Mistake

import checkvalve
from protocol import keymaking

RIGHTLY: set[Mistake] = set()
"""Those that were told rightly and sufficiently so far."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of both sides, made once."""
    folder = tmp_path_factory.mktemp("keys")
    keymaking.make("high", folder / "high")
    keymaking.make("low", folder / "low")
    return folder


@pytest.fixture(scope="module", autouse=True)
def count(pytestconfig: pytest.Config) -> Iterator[None]:
    """How many are told rightly is printed at the end, also where all pass."""
    yield
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        sys.stdout.write(f"\nmistakes in configurations: {len(RIGHTLY)} of {len(MISTAKES)} right and sufficient\n")


def checked(folder: Path, keys: Path, one: Mistake, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and output of `--check` of a right file with that edit."""
    shutil.copytree(keys, folder / "keys")
    name, command, text = ("sender.toml", "send", SENDER) if one.sender else ("receiver.toml", "receive", RECEIVER)
    edits = one.more if callable(one.old) else ((one.old, one.new), *one.more)
    for old, new in edits:
        assert old in text, f"nothing to replace: {old}"
        text = text.replace(old, new, 1)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    if callable(one.old):
        one.old(folder)
    code = checkvalve.main([command, str(path), "--check"])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_list_is_long_enough() -> None:
    """Sixty at least, each another one."""
    assert len({(one.name, one.sender) for one in MISTAKES}) == len(MISTAKES) >= 60


@pytest.mark.parametrize("sender", [True, False])
def test_the_file_that_is_edited_is_right(
    tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str], sender: bool
) -> None:
    """No mistake and no warning, so that whatever is said comes from the edit."""
    code, said = checked(tmp_path, keys, Mistake(name="none", old="\n", new="\n", said=(), sender=sender), capsys)
    assert code == 0
    assert "warning:" not in said


@pytest.mark.parametrize("one", MISTAKES, ids=lambda one: f"{'high' if one.sender else 'low'}: {one.name}")
def test_a_mistake_is_told_with_its_place_and_the_next_step(
    tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str], one: Mistake
) -> None:
    """Exit 2 and the file's name; what is only odd is a warning, and exit 0."""
    code, said = checked(tmp_path, keys, one, capsys)
    missing = [words for words in one.said if words not in said]
    assert not missing, said
    assert code == (0 if one.legal else 2), said
    assert one.legal == ("warning: " in said and "error" not in said), said
    assert ("sender.toml" if one.sender else "receiver.toml") in said
    assert "bug" not in said
    assert all(len(line) < 1_000 for line in said.splitlines()), "a line that nobody reads"
    RIGHTLY.add(one)


@pytest.mark.parametrize("one", RIGHT, ids=lambda one: one.name)
def test_what_only_looks_wrong_is_right(
    tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str], one: Mistake
) -> None:
    """Editors and habits are no mistakes."""
    code, said = checked(tmp_path, keys, one, capsys)
    assert (code, "warning:" in said) == (0, False), said

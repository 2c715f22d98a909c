"""One way to read settings: a file that cannot be read says why, and every mistake in one that can is told at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, model_validator

from protocol.errors import ConfigError
from protocol.settings.dataclass_parts import built, fitting
from protocol.settings.findings import Findings, read_table, read_tables, unknown
from protocol.settings.table import File, LinkAddress, Seconds, SettingsTable, Share, Size
from protocol.settings.toml_file import read


class PumpTable(SettingsTable):
    """A table with one of everything."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"to": "192.0.2.2:5005"}

    to: LinkAddress
    every: Seconds = 1.0
    share: Share = 0.0
    size: Size = 1
    count: Annotated[int, Field(ge=1)] = 1
    ratio: float = 1.0
    on: bool = True
    key: File | None = None
    more: tuple[File, ...] = ()

    def crossed(self) -> Iterator[tuple[str, str]]:
        if self.count > self.ratio:
            yield "count", "is more than ratio; make it less"


class BareTable(SettingsTable):
    """One whose author named no example, and checks it as a whole."""

    name: str

    @model_validator(mode="after")
    def _never(self) -> BareTable:
        raise ValueError("is never right; take it out")


def mistakes(model: type[SettingsTable], given: object, *names: str) -> dict[str, str]:
    """Key path -> line."""
    found = Findings()
    read_table(model, given, "pump", found, *names)
    return found.mistakes


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"a = 1\nb = \n", "line 2"),
        (b"a = 1\r\nb = nothing\r\n", "line 2"),
        (b"a = 1\na = 2\n", "line 2"),
        (b'a = "\xe4"\n', "not UTF-8 .line 1"),
        (b"\xff\xfea\x00", "not UTF-8 .line 1"),
    ],
)
def test_what_is_no_toml_says_where(tmp_path: Path, data: bytes, told: str) -> None:
    """The line, and a next step."""
    path = tmp_path / "some.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=told) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """Some editors put one in front; the bytes are handed on as they are."""
    path = tmp_path / "some.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read(path) == ({"a": 1}, b"\xef\xbb\xbfa = 1\n")


def test_a_file_that_is_not_there_or_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    """With the next step that the reader of the file knows."""
    with pytest.raises(ConfigError, match="does not exist") as caught:
        read(tmp_path / "none.toml", hint="copy the example")
    assert caught.value.hint == "copy the example"
    with pytest.raises(ConfigError, match=os.strerror(21)) as caught:
        read(tmp_path)
    assert caught.value.hint


def test_every_mistake_of_a_table_is_told_with_a_next_step() -> None:
    """Of each key, of what is unknown, and of what lies between keys, all together."""
    given = {
        "to": "239.0.0.1:5005",
        "every": 5,
        "share": "1",
        "size": "1.5B",
        "count": 0,
        "ratio": "1",
        "on": 1,
        "key": 7,
        "mor": ["a"],
    }
    told = mistakes(PumpTable, given)
    assert set(told) == {f"pump.{key}" for key in given}
    assert all("; " in line for line in told.values())
    assert told["pump.mor"] == "pump.mor: unknown key; did you mean more?"
    assert set(mistakes(PumpTable, {"count": 5, "every": "x"})) == {"pump.to", "pump.every", "pump.count"}


def test_a_mistake_is_one_inert_line_with_the_names_for_people() -> None:
    """What a file says is said back without what a terminal obeys."""
    (line,) = mistakes(PumpTable, {"to": "192.0.2.2:5005", "on": "\x1b[2J\n"}, "pump-7", "flow").values()
    assert line.startswith("pump.on (pump-7, flow): ")
    assert line.isprintable()


def test_a_table_that_is_none_shows_a_right_one() -> None:
    """Missing, or of another shape."""
    assert mistakes(PumpTable, None)["pump"] == 'pump: missing; write [pump] with to = "192.0.2.2:5005"'
    assert mistakes(PumpTable, [])["pump"].startswith("pump: no table; write [pump]")
    found = Findings()
    assert read_tables([{"a": 1}, 2], "one.two", found) == [("one.two[0]", {"a": 1})]
    assert read_tables({}, "one.three", found) == []
    assert set(found.mistakes) == {"one.two[1]", "one.three"}


def test_a_model_without_examples_is_a_mistake_like_any_other() -> None:
    """Another's model may lack what ours have, or check itself as a whole; nothing else than findings comes of it."""
    assert mistakes(BareTable, {})["pump.name"] == 'pump.name: missing; write name = ".."'
    assert mistakes(BareTable, {"name": "a"}) == {"pump": "pump: is never right; take it out"}


def test_what_was_found_is_raised_together(tmp_path: Path) -> None:
    """Nothing found raises nothing; else each line, and the command that tells them again."""
    found = Findings()
    found.settle(tmp_path, "checkvalve x --check")
    found.wrong("a", "one; two")
    found.wrong("b", "three; four")
    with pytest.raises(ConfigError, match=r"has 2 mistakes:\n  a: one; two\n  b: three; four") as caught:
        found.settle(tmp_path, "checkvalve x --check")
    assert caught.value.hint.endswith("checkvalve x --check")


def test_paths_are_beside_the_file() -> None:
    """Each relative one, alone or in a list."""
    table = PumpTable.model_validate({"to": "192.0.2.2:5005", "key": "a", "more": ("b", "/c")})
    placed = table.beside(Path("/etc/x"))
    assert placed.files() == [Path("/etc/x/a"), Path("/etc/x/b"), Path("/c")]
    assert placed.to == table.to


@pytest.mark.parametrize(
    ("key", "known", "told"),
    [
        ("scpoe", ["name", "scope"], "unknown key; did you mean scope?"),
        ("zzz", ["name", "scope"], "unknown key; take it out (known are name, scope)"),
        ("zzz", [], "unknown key; take it out"),
    ],
)
def test_an_unknown_word_is_answered_with_what_was_meant(key: str, known: list[str], told: str) -> None:
    """The nearest one, else all of them."""
    assert unknown(key, known) == told


@dataclass(frozen=True, kw_only=True)
class Pump:
    """A part that is built from a file."""

    name: str
    sizes: tuple[int, ...] = ()
    speed: float = 1.0


def test_a_dataclass_is_built_from_what_stands_in_the_file() -> None:
    """A list is a tuple, a whole number stays one; where a value is unknown, missing or unfit none is built."""
    found = Findings()
    made = built(Pump, {"name": "a", "sizes": [1, 2], "speed": 3}, "pump", found)
    assert made == Pump(name="a", sizes=(1, 2), speed=3)
    assert type(made.speed) is int
    assert not found.mistakes
    assert built(Pump, {"sizes": [1, "2"], "sped": 3}, "pump", found) is None
    assert set(found.mistakes) == {"pump.name", "pump.sizes[1]", "pump.sped"}
    assert "did you mean speed?" in found.mistakes["pump.sped"]


def test_what_fits_a_dataclass_is_kept_beside_what_does_not() -> None:
    """For a reader that goes on to name further mistakes; what no key stands for is unknown."""
    found = Findings()
    assert fitting(Pump, {"sizes": 5, "speed": 2, "name": "a"}, "pump", found, without=("name",)) == {"speed": 2}
    assert set(found.mistakes) == {"pump.sizes", "pump.name"}

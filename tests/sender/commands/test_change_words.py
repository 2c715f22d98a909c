"""What a person reads before applying: every difference once, in words, and loud where no number would show it."""

from __future__ import annotations

import tomllib

import pytest
from polling import asset_toml, sender_toml

from sender.commands.change_words import of_files
from sender.poll import difference

PUMP = asset_toml("pump", 'name = "p", at = "0", unit = "bar", deadband = 0.1', more='vendor = "Acme"')
BASE = sender_toml(PUMP)

CHANGES: tuple[tuple[str, str, list[str]], ...] = (
    ('unit = "bar"', 'unit = "kPa"', ["  pump", '! tag p: unit "bar" -> "kPa"']),
    ('at = "0"', 'at = "1"', ["  pump", '! tag p: at "0" -> "1"']),
    ("deadband = 0.1", "deadband = 0.1, range = [0, 16]", ["  pump", "! tag p: range (none) -> [0, 16]"]),
    ("deadband = 0.1", "deadband = 0.1, factor = 10", ["  pump", "! tag p: factor (none) -> 10"]),
    ("deadband = 0.1", 'deadband = 0.1, valid_when = "q"', ["  pump", '! tag p: valid_when (none) -> "q"']),
    ("deadband = 0.1", "deadband = 0.2", ["  pump", "  tag p: deadband 0.1 -> 0.2"]),
    (", deadband = 0.1", "", ["  pump", "  tag p: deadband 0.1 -> (none)"]),
    ('url = "fake:1"', 'url = "fake:2"', ["  pump", '! url "fake:1" -> "fake:2"']),
    ('every = "1s"', 'every = "2s"', ["  pump", '  scan[0].every "1s" -> "2s"']),
    ('name = "p"', 'name = "r"', ["  pump", "+ tag r at 0, bar", "- tag p at 0, bar"]),
    ('name = "pump"', 'name = "sump"', ["- pump, with 1 tag", "+ sump: 1 tag by pump, fake:1"]),
    ('vendor = "Acme"', "simulated = true", ["  pump", "  simulated (none) -> true", '  vendor "Acme" -> (none)']),
    ('vendor = "Acme"', 'vendor = "Acme"\npump = { unit = 3 }', ["  pump", "! pump.unit (none) -> 3"]),
    ('site = "north"', 'site = "south"', ['! site "north" -> "south"']),
    ("127.0.0.1:5005", "127.0.0.2:5005", ['! outlet.to "127.0.0.1:5005" -> "127.0.0.2:5005"']),
    ("[keys]", "mtu = 9000\n[keys]", ["  outlet.mtu (none) -> 9000"]),
    ("[[asset]]", "# remark\n[[asset]]", []),
)


@pytest.mark.parametrize(("old", "new", "lines"), CHANGES, ids=[new for _, new, _ in CHANGES])
def test_each_difference_is_a_line_with_both_values(old: str, new: str, lines: list[str]) -> None:
    """And the way back is the same lines turned around."""
    assert old in BASE
    before, after = tomllib.loads(BASE), tomllib.loads(BASE.replace(old, new))
    there, back = of_files(before, after), of_files(after, before)
    assert list(there.lines) == lines
    assert there.loud == back.loud == sum(line.startswith("!") for line in lines)
    assert len(back.lines) == len(lines)


@pytest.mark.parametrize(
    ("old", "new", "processes"),
    [
        ("north", "south", ("poll",)),
        ("127.0.0.1:5005", "127.0.0.1:5006", ("poll", "emit")),
        ("keys/high", "keys/other", ("poll", "emit")),
        ("[keys]", '[spool]\nkeep = "2d"\n[keys]', ("poll",)),
        ('unit = "bar"', 'unit = "kPa"', ()),
    ],
)
def test_what_a_reload_does_is_told_apart_from_what_needs_which_start(
    old: str, new: str, processes: tuple[str, ...]
) -> None:
    """As the running poll decides it."""
    assert of_files(tomllib.loads(BASE), tomllib.loads(BASE.replace(old, new))).restarts == processes


def test_what_crosses_the_link_hides_addresses_and_files() -> None:
    """The low side learns that they changed, no more; numbers and the plant's name it knows anyway."""
    after = BASE.replace("fake:1", "fake:2").replace("keys/high", "keys/other").replace("127.0.0.1", "127.0.0.9")
    after = after.replace('"north"', '"south"').replace("[keys]", "mtu = 9000\n[keys]")
    assert difference.of_file(tomllib.loads(BASE), tomllib.loads(after)) == [
        "keys.own hidden",
        "outlet.mtu (none) -> 9000",
        "outlet.to hidden",
        'site "north" -> "south"',
        "pump changed: url hidden",
    ]


def test_all_of_a_file_is_new_where_nothing_is_known_of_the_one_before() -> None:
    """No process is then told to start again: none runs that anybody knows of."""
    words = of_files({}, tomllib.loads(BASE))
    assert "+ pump: 1 tag by pump, fake:1" in words.lines
    assert words.restarts == ()

"""Texts made safe to show: whatever goes in, one line comes out that no terminal obeys and that hides nothing."""

from __future__ import annotations

import json
import tomllib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.inert import CELL, LINE, MARKS, as_json, inert, lines
from protocol.written import toml

ODD = (
    "\x00\x07\x1b\x7f\x80\x9b\r\n\t\u2028\u2029\u202e\u2066\u200b\u200e\u061c\ufeff\U000e0041"
    "\ud800\udfff\ue000\ufdd0\u0378"
)
"""One or two of each kind that a terminal obeys, hides or does not know."""
ANY = st.text(st.one_of(st.characters(codec=None), st.sampled_from(f"{ODD}\u0301\u3164\ufe0f\\[]ab漢")))
PLANT = [
    "m³/h",
    "20 °C",
    "µm/s",
    "10 kΩ",
    "Ü-Relais Größe",
    "漢字 ポンプ",
    "Насос №7",
    "مضخة",
    "žluťoučký",
    "×10⁻³ ≤ 5",
    "e\u0301",
]


@pytest.mark.parametrize("text", PLANT)
def test_what_plants_write_stays_as_it_is(text: str) -> None:
    """Units, names in any alphabet, an accent that stands by itself."""
    assert inert(text) == text


@pytest.mark.parametrize("letter", ODD)
def test_what_a_terminal_obeys_or_hides_is_written_as_its_escape(letter: str) -> None:
    """And the escape says which it was."""
    shown = inert(f"a{letter}b")
    assert shown == "a" + letter.encode("unicode_escape").decode() + "b"
    assert shown.isascii()


@given(ANY, st.one_of(st.none(), st.integers(40, 200)))
def test_any_text_is_one_line_that_is_safe(text: str, most: int | None) -> None:
    """No character of a forbidden kind is left, no length is passed, and once more changes nothing."""
    shown = inert(text, most)
    kinds = {unicodedata.category(letter) for letter in shown}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1
    assert most is None or len(shown) <= most
    assert inert(shown, most) == shown
    assert inert(shown, None) == shown
    shown.encode()


def test_a_long_text_loses_its_middle_and_tells_its_length() -> None:
    """The two ends are what tells names apart; ten million characters cost no more than what is shown of them."""
    shown = inert("first" + "x" * 10_000_000 + "last", CELL)
    assert shown.startswith("first")
    assert shown.endswith("last")
    assert "..(10,000,009 characters).." in shown
    assert len(shown) <= CELL
    assert len(inert("\x1b" * 10_000)) <= LINE


def test_marks_do_not_climb_into_other_lines() -> None:
    """A letter carries some, a text begins with none."""
    shown = inert("a" + "\u0301" * 30)
    assert shown == "a" + "\u0301" * MARKS + "\\u0301" * (30 - MARKS)
    assert inert("\u0338x") == "\\u0338x"
    assert inert("\u202e\u0301") == "\\u202e\\u0301"


def test_a_backslash_stays_a_backslash() -> None:
    """A path reads as it was written; the price is stated in the module."""
    assert inert("C:\\x1b") == "C:\\x1b" == inert("C:\x1b")


def test_lines_of_our_own_stay_lines() -> None:
    """What else ends a line does not."""
    assert lines("a\nb\u2028c\rd") == ["a", "b\\u2028c\\rd"]


@given(ANY)
def test_toml_is_inert_and_reads_back_to_the_same_text(text: str) -> None:
    """Every text but one with half of a pair, which TOML cannot hold."""
    if any(unicodedata.category(letter) == "Cs" for letter in text):
        with pytest.raises(ValueError, match="lone surrogate"):
            toml(text)
        return
    written = toml(text)
    assert tomllib.loads(f"a = {written}") == {"a": text}
    assert inert(f"a = {written}", None) == f"a = {written}"


@given(ANY)
def test_json_is_inert_and_reads_back_to_the_same_text(text: str) -> None:
    """Half of a pair too."""
    written = as_json({"a": text})
    assert written.isascii()
    assert written.isprintable()
    assert json.loads(written) == {"a": text}

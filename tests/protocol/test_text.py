"""Quantities and units as people write them: read right, refused with the right one shown, written back."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import text
from protocol.content import ucum
from protocol.written import duration, toml


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1s", 1.0),
        ("100ms", 0.1),
        ("15m", 900.0),
        ("14d", 1_209_600.0),
        ("2 h", 7200.0),
        ("5min", 300.0),
        ("50us", 5e-5),
    ],
)
def test_duration_is_read(written: str, seconds: float) -> None:
    """One number and one unit."""
    assert text.seconds(written) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "written", ["", "1", "s", "1w", "-1s", "1s 2s", "1e3s", "1,5s", "1 second", "NaNs", "infs", "١s"]
)
def test_what_is_no_duration_is_refused_with_an_example(written: str) -> None:
    """The refusal repeats what was written and shows a right one."""
    with pytest.raises(ValueError, match='such as "1s"') as refused:
        text.seconds(written)
    assert written in str(refused.value)


@given(st.floats(1e-6, 1e7))
def test_duration_written_is_read_back(value_s: float) -> None:
    """What is printed for people reads back within its three decimals."""
    assert text.seconds(duration(value_s)) == pytest.approx(value_s, rel=1e-3)


@pytest.mark.parametrize(
    ("written", "shown"),
    [("1s", "1s"), ("60s", "1m"), ("90s", "90s"), ("24h", "1d"), ("250ms", "250ms"), ("0.5s", "500ms")],
)
def test_duration_is_written_in_its_largest_whole_unit(written: str, shown: str) -> None:
    """Three decimals at most, and no unit that would break the number."""
    assert duration(text.seconds(written)) == shown


def test_percentage_needs_its_sign() -> None:
    """1 is never taken for 100 %."""
    assert text.share("1%") == 0.01
    assert text.share("12.5 %") == 0.125
    for written in ("1", "0.01", "%", "1 percent"):
        with pytest.raises(ValueError, match="percentage"):
            text.share(written)


def test_size_is_whole_bytes() -> None:
    """k is 1000, Ki is 1024, and half a byte is none."""
    assert (text.size("32KiB"), text.size("20GB"), text.size("1.5kB")) == (32_768, 20_000_000_000, 1500)
    for written in ("32", "32K", "0.5B", "1.0001kB"):
        with pytest.raises(ValueError, match="size"):
            text.size(written)


def test_address_is_numbers_only() -> None:
    """A name would have to be asked for, so it is refused; so is a port that cannot be."""
    assert text.address("192.0.2.2:5005") == ("192.0.2.2", 5005)
    for written in (
        "plant.example:5005",
        "192.0.2.2",
        "192.0.2.2:0",
        "192.0.2.2:65536",
        "192.0.2.256:1",
        "::1:5005",
        ":5",
    ):
        with pytest.raises(ValueError, match=r"192\.0\.2\.2:5005"):
            text.address(written)


UNITS = [
    *("bar", "Cel", "r/min", "m3/h", "kW.h", "%", "[ppm]", "mm/s", "m/s2", "[degF]", "{count}", "10*6/L", "mg/L"),
    *("uS/cm", "[in_i'H2O]", "kg/m3", "dB[SPL]", "mm[H2O]", "/min", "V.A", "Mvar", "bar{gauge}", "kJ/(kg.K)", "s-1"),
    *("[gal_us]/min", "1/s", "deg", "L/min"),
]

PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)


@given(
    st.recursive(PLAIN, lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(max_size=5), one, max_size=4))
)
def test_toml_is_read_back_the_same(value: object) -> None:
    """Whatever is written as TOML is what a TOML reader gets."""
    assert tomllib.loads(f"value = {toml(value)}")["value"] == value


@pytest.mark.parametrize(
    "code",
    [
        "bar",
        "Cel",
        "r/min",
        "m3/h",
        "kW.h",
        "%",
        "[ppm]",
        "mm/s",
        "m/s2",
        "[degF]",
        "{count}",
        "10*6/L",
        "mg/L",
        "uS/cm",
        "[in_i'H2O]",
        "kg/m3",
        "dB[SPL]",
        "mm[H2O]",
        "/min",
        "V.A",
        "Mvar",
        "bar{gauge}",
        "kJ/(kg.K)",
        "s-1",
        "[gal_us]/min",
        "1/s",
        "deg",
        "L/min",
    ],
)
def test_unit_of_a_plant_is_known(code: str) -> None:
    """UCUM codes that plants and power use."""
    assert ucum.known(code)


@pytest.mark.parametrize(
    "code", ["foo", "bar/", "(bar", "bar)", "m..s", ".", "/", "bar bar", "m//s", "{a", "3.", "kdeg", "é"]
)
def test_what_is_no_unit_is_not_known(code: str) -> None:
    """Broken grammar and atoms of no system."""
    assert not ucum.known(code)


@pytest.mark.parametrize("wrong", sorted(ucum.MEANT))
def test_wrong_spelling_is_answered_with_a_right_one(wrong: str) -> None:
    """Also where the wrong spelling happens to be a code of its own: pH is a picohenry."""
    assert not ucum.known(wrong)
    assert ucum.known(ucum.meant(wrong))


@given(st.text(max_size=20))
def test_any_text_is_judged(code: str) -> None:
    """No text, however odd, does more than get a yes or a no."""
    assert ucum.known(code) in (True, False)
    assert ucum.meant(code) == ucum.MEANT.get(code, "")

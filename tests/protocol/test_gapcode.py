"""Gap codes: what they hold, and that a slip of the tongue is noticed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import gapcode, gapread
from protocol.errors import ConfigError
from protocol.ranges import Ranges

STREAM = bytes.fromhex("8a1f44aabbccddee")
LETTERS = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
SPANS = st.lists(
    st.tuples(st.integers(0, 2**40), st.integers(1, 10**6)).map(lambda one: (one[0], one[0] + one[1])), min_size=1
)


def _bech32m(text: str) -> tuple[str, list[int]] | None:
    """BIP 350's own reference, apart from ours: human-readable part and data, or None."""
    if text.lower() != text and text.upper() != text:
        return None
    text = text.lower()
    at = text.rfind("1")
    if at < 1 or at + 7 > len(text) or len(text) > 90 or any(one not in LETTERS.lower() for one in text[at + 1 :]):
        return None
    hrp, data = text[:at], [LETTERS.lower().find(one) for one in text[at + 1 :]]
    check = 1
    for value in [ord(one) >> 5 for one in hrp] + [0] + [ord(one) & 31 for one in hrp] + data:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate([0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]):
            check ^= generator if (top >> bit) & 1 else 0
    return (hrp, data[:-6]) if check == 0x2BC830A3 else None


def test_the_reference_in_this_file_passes_the_vectors_of_bip_350() -> None:
    """Valid and invalid strings from the document."""
    for text in ("A1LQFN3A", "a1lqfn3a", "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx", "?1v759aa"):
        assert _bech32m(text) is not None
    for text in ("qyrz8wqd2c9m", "M1VUXWEZ", "A12UEL5L", "1p2gdwpf", "in1muywd"):
        assert _bech32m(text) is None


@given(SPANS)
def test_codes_hold_exactly_what_was_put_in(spans: list[tuple[int, int]]) -> None:
    """All ranges come back, each code is bech32m of its own, and none is longer than the limit."""
    back = Ranges()
    for code, blocks in gapcode.codes(STREAM, spans):
        found = _bech32m(code.replace("-", ""))
        assert found is not None
        assert found[0] == "cv"
        check, ranges = gapread.decode(code)
        assert check == STREAM[:3]
        assert len(code.replace("-", "")) <= gapcode.LONGEST
        assert blocks == Ranges(ranges).count
        for first, after in ranges:
            assert back.add(first, after) == after - first
    assert back == Ranges(spans)


def test_a_few_ranges_are_short_enough_to_be_read_aloud() -> None:
    """One stretch after a week at ten blocks a second: 18 letters after CV1; three neighbours: 24."""
    week = 7 * 86_400 * 10
    one = gapcode.encode(STREAM, [(week, week + 12)])
    three = gapcode.encode(STREAM, [(week, week + 12), (week + 20, week + 21), (week + 40, week + 90)])
    assert (len(one.replace("-", "")) - 3, len(three.replace("-", "")) - 3) == (18, 24)
    assert all(len(group) <= 4 for group in one.split("-"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_wrong_letter_is_noticed(seed: int) -> None:
    """Each letter replaced by each other one, each pair of neighbours swapped, each letter left out or doubled."""
    chance = random.Random(seed)
    spans = [(first, first + chance.randrange(1, 50)) for first in chance.sample(range(10**6), 3 * seed)]
    code = gapcode.encode(STREAM, spans).replace("-", "")
    wrong = {code[:at] + letter + code[at + 1 :] for at in range(3, len(code)) for letter in LETTERS}
    wrong |= {code[:at] + code[at + 1] + code[at] + code[at + 2 :] for at in range(3, len(code) - 1)}
    wrong |= {code[:at] + code[at + 1 :] for at in range(3, len(code))}
    wrong |= {code[:at] + code[at] + code[at:] for at in range(3, len(code))}
    for text in wrong - {code}:
        with pytest.raises(ConfigError):
            gapread.decode(text)


@pytest.mark.parametrize("seed", range(3))
def test_up_to_four_wrong_letters_are_always_noticed(seed: int) -> None:
    """Two thousand random sets of two to four; the code is as long as one may be."""
    chance = random.Random(seed)
    spans = [(at * 1000, at * 1000 + 5) for at in range(10**6, 10**6 + 14)]
    code = gapcode.encode(STREAM, spans).replace("-", "")
    for _ in range(2000):
        letters = list(code)
        for at in chance.sample(range(3, len(code)), chance.randrange(2, 5)):
            letters[at] = chance.choice([one for one in LETTERS if one != code[at]])
        with pytest.raises(ConfigError):
            gapread.decode("".join(letters))


def test_case_spaces_and_dashes_do_not_matter() -> None:
    """As people type: small letters, spaces, dashes of a word processor, a line break."""
    code = gapcode.encode(STREAM, [(812, 813)])
    for text in (
        code.lower(),
        code.replace("-", " "),
        code.replace("-", ""),
        f"  {code}\n",
        code.replace("-", "\u2013"),
    ):
        assert gapread.decode(text) == (STREAM[:3], [(812, 813)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin with CV1"),
        ("CV2-3G05-GNJV-QN9D-H93", "does not begin with CV1"),
        ("CV1-3GO5-GNJV-QN9D-H93", "letter 3 of group 1 after CV1 is 'O', which no code holds; is it 0 (zero)?"),
        ("CV1-3G05-GNJV", "its end is missing"),
        ("CV1-3G05-GNJV-QN9D-H92", "at least one letter is wrong"),
        ("CV1-" + "Q" * 90, "are these two codes"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, said: str) -> None:
    """And the hint says the next step."""
    with pytest.raises(ConfigError) as refused:
        gapread.decode(text)
    assert said in str(refused.value)
    assert refused.value.hint


def test_what_fits_no_code_is_refused_when_it_is_made() -> None:
    """No range, a range that ends before it begins, a number beyond 64 bits, too many ranges for one code."""
    for spans in ([], [(0, 2**64 + 1)], [(at * 10, at * 10 + 1) for at in range(100)]):
        with pytest.raises(ValueError, match="range"):
            gapcode.encode(STREAM, spans)
    assert gapcode.codes(STREAM, []) == []

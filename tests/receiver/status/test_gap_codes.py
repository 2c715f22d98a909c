"""What people are told of a gap: when it heals, which code heals it, until when that helps."""

from __future__ import annotations

import math
import random

import pytest

from protocol import gapread
from protocol.process.document import from_json
from protocol.ranges import Ranges
from receiver.commands.gap_list import lines
from receiver.gap import Gap
from receiver.status.catch import CatchStatus
from receiver.status.gap_codes import CODES_MOST, codes, kept_s

S = b"stream-1"


def _gap(first: int, after: int, heals_ns: int | None = None, stream: bytes = S) -> Gap:
    return Gap(stream=stream, first=first, after=after, since_ns=1, heals_ns=heals_ns)


def test_only_what_no_repeat_heals_gets_a_code() -> None:
    """A code a stream; numbers whose repeat is to come are not in it."""
    told = codes([_gap(3, 5), _gap(7, 9, heals_ns=99), _gap(20, 21), _gap(1, 2, stream=b"another1")])
    assert [(one["stream"], one["blocks"]) for one in told] == [(S.hex(), 3), (b"another1".hex(), 1)]
    assert gapread.decode(told[0]["code"]) == (S[:3], [(3, 5), (20, 21)])


@pytest.mark.parametrize("seed", range(5))
def test_many_gaps_still_make_few_codes_that_cover_all(seed: int) -> None:
    """Near ranges are joined where a person would have to read out more than a few codes."""
    chance = random.Random(seed)
    starts = sorted(chance.sample(range(0, 10**7, 10), 900))
    told = codes([_gap(first, first + chance.randrange(1, 9)) for first in starts])
    assert 1 <= len(told) <= CODES_MOST
    covered = Ranges(one for code in told for one in gapread.decode(code["code"])[1])
    assert all(first in covered for first in starts)


def test_the_sender_keeps_by_age_and_by_size_whichever_ends_sooner() -> None:
    """10 kB/s into 1 GB lasts 100,000 s; before a minute is known, and without words of the sender, no such claim."""
    assert kept_s({"keep_s": 86_400.0, "most_bytes": 1e9}, 10_000 * 600, 600.0) == 86_400.0
    assert kept_s({"keep_s": 1e9, "most_bytes": 1e9}, 10_000 * 600, 600.0) == pytest.approx(100_000)
    assert kept_s({"keep_s": 50.0, "most_bytes": 1.0}, 10_000, 5.0) == 50.0
    assert kept_s({"keep_s": "long", "most_bytes": None}, 10_000 * 600, 600.0) == math.inf


def test_the_list_says_what_becomes_of_each_gap() -> None:
    """Repeated at its time, or the code; and what is gone for good."""
    row = {"stream": "00ff", "since_ns": 5}
    catch = {
        "gaps": [
            {**row, "from": 1, "to": 2, "heals_ns": 70, "lost_ns": 90},
            {**row, "from": 4, "to": 9, "heals_ns": None, "lost_ns": 90},
        ],
        "codes": [{"code": "CV1-AAAA", "blocks": 5}],
        "blocks": {"expected": 9, "missing": 6, "expired": 3},
    }
    assert list(lines(from_json(CatchStatus, catch), lambda at: f"T{at}")) == [
        "stream 00ff block 1: missing since T5, will be repeated at about T70",
        "stream 00ff blocks 4 to 8: missing since T5, no repeat is left: use the code",
        "no repeat is left for some: on the high side type",
        "  checkvalve replay SENDER.toml CV1-AAAA",
        "the sender keeps them until T90 at least; then they cannot be had any more",
        "3 blocks cannot come any more: the sender keeps them no longer",
        "blocks: expected 9, whole 0, repaired 0, healed 0, missing 6, expired 3",
    ]


def test_what_was_here_and_what_the_sender_lost_have_words_of_their_own() -> None:
    """Damaged blocks are asked for by the code, lost ones are not asked for, and neither counts twice."""
    catch = {
        "gaps": [
            {"stream": "00ff", "since_ns": 5, "from": 4, "to": 9, "heals_ns": None, "lost_ns": None, "damaged": True}
        ],
        "codes": [{"code": "CV1-AAAA", "blocks": 5}],
        "lost": [{"stream": "00ff", "from": 10, "to": 11}, {"stream": "00ff", "from": 20, "to": 22}],
        "blocks": {"expected": 20, "missing": 5, "expired": 6, "damaged": 5, "lost": 3},
    }
    assert list(lines(from_json(CatchStatus, catch), lambda at: f"T{at}")) == [
        "stream 00ff blocks 4 to 8: damaged or absent here since T5, use the code",
        "no repeat is left for some: on the high side type",
        "  checkvalve replay SENDER.toml CV1-AAAA",
        "stream 00ff block 10: the sender lost it",
        "stream 00ff blocks 20 to 21: the sender lost them",
        "3 blocks cannot come any more: the sender lost them",
        "3 blocks cannot come any more: the sender keeps them no longer",
        "of the missing, 5 blocks journaled here can no longer be read",
        "blocks: expected 20, whole 0, repaired 0, healed 0, missing 5, expired 6",
    ]

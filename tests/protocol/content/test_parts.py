"""Files in parts: whole again from any order and any number of copies, and never anything else."""

from __future__ import annotations

import random

import pytest

from protocol.content.parts import LARGEST, OPEN_FILES, PART_BYTES, FileParts, cut
from protocol.errors import FrameError


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 5 * PART_BYTES - 1])
def test_a_file_is_whole_from_parts_in_any_order_and_twice(size: int) -> None:
    """It comes out once, with the last part that was missing."""
    dice = random.Random(size)
    data = dice.randbytes(size)
    bodies = list(cut("pump", "trip.log", 7, data)) * 2
    dice.shuffle(bodies)
    parts = FileParts()
    got = [whole for body in bodies if (whole := parts.add(body)) is not None]
    assert [(one.asset, one.name, one.time_ns, one.data) for one in got] == [("pump", "trip.log", 7, data)]
    assert parts.waiting == 0


def test_two_files_of_one_name_are_two_files() -> None:
    """Their hashes name them."""
    parts = FileParts()
    bodies = [body for data in (b"one", b"two") for body in cut("", "x.json", 1, data)]
    assert {whole.data for body in bodies if (whole := parts.add(body)) is not None} == {b"one", b"two"}


WRONG: dict[str, dict[str, object]] = {
    "another part's bytes": {"bytes": b"x" * PART_BYTES},
    "a hash of something else": {"sha256": bytes(32)},
    "fewer bytes": {"bytes": b"x"},
    "a part beyond the last": {"part": 2},
    "another count": {"of": 3},
    "a size beyond all": {"size": LARGEST + 1, "of": 33},
    "no number": {"part": True},
    "no text": {"name": b"x"},
    "another asset": {"asset": "other"},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_part_never_makes_a_file(name: str) -> None:
    """It is refused, at once or when the whole does not match its hash; another hash is another file."""
    bodies = list(cut("", "x", 1, bytes(range(256)) * 200))
    assert len(bodies) == 2
    parts, refused = FileParts(), 0
    for body in (bodies[1], bodies[0] | WRONG[name]):
        try:
            assert parts.add(body) is None
        except FrameError:
            refused += 1
    assert refused == (name != "a hash of something else")


def test_what_is_gathered_is_bounded() -> None:
    """Files that never become whole push each other out, the oldest first."""
    parts = FileParts()
    for number in range(3 * OPEN_FILES):
        parts.add(next(cut("", f"{number}", 1, number.to_bytes(2, "big") * PART_BYTES)))
    assert parts.waiting == OPEN_FILES


def test_a_file_over_the_limit_is_refused() -> None:
    """Before a part of it is made."""
    with pytest.raises(ValueError, match="is the most"):
        next(cut("", "x", 1, bytes(LARGEST + 1)))
    with pytest.raises(ValueError, match="name of"):
        next(cut("", "", 1, b""))

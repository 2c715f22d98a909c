"""Laws of what retention will take: told beforehand where it costs something, and never where it does not."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest

from protocol.ranges import Ranges
from protocol.store import statefile
from protocol.store.index import Segment
from protocol.store.record import record
from sender.store.emit_state import NAME
from sender.store.foresee import LOOKS, Filling, loses_s
from sender.store.retain import Fate, Fates
from sender.store.spool import SEGMENT_LEAST, TIDY_PERIOD, Spool

STREAM = b"stream-1"
SIZE = 100
REPEAT_S = 900.0


def segments(count: int, every_s: float = 100.0) -> list[Segment]:
    """So many segments of 100 bytes, one begun each 100 s."""
    return [
        Segment(number=at, size=SIZE, records=1, born_s=at * every_s, streams={STREAM: Ranges([(at, at + 1)])})
        for at in range(count)
    ]


def fates(new: int, *, ages: dict[int, float] | None = None, backlog: tuple[int, ...] = ()) -> Fates:
    """Segments below `new` were sent, but for the backlog; repeats of some are to come, sent so long ago [s]."""
    return Fates(
        {
            "boot": 1,
            "new": [new, 0],
            "mark": None,
            "backlog": [[at, 0, at, SIZE] for at in backlog],
            "repeats": [[1, age, at, 0, at, SIZE, 1] for at, age in (ages or {}).items()],
            "finished": {},
            "errand": {},
        }
    )


def asked(**changed: Any) -> float:
    """Ten segments, the last one current, at running time 950; what is changed of a healthy spool."""
    given: dict[str, Any] = {
        "segments": segments(10),
        "fates": fates(9),
        "repeated_after_s": REPEAT_S,
        "running_s": 950.0,
        "keep_s": 14 * 86400.0,
        "room_bytes": 10**6,
        "rate": 1.0,
    } | changed
    held, known = given.pop("segments"), given.pop("fates")
    return loses_s(held, known, **given)


CASES: dict[str, tuple[dict[str, Any], float]] = {
    "room without end": ({}, math.inf),
    "everything repeated, no room": ({"room_bytes": 0}, math.inf),
    "nothing comes": ({"fates": fates(0), "rate": 0.0, "room_bytes": 0}, 14 * 86400.0 + 100 - 950),
    "never sent, and room for a while": ({"fates": fates(0), "room_bytes": 3000}, 3000.0),
    "never sent, and no room": ({"fates": fates(0), "room_bytes": 0}, 0.0),
    "more than there may be": ({"fates": fates(0), "room_bytes": -50}, 0.0),
    "what was repeated goes first": ({"fates": fates(9, backlog=(5,)), "room_bytes": 1000}, 1800.0),
    "what was sent goes before what was not": (
        {"fates": fates(9, ages={3: 0.0, 4: 50.0}, backlog=(2,)), "room_bytes": 50},
        650.0,
    ),
    "its repeat is due sooner": ({"fates": fates(9, ages={3: 300.0}), "room_bytes": 0}, math.inf),
    "its repeat is overdue": ({"fates": fates(9, ages=dict.fromkeys(range(9), 950.0)), "room_bytes": 0}, math.inf),
    "too old before it is sent": ({"fates": fates(9, backlog=(0, 4)), "keep_s": 1000.0}, 150.0),
    "too old, and repeated": ({"keep_s": 1000.0}, math.inf),
    "too small for its own repeats": ({"segments": segments(1), "fates": fates(0), "room_bytes": 400}, 500.0),
    "nobody noted what was sent": ({"fates": Fates({}), "room_bytes": 200}, 200.0),
}


@pytest.mark.parametrize("name", CASES)
def test_what_retention_will_take_too_early_is_known_beforehand(name: str) -> None:
    """By age or by size, whichever comes first; what is done with by then is no loss."""
    changed, expected = CASES[name]
    assert asked(**changed) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(6))
def test_it_is_what_retention_does(tmp_path: Path, seed: int) -> None:
    """A spool that fills evenly and sends nothing drops its first unsent block about when it said that it would."""
    chance = random.Random(seed)
    most = 16 * SEGMENT_LEAST
    spool = Spool(tmp_path, keep_s=1e6, most_bytes=most, now=0.0, repeated_after_s=REPEAT_S)
    block, now, told = chance.randbytes(200_000), 0.0, {}
    for number in range(1000):
        now += chance.uniform(2.0, 6.0)
        spool.append(record(STREAM, number, 1, 0, block))
        spool.flush(now)
        spool.tick(now)
        if spool.dropped[Fate.UNSENT]:
            break
        if now > 10 * TIDY_PERIOD:
            told[now] = spool.status()["loses_s"]
    else:
        raise AssertionError("nothing was dropped")
    assert all(abs(at + loses - now) < 0.25 * (now - at) + 2 * TIDY_PERIOD for at, loses in told.items()), seed
    spool.close(now)


def test_a_spool_that_is_sent_and_repeated_in_time_foretells_nothing(tmp_path: Path) -> None:
    """Also when it is at its limit all the time."""
    most = 16 * SEGMENT_LEAST
    spool = Spool(tmp_path, keep_s=1e6, most_bytes=most, now=0.0, repeated_after_s=20.0)
    for number in range(200):
        now = number * 4.0
        spool.append(record(STREAM, number, 1, 0, bytes(200_000)))
        spool.flush(now)
        place = [spool.store.current.number, spool.store.current.size]
        before = [*place[:1], max(0, place[1] - 1_000_000)]
        noted = {"boot": 1, "new": place, "mark": None, "backlog": [], "finished": {}, "errand": {}}
        statefile.write(tmp_path / NAME, statefile.pack(noted | {"repeats": [[0, 5.0, *before, *place, 5]]}))
        spool.tick(now)
        assert "loses_s" not in spool.status(), now
        assert spool.status()["free_bytes"] > 0
    assert spool.dropped[Fate.REPEATED] > 0
    spool.close(800.0)


def test_the_rate_is_of_the_last_minutes() -> None:
    """Not of the whole life, and none before the second look."""
    filling = Filling()
    for at in range(100):
        filling.look(7 * at, float(at))
        assert filling.rate() == (7.0 if at else 0.0)
    for at in range(100, 100 + LOOKS):
        filling.look(700, float(at))
    assert filling.rate() == 0.0

"""Real processes, killed: nothing that had reached the spool or the journal is lost or doubled.

A lossless loopback; a seeded killer ends one of the working processes with SIGKILL, again and again.
"""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest
from plant import Plant, command, plant, until

VICTIMS = (("high", "poll"), ("high", "emit"), ("low", "catch"), ("low", "historian"), ("low", "publish"))


@pytest.mark.timeout(200)
def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """20 deaths at random moments; the seed is printed."""
    _kill(tmp_path, rounds=1, seed=20)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_five_hundred_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """The long count; both supervisors start anew every 20 deaths, so that their back-off does."""
    _kill(tmp_path, rounds=25, seed=500)


def _kill(folder: Path, *, rounds: int, seed: int) -> None:
    print("seed", seed)  # noqa: T201  shown when the test fails
    chance = random.Random(seed)
    with plant(folder) as made:
        _start(made)
        until(lambda: made.published() > 0, "nothing was published")
        for round_ in range(rounds):
            if round_:
                assert [made.stop("high"), made.stop("low")] == [0, 0]
                _start(made)
            _twenty_deaths(made, chance)
        until(lambda: made.fresh("high", "poll"), "poll did not come back")
        assert made.stop("high") == 0
        restarted = subprocess.Popen(command("send", str(folder / "high/sender.toml"), "--only", "emit"))
        try:
            spooled = sorted(one for rows in made.spooled().values() for one in rows)
            until(lambda: len(made.history()) == len(spooled), f"not all {len(spooled)} samples are in the history")
        finally:
            restarted.terminate()
            restarted.wait(30)
        assert sorted(made.history()) == spooled


def _start(made: Plant) -> None:
    made.start("low")
    until(lambda: made.fresh("low", "catch"), "catch did not start")
    made.start("high")


def _twenty_deaths(made: Plant, chance: random.Random) -> None:
    victims = list(VICTIMS) * 4
    chance.shuffle(victims)
    for side, name in victims:
        time.sleep(chance.uniform(0.05, 0.9))  # the moment of death is the case, not a wait for something
        made.kill(side, name)

"""Everything at once, on real processes: deaths, cold joins, lost first sendings, damage at rest, power cuts.

    death     SIGKILL to one process: poll, emit, catch, publish, the historian, the portal
    restart   a clean end of one side, and a new start
    join      the low side starts when the high side has run for a while, and is restarted at once
    damage    one side dies, a file of its state folder is damaged (damage.py), it starts again
    power     one side's disk loses what was not synced (disks.py), it starts again

A link loses frames all the while, above all first sendings. Then a person does what the low side says: carries its gap
codes to the high side. Afterwards every sample that can be read in the spool is in the history, once; no sample is in
the history that never was in the spool; and every block number that is in no disk's reach is stated by the low side.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import damage
import disks
import pytest
from plant import Plant, Sample, command, plant, until

from protocol.errors import StoreError
from protocol.process.statusfile import read_status
from protocol.store.layout import read_leaves
from receiver.outputs.disk import open_reader
from receiver.status.wording import read_low

MINUTES = float(os.environ.get("CHECKVALVE_SOAK_MINUTES", "30"))
"""Length of the long storm [min]."""
SIDES = ("high", "low")
VICTIMS = (
    ("high", "poll"),
    ("high", "emit"),
    ("low", "catch"),
    ("low", "publish"),
    ("low", "historian"),
    ("low", "portal"),
)
EVENTS = ("death",) * 8 + ("restart", "damage", "damage", "power")
HEALING = 120.0
"""Longest wait for what a person asked for to come [s]."""


@pytest.mark.timeout(400)
def test_a_short_storm_loses_nothing_quietly(tmp_path: Path) -> None:
    """Nine events, of every kind; the seed and the counts are printed."""
    counts = _storm(tmp_path, seed=8, events=9)
    assert set(EVENTS) - {"power"} <= set(counts)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_long_storm_loses_nothing_quietly(tmp_path: Path) -> None:
    """Rounds of twenty events for CHECKVALVE_SOAK_MINUTES (30), each round with a plant and a seed of its own."""
    ends, totals, seed = time.monotonic() + 60 * MINUTES, Counter[str](), 1000
    while time.monotonic() < ends:
        folder = tmp_path / str(seed)
        folder.mkdir()
        totals += _storm(folder, seed=seed, events=20)
        shutil.rmtree(folder, ignore_errors=True)
        seed += 1
    print("all rounds:", dict(totals))  # noqa: T201  the proof is these counts


@dataclass
class _Seen:
    """What was done, and what was in the spool before anything was damaged."""

    counts: Counter[str] = field(default_factory=Counter)
    blocks: dict[tuple[bytes, int], list[Sample]] = field(default_factory=dict)

    def note(self, made: Plant) -> None:
        self.blocks.update(made.spooled())


def _storm(folder: Path, *, seed: int, events: int) -> Counter[str]:
    print("seed", seed)  # noqa: T201  shown when the test fails
    chance, seen = Random(seed), _Seen()
    with ExitStack() as stack:
        mounted = {}
        if not disks.available():
            for side in SIDES:
                mounted[side] = stack.enter_context(disks.disk(folder / f"{side}.img", folder / side))
        made = stack.enter_context(plant(folder, seed=seed))
        _join(made, chance)
        for _ in range(events):
            assert made.link is not None
            made.link.first, made.link.other = chance.choice([(0.0, 0.0), (0.02, 0.02), (0.5, 0.02)])
            time.sleep(chance.uniform(0.3, 2.5))  # the moment is the case, not a wait for something
            event = chance.choice(EVENTS)
            if event == "power" and not mounted:
                event = "damage"
            seen.counts[event] += 1
            if event == "death":
                made.kill(*chance.choice(VICTIMS))
                continue
            side = chance.choice(SIDES)
            if event == "restart":
                assert made.stop(side) == 0, f"{side} did not end cleanly"
            else:
                _disaster(event, made, side, mounted, chance, seen)
            made.start(side)
            _back(made, side)
        _judge(made, seen)
    return seen.counts


def _join(made: Plant, chance: Random) -> None:
    """The high side runs already; the low side joins, and publishing is started anew at once."""
    made.start("high")
    until(lambda: made.fresh("high", "emit"), "emit did not start")
    time.sleep(chance.uniform(0.5, 3))  # how late it joins is the case
    made.start("low")
    _back(made, "low")
    until(lambda: made.published() > 0, "nothing was published")
    made.kill("low", "historian")


def _back(made: Plant, side: str) -> None:
    names = ("poll", "emit") if side == "high" else ("catch", "historian", "portal")
    for name in names:
        until(lambda name=name: made.fresh(side, name), f"{side} {name} did not come back")  # type: ignore[misc]


def _disaster(event: str, made: Plant, side: str, mounted: dict[str, disks.Disk], chance: Random, seen: _Seen) -> None:
    if event == "power":
        mounted[side].cut_power()
    made.kill_side(side)
    if event == "power":
        mounted[side].come_back()
        return
    seen.note(made)
    path = chance.choice(list(damage.files(made.state(side))))
    fault = chance.choice(sorted(damage.FAULTS))
    print("damage", path.relative_to(made.folder), fault)  # noqa: T201  shown when the test fails
    damage.strike(path, fault, chance)


def _judge(made: Plant, seen: _Seen) -> None:
    """The link is good again; the high side stops polling, and what is missing is asked for."""
    assert made.link is not None
    made.link.first = made.link.other = 0.0
    for side in SIDES:
        _back(made, side)
    time.sleep(2)  # some new samples on a good link
    assert made.stop("high") == 0
    emit = subprocess.Popen(command("send", str(made.folder / "high/sender.toml"), "--only", "emit"))
    try:
        seen.note(made)
        readable = made.spooled()
        wanted = Counter(one for rows in readable.values() for one in rows)
        _heal(made, wanted)
    finally:
        emit.terminate()
        emit.wait(40)
    held = _held(made)
    known = {one for rows in seen.blocks.values() for one in rows}
    lost, doubled = wanted - held, held - Counter(set(held))
    strange = [one for one in held if one not in known]
    unstated = _unstated(made)
    seen.counts.update(samples=len(known), lost=lost.total(), doubled=doubled.total(), unstated=unstated)
    print(dict(seen.counts), dict(made.link.counts))  # noqa: T201  the proof is these counts
    assert not lost, f"{lost.total()} samples that stand in the spool are not in the history"
    assert not doubled
    assert not strange
    assert not unstated, f"{unstated} blocks are neither in the history nor said to be missing"


def _heal(made: Plant, wanted: Counter[Sample]) -> None:
    """Wait; carry over the codes that the low side gives, as often as it gives any."""
    ends = time.monotonic() + HEALING
    sender = str(made.folder / "high/sender.toml")
    while wanted - _held(made) and time.monotonic() < ends:
        told = read_low(made.state("low")).get("catch", {})
        codes = [one["code"] for one in told.get("codes", ())]
        if codes and made.fresh("high", "emit"):
            subprocess.run(command("replay", sender, *codes), capture_output=True, check=False, timeout=60)
        time.sleep(1)


def _held(made: Plant) -> Counter[Sample]:
    try:
        return Counter(made.history())
    except StoreError:
        return Counter()


def _unstated(made: Plant) -> int:
    """Block numbers that were sent, are not in the history, and are not said to be missing or lost."""
    until(lambda: made.fresh("low", "catch"), "catch does not run")
    catch = read_status(made.state("low"), "catch") or {}
    current = open_reader(made.state("low") / "history/current.db")
    assert current is not None
    spans = current.execute("SELECT key, first, last FROM span JOIN stream ON stream.id = span.stream").fetchall()
    current.close()
    spool = made.state("high") / "spool"
    absent = 0
    for path in (spool / "leaves").glob("*.leaf"):
        stream = bytes.fromhex(path.stem)
        top = len(read_leaves(spool, stream)) // 32
        absent += top - sum(min(last + 1, top) - first for key, first, last in spans if key == stream and first < top)
    return max(0, absent - int(catch["blocks"]["missing"]) - int(catch["blocks"]["expired"]))


def test_the_faults_are_what_they_say(tmp_path: Path) -> None:
    """Each changes the file; the same seed does the same."""
    for fault in damage.FAULTS:
        seen = set()
        for _ in range(2):
            path = tmp_path / "file"
            path.write_bytes(json.dumps({"a": [1, 2, 3], "b": {"c": 7}}).encode() * 40)
            before = path.read_bytes()
            damage.strike(path, fault, Random(3))
            after = path.read_bytes() if path.exists() else None
            assert after != before
            seen.add(after)
        assert len(seen) == 1

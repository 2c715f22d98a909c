"""Damage at rest of any file of either state folder, on virtual time: nothing is lost quietly, nothing stops.

The whole path with a real historian runs on a link that loses; then everything dies, one to three files of one side
are damaged, everything starts again, and so on. In the end a person carries every gap code over. What the spool can
still give is then in the history, once; what it cannot give is counted as missing or lost by the receiver.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import damage
import pytest
from pipe import Pipe, lossy
from plant import spooled
from test_replay import _codes, _leave

from protocol.errors import ConfigError
from receiver.catch import gaps
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope
from receiver.publish.process import DamageFile
from sender.commands import errand

ROUNDS = 3


class Whole(Pipe):
    """The pipe with a history at its end."""

    history: HistorianOutput
    damage: DamageFile
    noted_at = 0.0
    sealed: dict[bytes, int]
    """Numbers below this were synced, by stream."""

    def start_publish(self) -> None:
        """From the place that the history stored last."""
        self.history = HistorianOutput(self.low / "history", clock=lambda: self.low_wall)
        self.place = self.history.place()
        self.damage = DamageFile(self.low / "damaged-historian.json", wall_ns=self.low_wall)
        super().start_publish()

    def _publish(self) -> None:
        while True:
            blocks, moved = self.opener.step(self.now)
            if moved:
                self.history.take(blocks, self.opener.place())
            if self.history.begun_again():
                self.opener.close()
                super().start_publish()
            elif not moved:
                break
        if self.now >= self.noted_at + 1:
            self.noted_at = self.now
            self.damage.note(self.opener.losses.places)

    def note_sealed(self) -> None:
        """What of the running stream is on the disk."""
        unsynced = sum(one.stream == self.packer.stream for one in self.spool.store._waiting)
        self.sealed = {**getattr(self, "sealed", {}), self.packer.stream: self.packer.number - unsynced}

    def restart(self, struck: Any = lambda: None) -> None:
        """Everything dies, and starts again."""
        self.note_sealed()
        self.kill_poll()
        self.kill_emit()
        self.kill_catch()
        self.history.close()
        struck()
        self.start_poll()
        self.start_emit()
        self.start_catch()
        self.start_publish()


def _busy(pipe: Whole, seconds: float, share: float) -> None:
    for _ in range(round(seconds * 10)):
        pipe.sample()
        pipe.run(0.1, lossy(share))


@pytest.mark.parametrize("seed", range(24))
def test_damage_at_rest_loses_nothing_quietly(tmp_path: Path, seed: int) -> None:
    """A part of the long count."""
    _damaged(tmp_path, seed)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_damage_at_rest_many_times(tmp_path: Path) -> None:
    """A thousand seeds."""
    totals: Counter[str] = Counter()
    for seed in range(1000, 2000):
        folder = tmp_path / str(seed)
        totals += _damaged(folder, seed)
    print(dict(totals))  # noqa: T201  the proof is these counts


def _damaged(folder: Path, seed: int) -> Counter[str]:
    print("seed", seed)  # noqa: T201  shown when the test fails
    chance = random.Random(seed)
    pipe = Whole(folder, seed=seed, repeat=(1.0,))
    counts: Counter[str] = Counter()

    def strike() -> None:
        side = chance.choice([pipe.high, pipe.low])
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            path = chance.choice(list(damage.files(side)))
            fault = chance.choice(sorted(damage.FAULTS))
            print("damage", path.relative_to(folder), fault)  # noqa: T201  shown when the test fails
            damage.strike(path, fault, chance)
            counts["damages"] += 1

    for _ in range(ROUNDS):
        _busy(pipe, chance.uniform(0.3, 3.0), chance.choice([0.0, 0.3]))
        pipe.run(chance.choice([0.0, 2.0]))
        pipe.restart(strike)
    _busy(pipe, 1.0, 0.0)
    pipe.finish()
    pipe.run(4)
    _carry_codes(pipe)
    with patch.object(gaps, "GONE_BEATS", 20):  # what no beat names any more is given up after a quarter of an hour
        pipe.run(25)
    for name, value in _judge(pipe).items():
        counts[name] += value
    pipe.history.close()
    return counts


def _carry_codes(pipe: Whole) -> None:
    """As often as the receiver gives a code that it did not give before."""
    given: set[str] = set()
    for turn in range(8):
        codes = [code for code in _codes(pipe) if code not in given]
        if not codes:
            return
        given.update(codes)
        try:
            name = _leave(pipe, codes, bytes([turn]))
        except ConfigError:
            continue  # the high side's own record of that stream is damaged: it says that it does not know the code
        for _ in range(20):
            pipe.run(1.0)
            if errand.result(pipe.high, name) is not None:
                break
        pipe.run(2)


def _judge(pipe: Whole) -> dict[str, int]:
    door = Door(pipe.low / "history", Scope(), clock=lambda: pipe.low_wall)
    held: Counter[tuple[str, int, Any]] = Counter()
    for view in door.tags("pump"):
        held.update((view.tag.name, one.time_ns, one.value) for one in door.samples(view.series, 0, 2**62, 10**7))
    door.close()
    sent = Counter((f"t{row.tag}", row.time_ns, row.value) for rows in pipe.sent.values() for row in rows)
    assert not held - sent, "nothing but what was sent, and that once"
    readable = spooled(pipe.high / "spool", pipe.open_key, pipe.sign.public)
    lost = Counter(one for rows in readable.values() for one in rows) - held
    assert not lost, f"{lost.total()} samples that stand in the spool are not in the history"
    spans = pipe.history._files.current.execute(
        "SELECT key, first, last FROM span JOIN stream ON stream.id = span.stream"
    )
    seen = {(key, number) for key, first, last in spans.fetchall() for number in range(first, last + 1)}
    pipe.note_sealed()
    sealed = {(stream, number) for stream, top in pipe.sealed.items() for number in range(top)}
    blocks = pipe.intake.gaps.counts()
    stated = blocks.missing + blocks.expired + pipe.opener.waiting
    unseen = len(sealed - seen)
    assert unseen <= stated, f"{unseen} blocks are not in the history, {stated} are said to be missing or lost"
    assert blocks.expected == blocks.whole + blocks.repaired + blocks.healed + blocks.missing + blocks.expired
    return {"samples": sent.total(), "absent": (sent - held).total(), "unseen": unseen}

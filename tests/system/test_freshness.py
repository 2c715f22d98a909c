"""What is shown is of now: old frames renew nothing, restarts show new samples at once, who joins late learns all."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from pipe import Pipe, lossy

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row, from_rows
from receiver.catch.datagrams import Datagrams
from receiver.catch.status.picture import picture
from receiver.outputs.base import BatchBody
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope
from receiver.status.wording import complete

DAY_NS = 86_400 * 10**9


def _recorded(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything that is on the link from now on."""
    taken: list[bytes] = []
    real = pipe.intake.receive

    def tapped(datagrams: Datagrams, now: float, wall_ns: int) -> None:
        taken.extend(map(bytes, datagrams.split()))
        real(datagrams, now, wall_ns)

    monkeypatch.setattr(pipe.intake, "receive", tapped)
    return taken


def _busy(pipe: Pipe, seconds: float, share: float = 0.0) -> None:
    for _ in range(round(seconds * 10)):
        pipe.sample()
        pipe.run(0.1, lossy(share))


def _said(pipe: Pipe) -> dict[str, Any]:
    shown: dict[str, Any] = complete(picture(pipe.intake, now=pipe.now, wall_ns=pipe.low_wall))
    return shown


@pytest.mark.parametrize("gap", [0.0, 3600.0])
def test_a_recording_renews_no_beat_no_session_and_no_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: float
) -> None:
    """The sender is off and its frames come again, at once or later, the sender restarted between or not."""
    pipe = Pipe(tmp_path)
    taken = _recorded(pipe, monkeypatch)
    _busy(pipe, 2)
    if gap:
        pipe.kill_emit()
        pipe.start_emit()
        _busy(pipe, 1.5)
    old = list(taken)
    pipe.run(0.3, emit=False)
    session, beat_at, opened = pipe.intake.sessions.current, pipe.intake.beat_at, len(pipe.opened)
    counts, order = pipe.intake.gaps.counts(), pipe.intake.sessions.floors
    pipe.now += gap
    pipe.low_wall += int(gap * 1e9)
    for frame in old:
        pipe.intake.receive(Datagrams(memoryview(frame), len(frame)), pipe.now, pipe.low_wall)
    pipe.run(0.5, emit=False)
    assert pipe.intake.sessions.current is session
    assert pipe.intake.beat_at == beat_at
    assert pipe.intake.sessions.floors == order
    assert pipe.intake.gaps.counts() == counts
    assert len(pipe.opened) == opened
    assert _said(pipe)["link"]["beat_age_s"] == pytest.approx(pipe.now - beat_at, abs=0.01)


@pytest.mark.parametrize(("later_ns", "confirmed"), [(0, True), (DAY_NS + 10**9, False)])
def test_without_a_floor_a_recording_of_another_day_is_unconfirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later_ns: int, confirmed: bool
) -> None:
    """A new receiver hears yesterday's frames: they are journaled and called unconfirmed, with the words to type."""
    pipe = Pipe(tmp_path)
    taken = _recorded(pipe, monkeypatch)
    _busy(pipe, 2)
    pipe.run(1)
    old, rows = list(taken), len(pipe.received(pipe.packer.stream))
    pipe.kill_catch()
    shutil.rmtree(pipe.low)
    pipe.place, pipe.opened = None, []
    pipe.start_catch()
    pipe.start_publish()
    pipe.low_wall += later_ns
    for frame in old:
        pipe.intake.receive(Datagrams(memoryview(frame), len(frame)), pipe.now, pipe.low_wall)
    pipe.run(0.5, emit=False)
    told = _said(pipe)
    assert told["link"]["confirmed"] is confirmed
    assert any("not confirmed" in line and "accept" in line for line in told["warnings"]) is not confirmed
    assert len(pipe.received(pipe.packer.stream)) == rows


@pytest.mark.parametrize("side", ["poll", "emit", "catch", "publish"])
@pytest.mark.parametrize("seed", range(3))
def test_a_restart_of_either_side_shows_a_new_sample_within_two_seconds(tmp_path: Path, side: str, seed: int) -> None:
    """At a random moment, with 1 % loss, on a link whose backlog takes longer than that; the seed is the number."""
    chance = random.Random(seed)
    pipe = Pipe(tmp_path, seed=seed, loss=0.01, rate=40_000.0, repeat=(20.0,))
    _busy(pipe, 1 + chance.random(), 0.01)
    if side == "catch":
        pipe.journal.sync(pipe.now)
    if side == "poll":
        pipe.spool.flush(pipe.now)
    getattr(pipe, f"kill_{side}", lambda: None)()
    if side == "emit":
        for _ in range(60):
            rows = [Row(at % 3, pipe.high_wall + at, chance.random()) for at in range(400)]
            pipe.packer.samples("pump", from_rows(rows), len(rows))
            pipe.run(1.0, emit=False)
    pipe.now += chance.random()
    getattr(pipe, f"start_{side}")()
    if side == "emit":
        assert pipe.emitter.status()["backlog_s"] > 2.0
    started, number = pipe.now, pipe.packer.number
    stream = pipe.packer.stream
    while not any(
        one.stream.key == stream and one.number >= number and isinstance(one.body, BatchBody) for one in pipe.opened
    ):
        assert pipe.now < started + 2.0, f"seed {seed}"
        _busy(pipe, 0.1, 0.01)


def test_a_cold_join_shows_every_tag_with_its_unit_within_a_minute(tmp_path: Path) -> None:
    """A receiver without any state, 1,000 tags, 1 % loss, the sender running for a minute before."""
    pipe = Pipe(tmp_path, loss=0.01)
    tags = [Tag(id=at, asset="pump", name=f"t{at}", unit="bar") for at in range(3, 1003)]
    pipe.packer.catalog({"pump": Asset(name="pump", site="north")}, tags)

    def second(share: float, catch: bool) -> None:
        rows = [Row(tag.id, pipe.high_wall, float(tag.id)) for tag in tags]
        pipe.packer.samples("pump", from_rows(rows), len(rows))
        pipe.run(1.0, lossy(share), catch=catch)

    for _ in range(40):
        second(0.01, catch=False)
    pipe.kill_catch()
    shutil.rmtree(pipe.low)
    pipe.place, pipe.opened = None, []
    pipe.start_catch()
    pipe.start_publish()
    history = HistorianOutput(tmp_path / "history", clock=lambda: pipe.low_wall)
    door = Door(tmp_path / "history", Scope(), clock=lambda: pipe.low_wall)
    try:
        for _ in range(60):
            second(0.01, catch=True)
            history.take(pipe.opened, b"at")
            pipe.opened = []
            views = door.tags("pump")
            latest, _ = door.latest()
            if len(latest) >= 1000 and sum(view.tag.unit == "bar" for view in views) == 1000:
                break
        else:
            raise AssertionError(f"{len(latest)} values, {len(views)} tags after a minute")
    finally:
        door.close()
        history.close()

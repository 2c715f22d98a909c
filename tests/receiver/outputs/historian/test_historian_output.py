"""Laws of the store: counts, states, events, latency, retention; each hand-over whole."""

from __future__ import annotations

import itertools
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from history_blocks import ALL, BOOT, SECOND, T0, batch, block, expected, opened, shrink, some_blocks, stream

from protocol.content.sample import Flag, Row
from receiver.outputs import disk
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, StateBody, TallyBody
from receiver.outputs.historian.age import MOST_STEP_S
from receiver.outputs.historian.latency import Latency
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.schema import SENDER_EVENTS
from receiver.outputs.historian.series import SENDER
from receiver.outputs.historian.views import Account, SampleView, Scope

HOUR = 3600 * SECOND


def rows(number: int, count: int, *, healed: bool = False, key: bytes = b"stream-1", boot: int = BOOT) -> OpenedBlock:
    """A block with `count` samples of the pump and as many refresh rows."""
    at = T0 + number * SECOND
    made = [Row(0, at + row, float(row)) for row in range(count)]
    made += [Row(0, at + row, float(row), flags=Flag.REFRESH) for row in range(count)]
    return block(stream(key, boot), number, batch(made, at, at), healed=healed)


def tally(number: int, read: int, sent: int, key: bytes = b"stream-1", boot: int = BOOT) -> OpenedBlock:
    """A tally of the pump as of block `number`."""
    body = TallyBody(time_ns=T0 + number * SECOND, number=number, assets={"pump-7": (read, sent)})
    return block(stream(key, boot), number, body)


BLOCKS = [rows(0, 5), rows(1, 3), tally(2, 11, 10), rows(3, 4, healed=True), tally(4, 16, 15), rows(5, 7)]


@pytest.mark.parametrize("most", [1, 10, 10_000])
def test_as_much_space_is_given_back_as_is_asked_for(most: int, tmp_path: Path) -> None:
    """So many pages in a step, or all there are: not one page a step, as Python's `execute` leaves it."""
    connection = disk.open_writer(tmp_path / "a.db", "CREATE TABLE IF NOT EXISTS held (body BLOB);", "held")
    connection.executemany("INSERT INTO held VALUES (?)", [(bytes(20_000),)] * 20)
    connection.execute("DELETE FROM held")
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    assert free > 20
    assert disk.give_back(connection, most) == (most < free)
    (left,) = connection.execute("PRAGMA freelist_count").fetchone()
    assert left == max(free - most, 0)
    connection.close()


@pytest.mark.parametrize("order", list(itertools.permutations(range(6)))[::37])
def test_counts_do_not_depend_on_the_order_of_arrival(order: tuple[int, ...], tmp_path: Path) -> None:
    """read and sent are the newest tally's; lost is what it counts as sent and no block it covers brought."""
    output = opened(tmp_path)
    for at, place in enumerate(order):
        output.take([BLOCKS[place]], b"%d" % at)
        if at == 3:
            output.close()
            output = opened(tmp_path)
    door = Door(tmp_path, ALL)
    assert door.accounts() == {"pump-7": Account(read=16, sent=15, published=19, healed=4, lost=3)}
    counts = {"received": 19, "published": 19, "healed": 4, "read": 16, "sent": 15, "lost": 3}
    assert output.status()["assets"] == {"pump-7": counts}
    (minute,) = door.minutes(T0, T0 + 60 * SECOND)
    assert (minute.published, minute.healed, minute.read, minute.sent) == (19, 4, 16, 15)
    output.close()
    door.close()


def test_a_healed_block_takes_back_what_was_lost(tmp_path: Path) -> None:
    """Samples missing under a tally are lost until their block comes, then they are not."""
    output = opened(tmp_path)
    output.take([rows(0, 5), tally(2, 9, 9)], b"1")
    door = Door(tmp_path, ALL)
    assert door.accounts()["pump-7"].lost == 4
    output.take([rows(1, 4, healed=True)], b"2")
    assert door.accounts()["pump-7"].lost == 0
    output.close()
    door.close()


def test_counts_sum_over_streams(tmp_path: Path) -> None:
    """Every start of the packer counts from zero; the asset's account is the sum."""
    output = opened(tmp_path)
    second = {"key": b"stream-2", "boot": BOOT + 1}
    output.take([rows(0, 5), tally(1, 6, 6), rows(0, 2, **second), tally(1, 3, 2, **second)], b"1")  # type: ignore[arg-type]
    door = Door(tmp_path, ALL)
    assert door.accounts()["pump-7"] == Account(read=9, sent=8, published=7, healed=0, lost=1)
    output.close()
    door.close()


def test_minutes_tell_each_tally_in_its_own(tmp_path: Path) -> None:
    """read and sent of a minute are what its tally counts above the one before, also when it comes late."""
    output = opened(tmp_path)
    output.take([tally(130, 30, 29), tally(10, 4, 4)], b"1")
    output.take([tally(70, 14, 13)], b"2")
    door = Door(tmp_path, ALL)
    start = T0 // (60 * SECOND) * 60 * SECOND
    told = [(minute.minute_ns, minute.read, minute.sent) for minute in door.minutes(start, start + HOUR)]
    assert told == [(start, 4, 4), (start + 60 * SECOND, 10, 9), (start + 120 * SECOND, 16, 16)]
    output.close()
    door.close()


def test_state_advances_by_the_senders_order(tmp_path: Path) -> None:
    """A healed old `down` does not overwrite a newer `up`; both are in the list, newest first."""
    output = opened(tmp_path)
    up = block(stream(), 5, StateBody(asset="pump-7", time_ns=T0, what="up", text="answers again"))
    down = block(stream(), 3, StateBody(asset="pump-7", time_ns=T0 + HOUR, what="down", text="no reply"))
    note = block(stream(), 6, StateBody(asset="pump-7", time_ns=T0, what="overrun", text="late"))
    output.take([up, note], b"1")
    output.take([down], b"2")
    door = Door(tmp_path, ALL)
    views = {view.asset.name: view for view in door.assets()}
    assert (views["pump-7"].state, views["pump-7"].state_text) == ("up", "answers again")
    assert [state.what for state in door.states("pump-7", 10)] == ["overrun", "up", "down"]
    assert [state.what for state in door.states("pump-7", 1)] == ["overrun"]
    output.close()
    door.close()


def test_an_asset_without_state_is_unknown(tmp_path: Path) -> None:
    """Until a STATE block tells, an asset is neither up nor down."""
    output = opened(tmp_path)
    output.take([rows(0, 1)], b"1")
    door = Door(tmp_path, ALL)
    (view,) = door.assets()
    assert (view.state, view.state_ns, view.tags) == ("unknown", 0, 1)
    output.close()
    door.close()


def test_events_are_told_newest_first(tmp_path: Path) -> None:
    """Events stand in the sender's order with everything they carry."""
    output = opened(tmp_path)
    made = [
        EventBody(
            asset="relay-2",
            source="ANSI 50",
            time_ns=T0,
            severity=800 + at,
            code="trip",
            text="t",
            state="active",
            sequence=at,
        )
        for at in range(4)
    ]
    output.take([block(stream(), at, made[at], received_ns=T0 + at) for at in (2, 0, 3, 1)], b"1")
    door = Door(tmp_path, ALL)
    told = door.events(3)
    assert [event.sequence for event in told] == [3, 2, 1]
    assert (told[0].severity, told[0].source, told[0].received_ns) == (803, "ANSI 50", T0 + 3)
    output.close()
    door.close()


def test_a_flood_of_events_hides_none_of_the_senders_own(tmp_path: Path) -> None:
    """What the sender said is found by an index, below however many events of devices; a scope finds nothing of it."""
    output = opened(tmp_path)

    def said(asset: str, at: int) -> EventBody:
        return EventBody(
            asset=asset, source="rec-1", time_ns=T0, severity=100, code="c", text="t", state="", sequence=at
        )

    output.take([block(stream(), at, said("" if at in (1, 3) else "relay-2", at)) for at in range(300)], b"1")
    door, cut = Door(tmp_path, ALL), Door(tmp_path, Scope(vendors=frozenset({"Acme"})))
    assert [(one.asset, one.sequence) for one in door.sender_events(9)] == [("", 3), ("", 1)]
    assert [one.sequence for one in door.sender_events(1)] == [3]
    assert not any(one.asset == "" for one in door.events(200))
    assert cut.sender_events(9) == []
    with closing(sqlite3.connect(tmp_path / "current.db")) as connection:
        (plan,) = connection.execute(f"EXPLAIN QUERY PLAN {SENDER_EVENTS}", (SENDER, 9)).fetchall()
    assert "event_asset" in plan[3]
    output.close()
    for one in (door, cut):
        one.close()


def test_place_is_kept_with_an_empty_hand_over(tmp_path: Path) -> None:
    """A hand-over without blocks moves the place; a new history has none."""
    output = opened(tmp_path)
    assert output.place() is None
    output.take([], b"moved")
    output.close()
    output = opened(tmp_path)
    assert output.place() == b"moved"
    output.close()


def test_latency_counts_blocks_that_were_not_healed(tmp_path: Path) -> None:
    """It is the time from a block's first sample to its commit; healed blocks would only tell the outage."""
    output = opened(tmp_path, T0 + SECOND // 4)
    output.take([rows(0, 1)], b"1")
    output.take([rows(1, 1, healed=True)], b"2")
    told = output.status()["latency_ms"]
    assert 250 <= told["p50"] <= 263
    assert told["p99"] == told["p50"]
    output.close()


def test_latency_quantiles_are_within_five_percent() -> None:
    """The histogram's answer is never below the true one and at most a twentieth above."""
    latency = Latency()
    delays = [random.Random(1).lognormvariate(3, 1) for _ in range(1)] + [0.5 * at for at in range(1, 2000)]
    for delay in delays:
        latency.add(delay)
    for share in (0.1, 0.5, 0.9, 0.99):
        true = sorted(delays)[int(share * len(delays)) - 1]
        told = latency.quantile(share)
        assert told is not None
        assert true * 0.999 <= told <= true * 1.06
    latency.add(-5.0)
    latency.add(1e12)
    assert Latency().quantile(0.5) is None


def retained(output: HistorianOutput, now_ns: int, keep_s: float) -> None:
    """One call of retention, with all the steps it leaves."""
    output.retain(now_ns, keep_s)
    assert any(output.step(0.0) >= 3600 for _ in range(1000))


def test_retention_drops_what_is_old_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time it is to keep, chunks, states and minutes of that time go; newer ones and hot rows stay."""
    shrink(monkeypatch)
    output = opened(tmp_path)
    now, state = T0, StateBody(asset="pump-7", time_ns=T0, what="up", text="")
    retained(output, now, 24 * 3600.0)
    blocks = some_blocks(random.Random(2), stream(), 120, 12)
    door = Door(tmp_path, ALL)
    output.take([*blocks[:60], block(stream(), 500, state)], b"1")
    assert any(output.step(0.0) >= 3600 for _ in range(100))
    old_chunks = output.status()["chunks"]
    whole = len(everything(door))
    for hour in range(1, 24):
        now = T0 + hour * HOUR
        retained(output, now, 24 * 3600.0)
    assert output.status()["dropped"] == 0
    assert len(everything(door)) == whole
    output.take([*blocks[60:], block(stream(), 501, state)], b"2")
    assert any(output.step(0.0) >= 3600 for _ in range(100))
    for hour in range(24, 28):
        now = T0 + hour * HOUR
        retained(output, now, 24 * 3600.0)
    left = everything(door)
    assert output.status()["dropped"] >= old_chunks
    assert 0 < len(left) < whole + sum(map(len, expected(blocks[60:])[0].values()))
    assert len(door.states("pump-7", 10)) == 1
    newer = {(sample.time_ns, repr(sample.value)) for sample in left}
    for one in blocks[60:]:
        assert isinstance(one.body, BatchBody)
        kept = {(row.time_ns, repr(row.value)) for row in one.body.columns.rows() if row.tag == 0 and not row.flags}
        assert kept <= newer
    output.close()
    door.close()


def everything(door: Door) -> list[SampleView]:
    """All samples of all series."""
    return [
        sample
        for asset in door.assets()
        for view in door.tags(asset.asset.name)
        for sample in door.samples(view.series, -(2**62), 2**62, None)
    ]


def test_a_month_that_is_old_is_deleted_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no newer chunk is in a month's file the file goes, an open door notices, and the name may come again."""
    shrink(monkeypatch)
    output = opened(tmp_path)
    door = Door(tmp_path, ALL)
    for start in (0, 100):
        blocks = [block(stream(), start + n, batch([Row(0, T0 + row, 1.0) for row in range(60)])) for n in range(2)]
        output.take(blocks, b"1")
        while output.step(0.0) < 3600:
            pass
        assert len(list(tmp_path.glob("????-??.db"))) == 1
        assert len(everything(door)) >= 60
        begun = T0 + start * 1000 * HOUR
        for hour in range(6):
            retained(output, begun + hour * HOUR, 2 * 3600.0)
        assert list(tmp_path.glob("????-??.db*")) == []
        assert len(everything(door)) == output.status()["hot_rows"]
    output.close()
    door.close()


def test_a_clock_that_jumps_drops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps to 2040 and back, and to 1970, age the history by an hour each at most; standing still by nothing."""
    shrink(monkeypatch)
    output = opened(tmp_path)
    output.take(some_blocks(random.Random(2), stream(), 60, 12), b"1")
    for now_ns in (T0, 2_208_988_800 * SECOND, T0, 0, T0, T0):
        retained(output, now_ns, 24 * 3600.0)
    assert output.status()["dropped"] == 0
    assert output.status()["age_s"] <= 2 * MOST_STEP_S
    output.close()
    output = opened(tmp_path)
    retained(output, T0 + 1000 * HOUR, 24 * 3600.0)
    assert output.status()["dropped"] == 0, "time in which nothing ran does not count"
    output.close()

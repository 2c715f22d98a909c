"""Polling as a whole, on virtual time: what leaves, when, and that no device hurts another."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from polling import (
    EPOCH_NS,
    Fake,
    Memory,
    VirtualLoop,
    asset_toml,
    bad_rows,
    loaded,
    poll_for,
    scripted,
    sender_toml,
    steady,
)

from collectors.base import Device, Facts, Identity, Scan
from protocol.content.sample import Columns, Flag, Quality, columns
from protocol.errors import AssetError, StoreError
from sender.poll.poller import Poller

TWO = ('name = "a", at = "0", type = "float64"', 'name = "b", at = "1", type = "float64"')


def test_each_slot_gives_one_row_a_point(tmp_path: Path) -> None:
    """A healthy device is read once a period, at equal distances, and every point has a row each time."""
    kind = scripted()
    sink = poll_for(loaded(tmp_path, sender_toml(asset_toml("pump", *TWO)), {"pump": kind}), 59.9)
    times = sorted({at for at, _, _ in sink.rows("pump")})
    assert len(times) == 60
    assert np.allclose(np.diff(times), 1.0)
    assert len(sink.rows("pump")) == 120
    assert sink.said("pump") == ["up"]
    assert [made.closed for made in kind.made] == [1]


def test_device_that_does_not_answer_is_never_silent(tmp_path: Path) -> None:
    """While a device is down each slot yields one bad row a point, with the quality and code of its trouble."""

    async def dead(_: Fake) -> None:
        raise AssetError("no route", quality=Quality.BAD_TIMEOUT, native=11)

    config = loaded(tmp_path, sender_toml(asset_toml("pump", *TWO)), {"pump": scripted(opens=dead)})
    sink = poll_for(config, 60.5)
    rows = bad_rows(sink.rows("pump"))
    assert len(rows) == len(sink.rows("pump")) == 2 * 61
    assert {(row.quality, row.native) for _, _, row in rows} == {(Quality.BAD_TIMEOUT, 11)}
    assert sink.said("pump") == ["down"]
    assert sink.status["pump"]["state"] == "down"
    assert sink.status["pump"]["bad"] == 122


def test_back_off_doubles_to_its_limit(tmp_path: Path) -> None:
    """Pauses lie between half and the whole of 1, 2, 4 .. 30 s; of 10, 20 .. 120 s for a safety system."""

    async def dead(_: Fake) -> None:
        raise AssetError("no route", quality=Quality.BAD_TIMEOUT)

    for word, first, most in (("process", 1.0, 30.0), ("safety", 10.0, 120.0)):
        kind = scripted(opens=dead)
        text = sender_toml(asset_toml("pump", *TWO, more=f'class = "{word}"'))
        poll_for(loaded(tmp_path, text, {"pump": kind}), 600)
        pauses = np.diff(kind.made[0].opened)
        whole = np.minimum(most, first * 2.0 ** np.arange(len(pauses)))
        assert (pauses <= whole + 1e-6).all()
        assert (pauses >= whole / 2 - 1e-6).all()
        assert pauses.max() > most / 2


def test_the_present_reason_of_a_device_that_is_down_is_told(tmp_path: Path) -> None:
    """In the status at once, in the log within a minute, whatever was said a second before; not again and again."""

    async def refuses(_: Fake) -> None:
        now = asyncio.get_running_loop().time()
        reason = "connection refused" if now < 1 else "too many sessions" if now < 40 else "too many subscriptions"
        raise AssetError(reason, quality=Quality.BAD_COMMUNICATION)

    config = loaded(tmp_path, sender_toml(asset_toml("pump", *TWO)), {"pump": scripted(opens=refuses)})
    sink = poll_for(config, 130)
    said = [(at, text) for at, _, what, text in sink.states if what == "down"]
    assert [text for _, text in said] == ["connection refused", "too many sessions", "too many subscriptions"]
    assert said[2][0] < 40 + 60 + 1
    assert sink.status["pump"]["trouble"] == "too many subscriptions"
    assert poll_for(config, 42 + 30).status["pump"]["trouble"] == "too many subscriptions"


def test_device_that_comes_back_is_up_again(tmp_path: Path) -> None:
    """A lost device is closed, opened again, and its good rows go on in the same slots."""

    async def sometimes(fake: Fake, scan: Scan) -> Columns:
        if 10 < asyncio.get_running_loop().time() < 20:
            raise AssetError("connection reset", quality=Quality.BAD_COMMUNICATION)
        return await steady(fake, scan)

    kind = scripted(sometimes)
    sink = poll_for(loaded(tmp_path, sender_toml(asset_toml("pump", *TWO)), {"pump": kind}), 60.5)
    assert sink.said("pump")[0] == "up"
    assert sink.said("pump")[-1] == "up"
    assert "down" in sink.said("pump")
    assert len(sink.rows("pump")) == 2 * 61
    assert {round(at % 1, 6) for at, _, _ in sink.rows("pump")} == {0.0}
    assert len(bad_rows(sink.rows("pump"))) >= 2 * 9


def test_what_was_read_before_a_device_was_lost_is_kept(tmp_path: Path) -> None:
    """Its rows of that pass are handed on, it is down at once, and opened again after the back-off."""

    class Breaks(scripted()):  # type: ignore[misc]
        def lost(self) -> AssetError | None:
            return AssetError("hung up", quality=Quality.BAD_TIMEOUT) if self.clock() > EPOCH_NS + 9 * 10**9 else None

    text = sender_toml(asset_toml("pump", *TWO))
    sink = poll_for(loaded(tmp_path, text, {"pump": Breaks}), 20.5)
    assert sink.said("pump") == ["up", "down"]
    good = [at for at, _, row in sink.rows("pump") if row.quality == Quality.GOOD]
    assert sum(at > 9.5 for at in good) >= 2
    assert {row.quality for _, _, row in bad_rows(sink.rows("pump"))} == {Quality.BAD_TIMEOUT}
    assert len(sink.rows("pump")) == 2 * 21
    assert len(Breaks.made[0].opened) > 2


def test_what_has_no_values_in_a_healthy_device_is_a_warning(tmp_path: Path) -> None:
    """As long as it is so; its collector says what and why."""
    told = ["read 7 (a) no reply within 1 s: set aside"]

    class Ails(scripted()):  # type: ignore[misc]
        def troubles(self) -> list[str]:
            return told if self.clock() < EPOCH_NS + 30 * 10**9 else []

    config = loaded(tmp_path, sender_toml(asset_toml("pump", *TWO)), {"pump": Ails})
    assert poll_for(config, 20.5).warnings == [f"pump: {told[0]}"]
    assert poll_for(config, 40.5).warnings == []


def test_no_collector_can_end_or_delay_polling(tmp_path: Path) -> None:
    """Whatever a collector raises or returns is bad rows of its own device; the good one beside it keeps its slots."""
    loops: list[Any] = []

    async def divides(fake: Fake, scan: Scan) -> Columns:
        return columns([0], 1 // (fake.clock() - fake.clock()), [1.0])

    async def cancels(_: Fake, __: Scan) -> Columns:
        raise asyncio.CancelledError

    async def nothing(_: Fake, __: Scan) -> None:
        return None

    async def strange(fake: Fake, _: Scan) -> Columns:
        return columns([0, 7], fake.clock(), [1.0, 2.0])

    async def torn(fake: Fake, scan: Scan) -> Columns:
        rows = await steady(fake, scan)
        return Columns(**{name: getattr(rows, name) for name in Columns.__slots__} | {"floats": np.zeros(1)})

    async def untyped(fake: Fake, scan: Scan) -> Columns:
        rows = await steady(fake, scan)
        return Columns(**{name: getattr(rows, name) for name in Columns.__slots__} | {"kind": None})

    async def hangs(_: Fake, __: Scan) -> Columns:
        await asyncio.Event().wait()
        raise AssertionError

    async def blocks_open(_: Fake) -> None:
        await asyncio.Event().wait()

    class Unbuilt(Fake):
        made = loops

        def __init__(self, *_: object, **__: object) -> None:
            raise TypeError("cannot be built")

    bad: dict[str, type[Fake]] = {
        "divides": scripted(divides),
        "cancels": scripted(cancels),
        "nothing": scripted(nothing),
        "strange": scripted(strange),
        "torn": scripted(torn),
        "untyped": scripted(untyped),
        "unbuilt": Unbuilt,
        "blocks": scripted(opens=blocks_open),
    }
    kinds = {"good": scripted(), "hangs": scripted(hangs), **bad}
    config = loaded(tmp_path, sender_toml("".join(asset_toml(name, *TWO) for name in kinds)), kinds)
    sink = poll_for(config, 59.9)
    times = [at for at, name, _ in sink.rows("good") if name == "a"]
    assert len(times) == 60
    assert np.allclose(np.diff(times), 1.0)
    for name in bad:
        rows = sink.rows(name)
        assert len(bad_rows(rows)) == len(rows) >= 2 * 55, name
        assert sink.status[name]["state"] == ("starting" if name == "blocks" else "down")
    assert sink.said("divides")[0] == "down"
    assert "ZeroDivisionError" in next(text for _, who, _, text in sink.states if who == "divides")


def test_collector_that_hangs_for_ever_is_left_alone(tmp_path: Path) -> None:
    """A read that never returns and ignores its cancellation is given up, and its collector never called again."""

    async def stubborn(fake: Fake, scan: Scan) -> Columns:
        while len(type(fake).made) == 1:
            try:
                await asyncio.sleep(10_000)
            except asyncio.CancelledError:
                if asyncio.get_running_loop().time() > 400:
                    raise
        return await steady(fake, scan)

    kind = scripted(stubborn)
    sink = poll_for(loaded(tmp_path, sender_toml(asset_toml("pump", *TWO)), {"pump": kind}), 500)
    assert len(kind.made) == 2
    assert len(kind.made[0].read_at) == 1
    assert sink.said("pump", "up", "down") == ["down", "up"]
    assert any(row.quality == Quality.BAD_TIMEOUT for _, _, row in sink.rows("pump"))


def test_slow_read_skips_slots_and_says_so_once_a_minute(tmp_path: Path) -> None:
    """A read longer than its period is an overrun; slots that pass meanwhile are given up and counted, not queued."""

    async def slow(fake: Fake, scan: Scan) -> Columns:
        await asyncio.sleep(2.7)
        return await steady(fake, scan)

    kind = scripted(slow)
    sink = poll_for(loaded(tmp_path, sender_toml(asset_toml("pump", *TWO)), {"pump": kind}), 119)
    starts = [at for at, _ in kind.made[0].read_at]
    assert np.allclose(np.diff(starts), 3.0)
    assert sink.status["pump"]["overruns"] == len(starts) - 1, "the last read was not over yet"
    assert sink.status["pump"]["skipped"] == 2 * (len(starts) - 2)
    assert len(sink.said("pump", "overrun")) == 2


def test_fast_scan_keeps_its_period_beside_a_slow_one(tmp_path: Path) -> None:
    """Scans of one device share a connection; the shorter period goes first and loses no slot to the longer."""
    text = asset_toml("pump", TWO[0], every="100ms") + f'[[asset.scan]]\nevery = "1s"\ntags = [{{ {TWO[1]} }}]\n'

    async def brief(fake: Fake, scan: Scan) -> Columns:
        await asyncio.sleep(0.03)
        return await steady(fake, scan)

    sink = poll_for(loaded(tmp_path, sender_toml(text), {"pump": scripted(brief)}), 9.99)
    names = [name for _, name, _ in sink.rows("pump")]
    assert (names.count("a"), names.count("b")) == (100, 10)
    assert sink.status["pump"]["skipped"] == 0


def test_point_that_a_poll_left_out_has_a_bad_row(tmp_path: Path) -> None:
    """A collector that forgets a point cannot make it vanish."""

    async def forgets(fake: Fake, scan: Scan) -> Columns:
        return (await steady(fake, scan)).select(np.array([0]))

    sink = poll_for(loaded(tmp_path, sender_toml(asset_toml("pump", *TWO)), {"pump": scripted(forgets)}), 9.9)
    quality = {name: {row.quality for _, who, row in sink.rows("pump") if who == name} for name in "ab"}
    assert quality == {"a": {0}, "b": {int(Quality.BAD_NO_DATA)}}


def test_type_found_at_the_device_gets_a_new_id(tmp_path: Path) -> None:
    """A device that was never reached has float64 tags; the types it names later are new ids, used by the good rows."""

    async def late(_: Fake) -> None:
        if asyncio.get_running_loop().time() < 5:
            raise AssetError("no route", quality=Quality.BAD_TIMEOUT)

    facts = {0: Facts(type="int16", unit="bar", description="pressure", low=0.0, high=10.0, states=())}
    kind = scripted(opens=late, facts=facts, identity=Identity(vendor="Acme", firmware="4.1", serial="7"))
    text = sender_toml(asset_toml("pump", 'name = "a", at = "0"', TWO[1], more='serial = "8"'))
    sink = poll_for(loaded(tmp_path, text, {"pump": kind}), 30)
    tags = [tag for tag in sink.tags.values() if tag.name == "a"]
    assert [(tag.type, tag.unit, tag.high) for tag in tags] == [("float64", "", None), ("int16", "bar", 10.0)]
    assert {row.tag for _, name, row in sink.rows("pump") if name == "a" and not row.quality} == {tags[1].id}
    assert len([tag for tag in sink.tags.values() if tag.name == "b"]) == 1
    assert (sink.assets["pump"].firmware, sink.assets["pump"].serial) == ("4.1", "8")
    assert sink.said("pump") == ["down", "note", "up"]


def test_device_that_is_there_needs_no_guessed_type(tmp_path: Path) -> None:
    """Types that only the device knows are asked for before anything is described."""
    kind = scripted(facts={0: Facts(type="int16"), 1: Facts(type="bool")})
    text = sender_toml(asset_toml("pump", 'name = "a", at = "0"', 'name = "b", at = "1"'))
    sink = poll_for(loaded(tmp_path, text, {"pump": kind}), 5)
    assert sorted(tag.type for tag in sink.tags.values()) == ["bool", "int16"]


def test_subscription_stays_fresh_without_notifications(tmp_path: Path) -> None:
    """What is notified leaves; a quiet point is repeated once in its max_silence, as a refresh that counts nowhere."""

    async def quiet(fake: Fake, scan: Scan) -> Columns:
        first = len(fake.read_at) == 1
        return columns([0, 0, 1] if first else [], fake.clock(), [1.0, 2.0, 3.0] if first else [])

    kind = scripted(quiet, subscribes=True)
    tags = (TWO[0], TWO[1] + ', max_silence = "20s"')
    sink = poll_for(loaded(tmp_path, sender_toml(asset_toml("pump", *tags)), {"pump": kind}), 100)
    new = [(name, row.value) for _, name, row in sink.rows("pump") if not row.flags]
    assert new == [("a", 1.0), ("a", 2.0), ("b", 3.0)]
    again = [(at, name, row) for at, name, row in sink.rows("pump") if row.flags & Flag.REFRESH]
    assert {(name, row.value) for _, name, row in again} == {("a", 2.0), ("b", 3.0)}
    assert [round(at) for at, name, _ in again if name == "b"] == [20, 40, 60, 80]
    assert [round(at) for at, name, _ in again if name == "a"] == [60]
    assert all(row.time_ns > row.other_ns >= EPOCH_NS for _, _, row in again)
    assert sink.status["pump"]["read"] == 3


def test_lost_subscription_is_bad_at_once_and_not_at_every_slot(tmp_path: Path) -> None:
    """A subscribed device that is lost: one bad row a point, then refreshes of it; unchanged rows are held back."""

    async def lost(fake: Fake, scan: Scan) -> Columns:
        if asyncio.get_running_loop().time() > 5:
            raise AssetError("gone", quality=Quality.BAD_COMMUNICATION)
        return columns([], fake.clock(), [])

    async def once(fake: Fake) -> None:
        if len(fake.opened) > 1:
            raise AssetError("gone", quality=Quality.BAD_COMMUNICATION)

    kind = scripted(lost, opens=once, subscribes=True)
    sink = poll_for(loaded(tmp_path, sender_toml(asset_toml("pump", *TWO)), {"pump": kind}), 100)
    rows = bad_rows(sink.rows("pump"))
    assert [(name, row.flags) for _, name, row in rows] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert sink.status["pump"]["held_back"] > 100


def test_device_of_a_subscribing_protocol_may_be_polled(tmp_path: Path) -> None:
    """Where the device says that its reads are polls, each poll is sent and a point left out is bad."""

    async def half(fake: Fake, scan: Scan) -> Columns:
        return columns([0], fake.clock(), [1.0])

    class Polled(scripted(half, subscribes=True)):  # type: ignore[misc]
        @classmethod
        def notifies(cls, device: Device) -> bool:
            return False

    sink = poll_for(loaded(tmp_path, sender_toml(asset_toml("pump", *TWO)), {"pump": Polled}), 9.9)
    assert sink.status["pump"]["read"] == 20
    assert len(bad_rows(sink.rows("pump"))) == 10
    assert {tag.max_silence_s for tag in sink.tags.values()} == {1.0}


def test_deadband_thins_what_hardly_moves(tmp_path: Path) -> None:
    """Read = what left; what was within the deadband is counted as held back, and refreshes count nowhere."""

    async def wobble(fake: Fake, scan: Scan) -> Columns:
        step = len(fake.read_at)
        return columns([0, 1], fake.clock(), [5.0 + 0.001 * (step % 2), 5.0])

    tags = (TWO[0] + ", deadband = 0.01", TWO[1] + ', deadband = 0, max_silence = "10s"')
    sink = poll_for(loaded(tmp_path, sender_toml(asset_toml("pump", *tags)), {"pump": scripted(wobble)}), 59.9)
    assert sink.status["pump"]["read"] == 2
    refreshed = [name for _, name, row in sink.rows("pump") if row.flags & Flag.REFRESH]
    assert refreshed == ["b"] * 5
    assert sink.status["pump"]["held_back"] == 120 - 2 - 5


def test_refusals_come_from_any_thread_and_are_said_once_a_minute(tmp_path: Path) -> None:
    """The guard may refuse in a collector's own thread; each is counted, the first is told at once."""

    async def tries(fake: Fake, scan: Scan) -> Columns:
        thread = threading.Thread(target=fake.refused, args=("pump: function 6 was not sent",))
        thread.start()
        thread.join()
        return await steady(fake, scan)

    sink = poll_for(loaded(tmp_path, sender_toml(asset_toml("pump", *TWO)), {"pump": scripted(tries)}), 70.5)
    assert sink.status["pump"]["refused"] == 71
    assert len(sink.said("pump", "refused")) == 2
    assert "function 6" in next(text for _, _, what, text in sink.states if what == "refused")


def test_failing_store_ends_polling_with_its_own_error(tmp_path: Path) -> None:
    """A StoreError of the sink comes out as itself, and every collector is closed first."""

    class Full(Memory):
        def samples(self, asset: str, columns: Columns, read: int) -> None:
            if self.loop.time() > 3:
                raise StoreError("input/output error")

    kind = scripted()
    config = loaded(
        tmp_path, sender_toml(asset_toml("pump", *TWO) + asset_toml("fan", *TWO, collector="pump")), {"pump": kind}
    )

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await Poller(config, Full(loop), monotonic=loop.time).run()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(StoreError, match="input/output"):
        runner.run(main())
    assert [made.closed for made in kind.made] == [1, 1]


def test_ten_thousand_tags_a_second_cost_little(tmp_path: Path) -> None:
    """10,000 tags at 1 Hz, half with deadband, take under a tenth of a core from collector to sink."""
    tags = [f'name = "t{i}", at = "{i}", type = "float64"' + ", deadband = 0.5" * (i % 2) for i in range(10_000)]
    config = loaded(tmp_path, sender_toml(asset_toml("pump", *tags)), {"pump": scripted()})

    class Light(Memory):
        def samples(self, asset: str, columns: Columns, read: int) -> None:
            self.read[asset] = self.read.get(asset, 0) + read

    spent: list[float] = []
    taken: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sink = Light(loop)
        poller = Poller(config, sink, clock=lambda: EPOCH_NS + round(loop.time() * 1e9), monotonic=loop.time)
        task = asyncio.create_task(poller.run())
        await asyncio.sleep(0.5)
        begun = time.process_time()
        await asyncio.sleep(20)
        spent.append((time.process_time() - begun) / 20)
        taken.append(sink.read["pump"])
        task.cancel()
        await asyncio.wait({task})

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())
    assert taken == [21 * 10_000]
    assert spent[0] < 0.1, f"{1000 * spent[0]:.1f} ms a second"


def test_array_elements_are_tags_of_their_own(tmp_path: Path) -> None:
    """An array of three is read whole and described as name[0] to name[2]."""
    text = sender_toml(asset_toml("pump", TWO[0] + ", count = 3", TWO[1]))
    sink = poll_for(loaded(tmp_path, text, {"pump": scripted()}), 1.5)
    assert [tag.name for tag in sink.tags.values()] == ["a[0]", "a[1]", "a[2]", "b"]
    assert [tag.address for tag in sink.tags.values()] == ["0[0]", "0[1]", "0[2]", "1"]


def test_configuration_is_stated_first(tmp_path: Path) -> None:
    """The first state names the configuration by its hash and size."""
    config = loaded(tmp_path, sender_toml(asset_toml("pump", *TWO)), {"pump": scripted()})
    sink = poll_for(config, 1)
    _, asset, what, text = sink.states[0]
    assert (asset, what) == ("", "configuration")
    assert config.digest in text
    assert "1 asset, 2 tags" in text


def test_what_a_device_says_later_is_described_before_its_rows(tmp_path: Path) -> None:
    """A node that appeared, a type that was not known: the sink asserts that no row comes before its description."""
    told: dict[int, Facts] = {0: Facts(type="float64")}

    class Learning(scripted(facts=told)):  # type: ignore[misc]
        """Knows the second point's unit after five reads."""

        def relearned(self) -> bool:
            if len(self.read_at) != 5:
                return False
            told[1] = Facts(type="float64", unit="bar")
            return True

    tags = ('name = "a", at = "0"', 'name = "b", at = "1"')
    sink = poll_for(loaded(tmp_path, sender_toml(asset_toml("pump", *tags)), {"pump": Learning}), 9.5)
    assert [(tag.name, tag.unit) for tag in sink.tags.values()] == [("a", ""), ("b", ""), ("b", "bar")]
    units = [sink.tags[row.tag].unit for _, name, row in sink.rows("pump") if name == "b"]
    assert units == [""] * 4 + ["bar"] * 6


def test_a_certificate_near_its_end_is_told_once_in_the_stream_and_for_long_in_the_status(tmp_path: Path) -> None:
    """With its asset and its date, however often the device comes and goes; one that ends later is no news."""
    day = 86_400 * 10**9

    async def comes_and_goes(fake: Fake, scan: Scan) -> Columns:
        if len(fake.read_at) % 5 == 0:
            raise AssetError("gone", quality=Quality.BAD_NOT_CONNECTED)
        return await steady(fake, scan)

    soon, far, over = scripted(comes_and_goes), scripted(), scripted()
    soon.held = {"certificate own.der": EPOCH_NS + 20 * day, "the server's certificate": EPOCH_NS + 300 * day}
    far.held, over.held = {"authority ca.pem": EPOCH_NS + 31 * day}, {"the server's certificate": EPOCH_NS - day}
    assets = [asset_toml(name, *TWO, collector=name) for name in ("pump", "fan", "old")]
    sink = poll_for(loaded(tmp_path, sender_toml("".join(assets)), {"pump": soon, "fan": far, "old": over}), 200)
    assert len(soon.made[0].opened) > 5
    notes = {asset: said for _, asset, what, said in sink.states if what == "note"}
    assert len([1 for _, _, what, _ in sink.states if what == "note"]) == len(notes) == 2
    assert notes["pump"].startswith("certificate own.der ends on 2023-12-04, in 20 d: have a new one made")
    assert notes["old"].startswith("the server's certificate ended on 2023-11-13: have a new one made")
    assert sorted(line.split(":")[0] for line in sink.warnings) == ["old", "pump"]
    assert sink.certificate_s == pytest.approx(-86_400 - 200)
    assert "certificates" not in sink.status["pump"]

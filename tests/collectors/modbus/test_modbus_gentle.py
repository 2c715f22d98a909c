"""What a Modbus device is never asked, how slowly a gentle one is, and what `discover` reads of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modbus_peer import Asked, Peer, illegal, register

from collectors.base import Device, numbered
from collectors.guard import WriteRefused
from collectors.modbus.address import Range, Table, parse_range
from collectors.modbus.collector import ModbusCollector
from collectors.modbus.config import load, mistakes
from collectors.modbus.plan import reads
from collectors.modbus.replies import Question
from protocol.content.sample import Quality
from protocol.errors import ConfigError

LAW = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def device(url: str, *ats: str, never: tuple[str, ...] = (), kind: str = "process", **more: Any) -> Device:
    """A device with a 16-bit tag at each address."""
    tags = [{"name": at, "at": at, "type": "uint16"} for at in ats]
    known = {key: more.pop(key) for key in ("requests_s", "timeout_s") if key in more}
    return Device(
        name="relay", url=url, kind=kind, settings=more, scans=numbered([(1.0, tags)]), never_read=never, **known
    )


def collector(made: Device) -> ModbusCollector:
    """A collector whose refusals fail the test."""

    def refused(line: str) -> None:
        raise AssertionError(line)

    return ModbusCollector(made, clock=time.time_ns, refused=refused)


@pytest.mark.parametrize(
    ("text", "table", "first", "last"),
    [
        ("holding:100-199", Table.HOLDING, 100, 199),
        ("40101-40200", Table.HOLDING, 100, 199),
        ("400101-400200", Table.HOLDING, 100, 199),
        ("coil:7", Table.COIL, 7, 7),
        ("input:0-65535", Table.INPUT, 0, 65535),
    ],
)
def test_a_range_has_both_its_ends(text: str, table: Table, first: int, last: int) -> None:
    """In every notation of an address."""
    assert parse_range(text) == Range(table, first, last)


@pytest.mark.parametrize(
    "text", ["", "holding", "holding:9-8", "holding:5.1", "holding:1-5.1", "40101-30200", "holding:1-", "a-b"]
)
def test_no_range_is_guessed(text: str) -> None:
    """A range of one table, low to high, of whole addresses."""
    assert parse_range(text) is None


@LAW
@given(
    st.sets(st.integers(0, 120), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 4)), max_size=5),
    st.integers(0, 40),
)
def test_no_read_touches_what_must_never_be_read(wanted: set[int], fences: list[tuple[int, int]], gap: int) -> None:
    """Whatever gap may be read over; and every address that was asked for and is allowed is still read."""
    never = tuple(f"holding:{first}-{first + more}" for first, more in fences)
    forbidden = {at for first, more in fences for at in range(first, first + more + 1)}
    allowed = sorted(wanted - forbidden)
    config = load(device("tcp://h", *(f"holding:{at}" for at in allowed), never=never, max_gap=gap))
    plan = reads(config.scans[0], config)
    assert not forbidden & {at for read in plan for at in range(read.start, read.start + read.count)}
    assert sorted(item.address for read in plan for item in read.items) == allowed


def test_a_tag_in_a_forbidden_range_is_a_mistake() -> None:
    """Also one that only reaches into it; and a range that is none is named too."""
    made = device("tcp://h", "holding:5", "40007", never=("holding:6-9", "register nine"))
    assert [line.partition(":")[0] for line in mistakes(made)] == ["never_read", "tags.40007.at"]
    wide = replace(made, scans=numbered([(1.0, [{"name": "w", "at": "holding:5", "type": "uint32"}])]))
    assert [line.partition(":")[0] for line in mistakes(wide)] == ["never_read", "tags.w.at"]


def test_the_guard_stops_a_forbidden_read_whatever_the_plan_says() -> None:
    """A mistake above the library costs no byte on the wire."""

    async def main() -> None:
        async with Peer() as peer:
            lines: list[str] = []
            made = device(peer.url, "holding:0", never=("holding:50-59",), kind="safety")
            plc = ModbusCollector(made, clock=time.time_ns, refused=lines.append)
            await plc.open()
            await plc.read(made.scans[0])
            before = peer.received
            assert plc._line is not None
            client = plc._line.client
            assert client is not None
            for start, count in ((50, 1), (45, 6), (59, 1), (40, 60)):
                with pytest.raises(WriteRefused):
                    await client.read_holding_registers(start, count=count, device_id=1)
            assert peer.received == before
            assert len(lines) == 4
            assert "never_read holding:50-59" in lines[0]
            for pdu in (b"\3\0\x3c\0\1", b"\4\0\x32\0\1"):
                allowed = Question(unit=1, pdu=pdu, size=2, reply_unit=1)
                assert (await plc._line.ask(allowed, plc._user))[0] == pdu[0]
            await plc.close()

    asyncio.run(main())


def test_a_gentle_device_is_never_asked_faster_than_its_budget() -> None:
    """Twelve blocks on a budget of ten a second: the first ten at once, the others a tenth of a second apart."""

    async def main() -> None:
        async with Peer() as peer:
            ats = [f"holding:{10 * at}" for at in range(12)]
            made = device(peer.url, *ats, kind="protection", requests_s=10.0)
            plc = collector(made)
            await plc.open()
            begun = time.monotonic()
            await plc.read(made.scans[0])
            assert time.monotonic() - begun >= 0.19
            assert len(peer.asked) == 12
            assert peer.connections == 1
            await plc.close()

    asyncio.run(main())


def test_a_weak_device_is_left_alone_after_the_connection_and_between_scans() -> None:
    """The pause holds between any two requests, not only those of one scan."""

    async def main() -> None:
        async with Peer() as peer:
            made = device(peer.url, "holding:0", kind="safety", pause_ms=60, connect_pause_ms=80)
            plc = collector(made)
            begun = time.monotonic()
            await plc.open()
            await plc.read(made.scans[0])
            assert time.monotonic() - begun >= 0.08
            await plc.read(made.scans[0])
            assert time.monotonic() - begun >= 0.14
            await plc.close()

    asyncio.run(main())


def test_a_culprit_is_reported_when_it_is_set_aside_and_when_it_is_back() -> None:
    """One line each, with the tag's name; not one a pass."""

    async def main() -> None:
        async with Peer(fault=illegal(3)) as peer:
            made = device(peer.url, *(f"holding:{at}" for at in range(8)))
            plc = collector(made)
            await plc.open()
            said: list[str] = []
            for _ in range(8):
                await plc.read(made.scans[0])
                said += plc.remarks()
            assert len(said) == 1
            assert "holding:3" in said[0]
            assert "exception 2" in said[0]
            peer.fault = None
            (blocks,) = plc._blocks.values()
            for aside in blocks._aside.values():
                aside.again_ns = 0  # an hour has passed
            await plc.read(made.scans[0])
            (line,) = plc.remarks()
            assert "answered again" in line
            assert not plc.remarks()
            await plc.close()

    asyncio.run(main())


def test_discover_reads_typed_ranges_and_nothing_else() -> None:
    """A tag an address, as it stands; a refused address costs itself; what must never be read is left out."""

    async def main() -> None:
        async with Peer(fault=illegal(12)) as peer:
            made = device(peer.url, never=("holding:15-16",))
            plc = collector(made)
            await plc.open()
            peer.asked.clear()
            draft = await plc.discover(["holding:10-19", "10001-10003"])
            ats = [tag["at"] for tag in draft.tags]
            assert ats == [f"holding:{at}" for at in (10, 11, 13, 14, 17, 18, 19)] + [
                f"discrete:{at}" for at in range(3)
            ]
            assert draft.tags[0]["description"] == f"0x{register(10):04X} when it was looked at"
            touched = {(one.function, at) for one in peer.asked for at in range(one.start, one.start + one.count)}
            assert touched <= {(3, at) for at in (10, 11, 12, 13, 14, 17, 18, 19)} | {(2, at) for at in range(3)}
            assert any("holding 12..12: exception 2" in note for note in draft.notes)
            with pytest.raises(ConfigError, match="no range"):
                await plc.discover(["everything"])
            await plc.close()

    asyncio.run(main())


def test_discover_halves_a_block_that_is_answered_short() -> None:
    """A device that knows no replies of more than four registers is drafted whole."""

    def short(asked: Asked) -> bytes | None:
        return asked.frame(bytes([3, 8]) + asked.data[:8]) if asked.function == 3 and asked.count > 4 else None

    async def main() -> None:
        async with Peer(fault=short) as peer:
            plc = collector(device(peer.url))
            await plc.open()
            draft = await plc.discover(["holding:0-19"])
            assert [tag["at"] for tag in draft.tags] == [f"holding:{at}" for at in range(20)]
            await plc.close()

    asyncio.run(main())


def test_discover_gives_up_where_a_device_refuses_everything() -> None:
    """It is not asked for each of thousands of addresses."""

    async def main() -> None:
        async with Peer(fault=lambda asked: asked.exception(2) if asked.function == 3 else None) as peer:
            plc = collector(device(peer.url))
            await plc.open()
            draft = await plc.discover(["holding:0-9999"])
            assert draft.tags == ()
            assert len(peer.asked) <= 64
            assert any("given up" in note for note in draft.notes)
            await plc.close()

    asyncio.run(main())


def test_discover_does_not_search_inside_a_gentle_device() -> None:
    """A refused block is noted and left."""

    async def main() -> None:
        async with Peer(fault=illegal(4)) as peer:
            plc = collector(device(peer.url, kind="safety", requests_s=100.0))
            await plc.open()
            draft = await plc.discover(["holding:0-9", "holding:20-21"])
            assert [tag["at"] for tag in draft.tags] == ["holding:20", "holding:21"]
            assert [str(one) for one in peer.asked] == ["read holding 0..9", "read holding 20..21"]
            await plc.close()

    asyncio.run(main())


def test_a_step_of_the_wall_clock_neither_hurries_nor_delays_a_retry() -> None:
    """What is set aside waits by the clock that only goes forward."""

    async def main() -> None:
        async with Peer(fault=illegal(0)) as peer:
            now = [10**18]
            made = device(peer.url, "holding:0")
            plc = ModbusCollector(made, clock=lambda: now[0], refused=print)
            await plc.open()
            await plc.read(made.scans[0])
            peer.asked.clear()
            for step in (3600, -7200):
                now[0] += step * 10**9
                (row,) = (await plc.read(made.scans[0])).rows()
                assert (row.quality, row.native) == (Quality.BAD_CONFIGURATION, 2)
            assert not peer.asked
            await plc.close()

    asyncio.run(main())

"""The plan asks for what was typed, in as few requests as its limits allow, and never splits a value."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.base import Device, numbered
from collectors.modbus.collector import ModbusCollector
from collectors.modbus.config import Config, load
from collectors.modbus.plan import Read, reads

LAW = settings(max_examples=50, deadline=None, derandomize=True, database=None)

TYPES = {"uint16": 1, "float32": 2, "float64": 4}

TAGS = st.lists(
    st.one_of(
        st.tuples(st.just("holding"), st.integers(0, 300), st.sampled_from(sorted(TYPES))),
        st.tuples(st.just("coil"), st.integers(0, 300), st.just("bool")),
    ),
    max_size=60,
)


def config_of(tags: list[dict[str, Any]], **settings: Any) -> Config:
    """The configuration of one scan."""
    return load(Device(name="d", url="tcp://h", kind="process", settings=settings, scans=numbered([(1.0, tags)])))


def planned(places: list[tuple[str, int, str]], **settings: Any) -> tuple[Config, list[Read]]:
    """The plan of tags given as (table, address, type)."""
    tags = [{"name": f"t{i}", "at": f"{table}:{at}", "type": kind} for i, (table, at, kind) in enumerate(places)]
    config = config_of(tags, **settings)
    return config, reads(config.scans[0], config)


@LAW
@given(TAGS, st.integers(0, 20), st.integers(4, 125), st.integers(1, 2000))
def test_every_value_is_whole_in_exactly_one_read(
    places: list[tuple[str, int, str]], gap: int, registers: int, bits: int
) -> None:
    """Never split, never twice, never left out, never over the device's limits."""
    config, plan = planned(places, max_gap=gap, max_registers=registers, max_bits=bits)
    served = sorted(item.number for read in plan for item in read.items)
    assert served == [item.number for item in config.scans[0]]
    for read in plan:
        assert read.count <= (bits if read.table.bits else registers)
        assert all(read.start <= item.address and item.end <= read.start + read.count for item in read.items)


@LAW
@given(TAGS)
def test_without_a_gap_no_address_is_read_that_nobody_asked_for(places: list[tuple[str, int, str]]) -> None:
    """An address that is not in the list can be one that must not be read."""
    _, plan = planned(places)
    wanted = {(table, at + i) for table, at, kind in places for i in range(TYPES.get(kind, 1))}
    assert {(read.table.value, read.start + i) for read in plan for i in range(read.count)} == wanted


@LAW
@given(TAGS, st.integers(1, 20))
def test_a_gap_is_never_wider_than_allowed(places: list[tuple[str, int, str]], gap: int) -> None:
    """Between two values of a read lie at most `max_gap` addresses."""
    _, plan = planned(places, max_gap=gap)
    for read in plan:
        end = read.start
        for item in read.items:
            assert item.address - end <= gap
            end = max(end, item.end)


@LAW
@given(st.lists(st.integers(0, 40), min_size=1, max_size=9, unique=True), st.integers(0, 4), st.integers(1, 12))
def test_no_plan_with_fewer_reads_exists(addresses: list[int], gap: int, limit: int) -> None:
    """Compared with trying every way to cut the sorted addresses."""
    _, plan = planned([("holding", at, "uint16") for at in addresses], max_gap=gap, max_registers=limit)
    ordered = sorted(addresses)
    fewest = [0]
    for end in range(1, len(ordered) + 1):
        ways = []
        for begin in range(end):
            part = ordered[begin:end]
            near = all(after - before - 1 <= gap for before, after in pairwise(part))
            if near and part[-1] - part[0] < limit:
                ways.append(fewest[begin] + 1)
        fewest.append(min(ways))
    assert len(plan) == fewest[-1]


def test_a_thousand_coils_and_a_register_take_two_reads() -> None:
    """Bits and registers have limits of their own."""
    config = config_of([{"name": "c", "at": "coil:0", "count": 2000}, {"name": "r", "at": "40001", "type": "int16"}])
    assert [str(read) for read in reads(config.scans[0], config)] == ["read coil 0..1999", "read holding 0..0"]


def test_the_plan_counts_points_and_bytes_of_each_request() -> None:
    """Sizes are those of a capture: 12 bytes ask for registers, 9 + 2n answer; RTU has shorter frames."""
    tags = [{"name": "a", "at": "holding:0", "type": "float32", "count": 5}, {"name": "c", "at": "coil:0", "count": 9}]

    def sizes(**settings: Any) -> list[tuple[str, float, int, int, int]]:
        made = Device(name="d", url="tcp://h", kind="process", settings=settings, scans=numbered([(2.0, tags)]))
        plan = ModbusCollector.plan(made)
        return [(one.what, one.every_s, one.points, one.request_bytes, one.reply_bytes) for one in plan]

    assert sizes() == [("read coil 0..8", 2.0, 9, 12, 11), ("read holding 0..9", 2.0, 5, 12, 29)]
    assert sizes(framing="rtu") == [("read coil 0..8", 2.0, 9, 8, 7), ("read holding 0..9", 2.0, 5, 8, 25)]


def test_a_tag_can_be_read_alone() -> None:
    """Its neighbours share a request without it; an array of one tag stays whole."""
    tags: list[dict[str, Any]] = [
        {"name": "a", "at": "holding:0", "type": "uint16"},
        {"name": "b", "at": "holding:1", "type": "uint16", "count": 2, "alone": True},
        {"name": "c", "at": "holding:3", "type": "uint16"},
        {"name": "d", "at": "holding:4", "type": "float32"},
        {"name": "e", "at": "coil:0", "alone": True},
        {"name": "f", "at": "coil:1"},
    ]

    def plan(**settings: Any) -> list[str]:
        config = config_of(tags, **settings)
        return sorted(str(read) for read in reads(config.scans[0], config))

    alone = ["read coil 0..0", "read coil 1..1", "read holding 0..0", "read holding 1..2", "read holding 3..5"]
    assert plan() == alone
    assert plan(max_gap=4) == ["read coil 0..0", "read coil 1..1", "read holding 0..5", "read holding 1..2"]
    each = ["read coil 0..0", "read coil 1..1", "read holding 0..0", "read holding 1..2"]
    assert plan(one_request_a_tag=True, max_gap=4) == [*each, "read holding 3..3", "read holding 4..5"]

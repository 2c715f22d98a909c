"""One illegal address costs itself only, and not for ever."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.base import Device, numbered
from collectors.modbus.config import load
from collectors.modbus.isolate import FIRST_WAIT_NS, LONGEST_WAIT_NS, Blocks
from collectors.modbus.plan import Read, reads

LAW = settings(max_examples=50, deadline=None, derandomize=True, database=None)

SECOND = 10**9


class Plant:
    """A device with illegal addresses, polled once a second of a clock that only this test moves."""

    def __init__(self, addresses: list[int], illegal: set[int], *, isolate: bool = True, gap: int = 0) -> None:
        tags = [{"name": f"t{at}", "at": f"holding:{at}", "type": "uint16"} for at in addresses]
        settings = {"max_gap": gap}
        made = Device(name="d", url="tcp://h", kind="process", settings=settings, scans=numbered([(1.0, tags)]))
        config = load(made)
        self.blocks = Blocks(reads(config.scans[0], config), isolate=isolate)
        self.illegal = illegal
        self.longest = 125
        self.code = 2
        self.now = 0

    def cycle(self) -> tuple[set[int], list[Read]]:
        """Addresses that were served, and what was asked."""
        good, asked = set(), self.blocks.due(self.now)
        resting = [read for read, _ in self.blocks.resting(self.now)]
        everything = sorted(item.number for read in (*asked, *resting) for item in read.items)
        assert everything == sorted(set(everything)), "a point has two rows"
        self.points = len(everything)
        for read in asked:
            covered = set(range(read.start, read.start + read.count))
            if covered & self.illegal or read.count > self.longest:
                self.blocks.refused(read, self.code, self.now)
            else:
                self.blocks.served(read)
                good |= {item.address for item in read.items}
        self.now += SECOND
        return good, asked

    def settle(self, cycles: int = 12) -> set[int]:
        """What is served after some cycles."""
        for _ in range(cycles):
            good, _ = self.cycle()
        return good


@LAW
@given(st.sets(st.integers(0, 60), min_size=1), st.sets(st.integers(0, 60), max_size=6))
def test_all_but_the_illegal_addresses_come_back(addresses: set[int], illegal: set[int]) -> None:
    """Within a handful of cycles, and each point has one place in every cycle."""
    plant = Plant(sorted(addresses), illegal)
    assert plant.settle() == addresses - illegal
    assert plant.points == len(addresses)


@LAW
@given(st.sets(st.integers(0, 60), min_size=1), st.sets(st.integers(0, 60), max_size=6), st.integers(1, 10))
def test_an_illegal_address_in_a_gap_costs_no_value(addresses: set[int], illegal: set[int], gap: int) -> None:
    """Cut blocks leave the gap out."""
    plant = Plant(sorted(addresses), illegal - addresses, gap=gap)
    assert plant.settle() == addresses


def test_a_device_that_refuses_long_reads_is_read_in_short_ones() -> None:
    """Some devices give exception 2 or 3 above a length of their own."""
    plant = Plant(list(range(100)), set())
    plant.longest = 30
    assert plant.settle() == set(range(100))
    _, asked = plant.cycle()
    assert len(asked) == 4


def test_a_culprit_is_asked_for_less_and_less() -> None:
    """After a minute, then twice as long each time, up to an hour."""
    plant = Plant([0, 1, 2, 3], {2})
    plant.settle()
    at: list[int] = []
    while len(at) < 12:
        begun = plant.now
        _, asked = plant.cycle()
        if any(read.start == 2 for read in asked):
            at.append(begun)
        elif len(asked) == 2:
            plant.now += 10 * SECOND
    waits = [after - before for before, after in pairwise(at)]
    assert FIRST_WAIT_NS < waits[0] <= 2 * FIRST_WAIT_NS + 11 * SECOND
    assert all(wait <= LONGEST_WAIT_NS + 11 * SECOND for wait in waits)
    assert waits[-1] >= LONGEST_WAIT_NS
    assert waits == sorted(waits)


def test_a_controller_that_was_starting_is_read_as_planned_again() -> None:
    """It refused everything; a minute later it refuses nothing, and one request serves all."""
    plant = Plant(list(range(20)), set(range(20)))
    assert plant.settle() == set()
    plant.illegal = set()
    plant.now += 2 * FIRST_WAIT_NS
    assert plant.settle(2) == set(range(20))
    _, asked = plant.cycle()
    assert [read.count for read in asked] == [20]


def test_a_function_that_is_refused_is_set_aside_uncut() -> None:
    """Cutting a block does not teach a device a function."""
    plant = Plant([0, 1, 2, 3], {0})
    plant.code = 1
    plant.cycle()
    good, asked = plant.cycle()
    assert (good, asked) == (set(), [])
    plant.now += 2 * FIRST_WAIT_NS
    _, asked = plant.cycle()
    assert [read.count for read in asked] == [4]


def test_a_busy_device_is_asked_the_same_again() -> None:
    """Exception 6 says nothing of an address."""
    plant = Plant([0, 1], {0})
    plant.code = 6
    for _ in range(3):
        _, asked = plant.cycle()
        assert [read.count for read in asked] == [2]


def test_a_gentle_device_is_asked_exactly_the_plan() -> None:
    """Safety and protection devices see no request that the plan did not show."""
    plant = Plant([0, 1, 2, 3], {2}, isolate=False)
    for _ in range(20):
        _, asked = plant.cycle()
        assert [(read.start, read.count) for read in asked] == [(0, 4)]

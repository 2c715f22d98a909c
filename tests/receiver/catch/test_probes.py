"""A linktest at the low side: what came, where the rest was lost, and what to write into sender.toml."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import FrameError
from protocol.wire.frame import Probe
from receiver.catch.status.probes import ENDED_S, STEPS_KEPT, Probes
from receiver.commands.link_test import advice, lines
from receiver.status.catch import LinkTestStep
from sender.settings import OutletTable


def _probe(step: int, index: int, of: int, last: int = 9, rate: int = 20_000) -> Probe:
    return Probe(session=7, step=step, rate=rate, index=index, of=of, burst=2500, first=0, last=last)


@given(st.lists(st.integers(0, 99), max_size=300))
def test_what_came_and_what_was_lost_are_what_was_sent(indexes: list[int]) -> None:
    """Whatever order and doubling: each frame once, and the longest outage from the frames that never came."""
    probes = Probes()
    for index in [0, *indexes]:
        probes.take(_probe(1, index, 100), 1472, 1.0)
    (one,) = probes.test()
    assert one["received"] == len({0, *indexes})
    assert one["doubled"] == len(indexes) + 1 - one["received"]
    assert one["received"] + one["lost_wire"] + one["lost_kernel"] == one["of"]


def test_the_longest_outage_is_a_run_of_frames_that_did_not_come() -> None:
    """In the middle or at the end."""
    probes = Probes()
    for index in (0, 1, 5, 6):
        probes.take(_probe(0, index, 8), 1472, 1.0)
    for index in range(4):
        probes.take(_probe(1, index, 10), 1472, 2.0)
    assert [one["run"] for one in probes.test()] == [3, 6]


def test_kernel_and_writer_are_counted_apart_and_to_their_step() -> None:
    """Drops before the step are not its own; those told by its first successor are."""
    probes = Probes()
    probes.kernel_drops = 5
    probes.take(_probe(0, 0, 10), 1472, 1.0)
    probes.overflow = 2
    probes.take(_probe(0, 1, 10), 1472, 1.1)
    probes.kernel_drops = 9
    probes.take(_probe(1, 0, 1), 1472, 1.8)
    probes.kernel_drops, probes.overflow = 99, 99
    assert probes.ended(1.8 + 2 * ENDED_S) == []  # the test has more steps, which may be lost
    first, second = probes.test()
    assert (first["lost_kernel"], first["lost_wire"], first["lost_writer"]) == (4, 4, 2)
    assert (second["lost_kernel"], second["lost_wire"], second["lost_writer"]) == (0, 0, 0)


def test_what_the_kernel_dropped_is_told_as_a_least_and_the_way_as_a_most() -> None:
    """192 buffers of merged frames where 8,448 frames were missing: neither figure is told as if it were exact."""
    step = {"session": 7, "step": 0, "first": 0, "last": 0, "rate": 100_000, "burst": 2500, "length": 1472}
    mixed = LinkTestStep(**step, of=10_000, received=1552, lost_kernel=192, lost_wire=8256)
    exact = LinkTestStep(**step, of=10_000, received=9990, lost_wire=10)
    said = list(lines([mixed]))
    assert said[2].split()[5:8] == ["84.48%", "<=8256", ">=192"]
    assert any("`kernel` the least" in one for one in said)
    said = list(lines([exact]))
    assert said[2].split()[5:8] == ["0.10%", "10", "0"]
    assert not any("merged" in one for one in said)


def test_a_test_ends_once_and_by_itself() -> None:
    """After its last step, or a while after the last one that came; the next test begins a new table."""
    probes = Probes()
    probes.take(_probe(0, 0, 1, last=1), 1472, 1.0)
    assert probes.ended(1.0 + ENDED_S) == []
    assert len(probes.ended(1.0 + 5 * ENDED_S)) == 1
    assert probes.ended(99.0) == []
    probes.take(_probe(1, 0, 1, last=1), 1472, 100.0)
    assert [one["step"] for one in probes.ended(100.0 + ENDED_S)] == [0, 1]
    probes.take(Probe(7, 2, 1, 0, 1, 1, 2, 2), 1472, 110.0)
    assert [one["step"] for one in probes.test()] == [2]


def test_steps_and_their_bits_are_bounded() -> None:
    """A step of more frames than the limit is refused, and only so many steps are remembered."""
    probes = Probes()
    for wrong in (_probe(0, 0, 2**31), _probe(0, 5, 5), _probe(10, 0, 1)):
        with pytest.raises(FrameError):
            probes.take(wrong, 1472, 1.0)
    for step in range(200):
        probes.take(_probe(step, 0, 1000, last=200), 1472, float(step))
    assert len(probes.steps) == STEPS_KEPT
    assert sum(len(one.seen) for one in probes.steps.values()) == 125


def _told(rate: int, lost: int, **more: int) -> LinkTestStep:
    """A step of 1000 frames of 1472 bytes."""
    base = {"session": 1, "step": 0, "first": 0, "last": 0, "run": 1, "of": 1000, "length": 1472, "burst": 2500}
    return LinkTestStep(**{**base, "rate": rate, "received": 1000 - lost, "lost_wire": lost, **more})


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ([_told(20_000, 0), _told(50_000, 1), _told(100_000, 200)], ["  rate_mbit = 50", '  loss_target = "1%"']),
        ([_told(20_000, 18), _told(50_000, 22), _told(100_000, 400)], ["  rate_mbit = 50", '  loss_target = "5%"']),
        (
            [_told(100_000, 0), _told(100_000, 0, burst=4096), _told(100_000, 90, burst=16384)],
            ['  burst = "4096B"'],
        ),
        ([_told(20_000, 5, run=100)], ["  spread_ms = 121"]),
    ],
    ids=["one clean rate", "a link that always loses", "a shallow buffer", "long outages"],
)
def test_advice_is_the_highest_rate_that_loses_no_more_than_the_slowest(
    steps: list[LinkTestStep], wanted: list[str]
) -> None:
    """And the settings that its losses ask for."""
    assert not set(wanted) - set(advice(steps)), advice(steps)
    assert len(list(lines(steps))) > len(steps)


def test_a_burst_is_advised_only_where_the_default_is_longer_and_costs_something() -> None:
    """1 ms of 20 Mb/s is 2,500 bytes: that a burst of 16 kB is lost asks for nothing."""
    steps = [_told(20_000, 0), _told(20_000, 0, burst=4096), _told(20_000, 90, burst=16384)]
    assert not any("burst" in line for line in advice(steps))


def test_short_frames_that_are_lost_more_are_pointed_out() -> None:
    """A link may be limited in frames a second rather than in bits."""
    text = "\n".join(lines([_told(20_000, 2), _told(20_000, 95, length=100)]))
    assert "frames of 100 bytes are lost more than long ones: 17,606 a second are too many" in text
    assert "lost more" not in "\n".join(lines([_told(20_000, 2), _told(20_000, 2, length=100)]))


def test_a_link_that_loses_most_gets_no_rate() -> None:
    """Half lost at the slowest step: a cause is to be found first."""
    assert not any("rate_mbit" in line for line in advice([_told(5000, 600), _told(9000, 600)]))
    assert "nothing came: 3" in "\n".join(lines([_told(1, 0, last=2), _told(2, 0, step=1, last=2)]))


def test_the_advised_lines_are_a_right_outlet() -> None:
    """What is printed can be pasted into sender.toml."""
    steps = [_told(100_000, 5, run=400), _told(100_000, 5, burst=4096), _told(100_000, 900, burst=16384)]
    said = [line.strip() for line in advice(steps) if "=" in line]
    told = tomllib.loads('to = "192.0.2.2:5005"\n' + "\n".join(said))
    assert set(told) == {"to", "rate_mbit", "loss_target", "burst", "spread_ms"}
    outlet = OutletTable.model_validate(told)
    assert (outlet.rate_mbit, outlet.burst) == (100, 4096)

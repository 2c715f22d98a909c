"""The bench of the collectors measures what it says, on a small scale."""

from __future__ import annotations

import pytest

from bench import collect, fleet, sim
from bench.cli import BENCHES
from bench.figures import BenchRow


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (collect, "SECONDS", 0.02),
        (collect, "DEVICES", 2),
        (collect, "NODES", 20),
        (collect, "TAGS", 20),
        (collect, "LISTEN_S", 2),
        (collect, "SETTLE_S", 1),
        (fleet, "EACH", 1),
        (fleet, "WARM_S", 0.0),
    ):
        monkeypatch.setattr(module, name, value)


def test_rates_stand_beside_the_bare_librarys() -> None:
    """Both were measured, on the same devices."""
    assert BENCHES["collect"][0] == "bench.collect"
    for row in (collect._modbus(1), collect._poll(1), *collect._enip(1)):
        assert row.value
        assert row.baseline
        assert len(row.runs) == 1


def test_scattered_fields_take_few_requests() -> None:
    """A hundred fields over 2,000 registers: at most 16 in the median, counted by the server."""
    row = collect._scattered(7)
    assert row.value is not None
    assert row.value <= 16
    assert row.baseline == 100


def test_a_subscription_is_counted_change_by_change() -> None:
    """What a node counts must come without a hole."""
    row = collect._subscribe(1)
    assert row.lost == 0
    assert row.value is not None
    assert 0 < row.value < 2


def test_the_fleet_is_the_product_itself() -> None:
    """`send --only poll` over one device of each kind: processor time, memory, overruns, and it did read."""
    cpu, memory, overruns = fleet.measure(2.0)
    assert [row.row for row in (cpu, memory, overruns)] == [
        "collect.fleet.cpu",
        "collect.fleet.rss",
        "collect.fleet.overruns",
    ]
    assert cpu.value is not None
    assert memory.value is not None
    assert 0 < cpu.value < 2
    assert memory.value > 10
    assert "0 samples/s" not in cpu.note.split(": ")[1].split(",")[0]


def test_a_simulator_that_cannot_start_costs_no_other_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are there, without a value and with the reason."""

    def taken(runs: int) -> list[BenchRow]:
        raise RuntimeError("a\naddress already in use")

    monkeypatch.setattr(sim, "measure", taken)
    rows = collect._simulator(1)
    assert [row.row for row in rows] == list(collect.SIMULATOR)
    assert all(row.value is None and "address already in use" in row.note for row in rows)

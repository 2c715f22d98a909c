"""A visit's record shows what changed in its window, whatever happened to clocks, and nothing of other times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from access_cast import PUMP, period
from history_blocks import ASSETS, BOOT, SECOND, T0, TAGS, batch, block, opened, stream

from protocol.content import applied
from protocol.content.applied import AppliedChange
from protocol.content.catalog import Asset
from protocol.content.sample import Row
from receiver.governed.grants.grant import Grant
from receiver.governed.grants.request import AccessRequest
from receiver.governed.visits import ClockStep, VisitRecord, Window, clock_steps, visit_record
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, StateBody, StreamDescription
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.historian.read import Door
from receiver.outputs.scope import Scope

HOUR = 3600 * SECOND
FROM, UNTIL = T0 + 10 * HOUR, T0 + 14 * HOUR
GRANT = Grant(
    key="g-1", request="r-1", person="acme", preset="site-visit", extent=PUMP, period=period(FROM, UNTIL), given_ns=T0
)
REQUEST = AccessRequest(
    key="r-1",
    person="acme",
    preset="site-visit",
    extent=PUMP,
    reason="the bearing is exchanged",
    purpose="commissioning",
    period=GRANT.period,
    at_ns=T0,
    ticket="MOC-7",
)
BEFORE, DURING, LATER = T0 + 9 * HOUR, T0 + 11 * HOUR, T0 + 15 * HOUR


class Plant:
    """Blocks of one sender, in order, into a history."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output: HistorianOutput = opened(folder)
        self._number = 0

    def take(self, body: BatchBody | StateBody | EventBody, at_ns: int, of: StreamDescription | None = None) -> None:
        """One block that arrives at a time."""
        self._number += 1
        made: list[OpenedBlock] = [block(of or stream(), self._number, body, received_ns=at_ns)]
        self.output.take(made, b"p")

    def state(self, what: str, text: str, at_ns: int, asset: str = "pump-7", late_ns: int = 0) -> None:
        self.take(StateBody(asset=asset, time_ns=at_ns, what=what, text=text), at_ns + late_ns)

    def event(self, severity: int, at_ns: int, asset: str = "pump-7", late_ns: int = 0) -> None:
        told = EventBody(
            asset=asset, source="s", time_ns=at_ns, severity=severity, code="", text="", state="", sequence=1
        )
        self.take(told, at_ns + late_ns)

    def samples(self, times_ns: Sequence[int], of: StreamDescription | None = None) -> None:
        self.take(batch([Row(0, at_ns, 4.0) for at_ns in times_ns]), times_ns[-1], of)

    def record(self, scope: Scope | None = None) -> VisitRecord:
        door = Door(self.folder, scope or Scope(), clock=lambda: LATER + HOUR)
        try:
            return visit_record(GRANT, REQUEST, door)
        finally:
            door.close()


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """An empty history."""
    made = Plant(tmp_path / "history")
    yield made
    made.output.close()


def test_what_was_announced_stands_beside_what_was_seen(plant: Plant) -> None:
    """Purpose, reason and ticket of the request; of an asset that nothing happened to, nothing."""
    plant.samples([BEFORE, DURING, LATER])
    record = plant.record()
    assert (record.purpose, record.reason, record.ticket) == ("commissioning", "the bearing is exchanged", "MOC-7")
    assert (record.from_ns, record.until_ns) == (FROM, UNTIL)
    (asset,) = record.assets
    assert (asset.name, asset.quiet, asset.described) == ("pump-7", True, ASSETS[0])
    assert (record.configuration, record.clock, record.gaps) == ((), (), ())


def test_a_visit_of_an_asset_that_nobody_knows_is_a_record_all_the_same(plant: Plant) -> None:
    """No history yet, and a scope in which it is not: nothing is told of it."""
    (asset,) = plant.record().assets
    assert (asset.described, asset.quiet) == (None, True)
    plant.state("down", "cable out", DURING)
    (hidden,) = plant.record(Scope(vendors=frozenset({"Volta"}))).assets
    assert (hidden.described, hidden.quiet) == (None, True)


def test_a_tag_of_another_unit_or_a_new_one_is_told(plant: Plant) -> None:
    """In the window alone, with what is other, and about when; what was before stays untold."""
    plant.samples([BEFORE, DURING - HOUR // 2])
    other = (replace(TAGS[0], unit="kPa", conversion="x 100"), *TAGS[1:])
    after = stream(b"stream-2", BOOT + 1, tags=other)
    plant.samples([DURING, LATER], after)
    plant.take(batch([Row(1, DURING + HOUR, True)]), DURING + HOUR, after)
    (asset,) = plant.record().assets
    assert [(one.tag, one.text) for one in asset.tags] == [
        ("pressure", "Changed: unit bar to kPa, conversion none to x 100"),
        ("running", "Not seen before"),
    ]
    assert abs(asset.tags[0].at_ns - DURING) < HOUR / 100
    assert not asset.quiet


def test_other_firmware_is_told_by_what_the_device_says_when_it_comes_up(plant: Plant) -> None:
    """Compared with the time before, which may lie before the visit; the same words again are no change."""
    for at_ns, text in ((T0, "Acme P7 1.3 SN1"), (DURING, "Acme P7 1.4 SN1"), (DURING + HOUR, "Acme P7 1.4 SN1")):
        plant.state("down", "no answer", at_ns)
        plant.state("up", text, at_ns + SECOND)
    plant.state("up", "Acme P7 1.5 SN1", LATER)
    (asset,) = plant.record().assets
    assert [(one.before, one.after) for one in asset.nameplates] == [("Acme P7 1.3 SN1", "Acme P7 1.4 SN1")]
    assert [one.what for one in asset.states] == ["down", "up", "down", "up"]


def test_events_are_counted_by_severity(plant: Plant) -> None:
    """Those of the asset in the window; of other assets and other times none."""
    for severity in (1, 333, 334, 666, 667, 1000, 1000):
        plant.event(severity, DURING)
    plant.event(900, BEFORE)
    plant.event(900, LATER)
    plant.event(900, DURING, asset="press-1")
    (asset,) = plant.record().assets
    assert asset.events == (("high", 3), ("medium", 2), ("low", 2))


def test_a_change_of_the_configuration_is_told_to_who_may_see_all(plant: Plant) -> None:
    """By whom and why, in the window; a vendor's scope sees none of it."""
    for number, at_ns in ((1, BEFORE), (2, DURING), (3, LATER)):
        change = AppliedChange(kind="apply", number=number, time_ns=at_ns, by="anna", why="limit", lines=("pump-7 ..",))
        plant.state(applied.WHAT, change.text(), at_ns, asset="")
    assert [one.change.number for one in plant.record().configuration] == [2]
    assert plant.record(Scope(vendors=frozenset({"Acme"}))).configuration == ()


def test_a_clock_that_was_set_hides_nothing_and_is_told(plant: Plant) -> None:
    """Events whose device thinks that it is another year are in the record by their arrival, and the step is."""
    for minute in range(8):
        plant.event(500, DURING + minute * 60 * SECOND, late_ns=SECOND)
    for minute in range(8, 16):
        said = DURING + minute * 60 * SECOND + 1000 * HOUR
        plant.event(500, said, late_ns=SECOND - 1000 * HOUR)
    (asset,) = plant.record().assets
    assert dict(asset.events)["medium"] == 16
    assert [round(one.by_s) for one in asset.clock] == [1000 * 3600]


def test_a_gap_is_told(plant: Plant) -> None:
    """Blocks that never came: of that time nothing can be said."""
    plant.samples([BEFORE, DURING])
    plant._number += 3
    plant.samples([DURING + HOUR, LATER])
    assert [one.blocks for one in plant.record().gaps] == [3]


@pytest.mark.parametrize(
    ("late_s", "steps"),
    [
        ([1, 1, 1, 1, 1, 1], []),
        ([1, 1, 1, 900, 1, 1, 1], []),
        ([1, 900, 900, 1, 1, 1, 1], []),
        ([900, 1, 1, 1, 1, 1], []),
        ([1, 1, 1, 61, 61, 61], [-60]),
        ([61, 61, 61, 1, 1, 1, 2], [60]),
        ([1, 2, 1, 61, 63, 61, 1, 1, 3], []),
        ([1, 2, 1, 1, 2, 61, 63, 61, 62, 61, 1, 1, 3, 1, 1], [-60, 60]),
        ([1, 1], []),
        ([], []),
    ],
)
def test_a_late_arrival_is_no_step_of_a_clock(late_s: list[int], steps: list[int]) -> None:
    """Repeats come minutes later, one or a few; a clock that was set stays so, for more than a few."""
    readings = [(T0 + at * 3600 * SECOND - late * SECOND, T0 + at * 3600 * SECOND) for at, late in enumerate(late_s)]
    told = clock_steps(readings, Window(T0, T0 + 100 * HOUR))
    assert [round(one.by_s) for one in told] == steps
    assert all(isinstance(one, ClockStep) for one in told)
    assert clock_steps(readings, Window(T0 - HOUR, T0)) == ()


def test_the_record_is_plain_data(plant: Plant) -> None:
    """A page needs nothing but the record: the asset as it is now is in it."""
    plant.samples([DURING])
    (asset,) = plant.record().assets
    assert isinstance(asset.described, Asset)
    assert hash(asset) == hash(plant.record().assets[0])

"""The plant as it stands now: every tag's last value and every asset's counts, held in memory. No I/O and no clock.

`catalog` says which tags there are, `take` moves values forward, and the questions (`card`, `cards`, `attention`) are
answered for a moment that is handed in, because staleness is a matter of time alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Value, severity
from receiver.outputs.historian.views import Account, AssetView, LatestView, TagView
from receiver.portal import words
from receiver.portal.counts import Counts
from receiver.portal.faults import Faults
from receiver.portal.freshness import LEAST_S, Stale, beat_lost, judge, stale_after

UNIT = 40
"""Characters of a unit that are shown; no UCUM code that people use is longer."""


@dataclass(slots=True)
class Line:
    """One tag and its last value."""

    series: int
    tag: Tag
    places: int | None
    """Decimals, see `words.digits`."""
    unit: str
    """As people write it."""
    after_s: float
    """Silence after which it is stale [s]."""
    collector: str = ""
    """The protocol it is read by: names the native code."""
    time_ns: int = 0
    """When the value was true, by the source where its clock is believed."""
    seen_ns: int = 0
    """When it was last renewed, in steady time; 0 where it never was."""
    fault: str = ""
    """Why it cannot be shown; empty where it can."""
    told_ns: int = 0
    """The same, as the history tells it, by the low side's wall clock."""
    value: Value = None
    quality: int = 0
    native: int = 0
    counts: Counts = field(default_factory=Counts, repr=False, compare=False)
    """Those of its asset; of its own where it is no current tag of one."""
    current: bool = True
    """False for the series of an older description (another type, unit or address) under the same name."""

    @property
    def holds(self) -> bool:
        """Its value stands until the next sample: it is sent on change, and what only renews it is no history."""
        return self.tag.max_silence_s > self.tag.scan_s

    @property
    def written(self) -> str:
        """The value as a person reads it."""
        return words.written(self.tag, self.value, self.places)

    @property
    def outside(self) -> str:
        """`high` or `low` where the value is outside its normal band, else empty."""
        low, high = self.tag.normal_low, self.tag.normal_high
        if low is None and high is None:
            return ""
        value = self.value
        if isinstance(value, (bool, str)) or value is None or severity(self.quality) == 2:
            return ""
        if high is not None and value > high:
            return "high"
        if low is not None and value < low:
            return "low"
        return ""

    @property
    def quality_text(self) -> str:
        """The quality in words, with the device's own code."""
        return words.quality(self.quality, self.native, self.collector)

    def row(self) -> list[Any]:
        """As the live stream sends it: series, time, value, quality, quality in words, seen (ms of steady time)."""
        return [
            self.series,
            self.time_ns / 1e6,
            self._sent(),
            self.quality,
            self.quality_text if self.quality or self.native else "",
            self.seen_ns / 1e6,
        ]

    def _sent(self) -> Value:
        """The value for a script, which knows a number's kind only from its tag."""
        value = self.value
        if isinstance(value, str):
            return words.text(value)
        return float(value) if type(value) is int and self.tag.type.startswith("float") else wire_value(value)


@dataclass(slots=True)
class Machine:
    """One asset with its tags."""

    asset: Asset
    state: str = "unknown"
    """`up`, `down` or `unknown`."""
    state_text: str = ""
    state_ns: int | None = None
    lines: list[Line] = field(default_factory=list)
    """Its tags as they are described now."""
    past: list[Line] = field(default_factory=list)
    """Series of older descriptions: they have pages, and count nowhere."""
    counts: Counts = field(default_factory=Counts, repr=False, compare=False)
    """Of `lines`."""
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One asset in numbers, at one moment."""

    name: str
    state: str
    state_text: str
    state_ms: float | None
    tags: int
    silent: int
    """Tags that never had a value."""
    bad: int
    uncertain: int
    outside: int
    """Good or uncertain values outside their normal band."""
    stale: int
    seen_ms: float | None
    """When any of its tags was last renewed, in steady time."""
    read: int | None
    """None until the sender's first tally, which comes each minute; also `sent` and `lost`."""
    sent: int | None
    published: int | None
    lost: int | None
    healed: int | None
    fault: str = ""
    """Why the asset cannot be shown; empty where it can."""

    @property
    def calm(self) -> bool:
        """Nothing about it needs a look."""
        wrong = self.bad or self.uncertain or self.outside or self.stale or self.silent or self.fault
        return not wrong and self.state != "down"


@dataclass(frozen=True, slots=True)
class Moment:
    """When a question is asked, and what was known of the link then."""

    now_ns: int
    """The low side's wall time [ns since 1970 UTC]."""
    steady_ns: int
    """Steady time, by which ages are told (`steady.py`)."""
    beat_age_s: float | None


class Picture:
    """Every tag's last value; one owner, no locks."""

    def __init__(self, faults: Faults | None = None) -> None:
        """
        Args:
            faults: Told of a tag or an asset that cannot be shown; the others go on.
        """
        self.faults = faults or Faults()
        self.machines: dict[str, Machine] = {}
        self.lines: dict[int, Line] = {}
        self.version = 0
        """Rises when an asset or a tag comes or goes, so that an open page knows to fetch itself again."""

    def assets(self, views: Sequence[AssetView], accounts: Mapping[str, Account]) -> list[str]:
        """Take the assets' states and accounts; the names come back whose tags have to be read anew."""
        fresh = {view.asset.name: view for view in views}
        for name in [name for name in self.machines if name not in fresh]:
            machine = self.machines.pop(name)
            for line in machine.lines + machine.past:
                self.lines.pop(line.series, None)
            self.version += 1
        changed = []
        for name, view in fresh.items():
            if name not in self.machines:
                self.machines[name] = Machine(view.asset)
                self.version += 1
            machine = self.machines[name]
            if len(machine.lines) != view.tags:
                changed.append(name)
            machine.asset, machine.state, machine.state_text = view.asset, view.state, words.text(view.state_text)
            machine.state_ns, machine.account = view.state_ns or None, accounts.get(name)
        return changed

    def tags(self, asset: str, views: Iterable[TagView]) -> None:
        """Take the tags of one asset; a known series keeps its value."""
        machine = self.machines[asset]
        before = {line.series: line for line in machine.lines + machine.past}
        shown = [line.series for line in machine.lines]
        lines = [self._line(view, before.get(view.series), machine) for view in views]
        machine.lines = [line for line in lines if line.current]
        machine.past = [line for line in lines if not line.current]
        machine.counts = Counts(machine.lines)
        for line in lines:
            line.counts = machine.counts if line.current else Counts()
        for series in before:
            self.lines.pop(series, None)
        self.lines.update((line.series, line) for line in lines)
        if shown != [line.series for line in machine.lines]:
            self.version += 1

    def take(self, rows: Iterable[LatestView], steady: Callable[[int], int]) -> tuple[list[Line], bool]:
        """Move values forward.

        Args:
            rows: As the history told them.
            steady: Where in steady time a renewal lies that is met for the first time.

        Returns:
            The lines that changed, and whether a row named a series that no tag describes yet.
        """
        moved, unknown = [], False
        for row in rows:
            line = self.lines.get(row.series)
            if line is None:
                unknown = True
                continue
            try:
                self._move(line, row, steady)
            except Exception as error:  # noqa: BLE001 - one tag of many
                line.fault = self.faults.note(called(line), error)
            moved.append(line)
        return moved, unknown

    def _move(self, line: Line, row: LatestView, steady: Callable[[int], int]) -> None:
        before_ns = line.seen_ns
        if row.seen_ns != line.told_ns:
            line.told_ns, line.seen_ns = row.seen_ns, steady(row.seen_ns)
        try:
            line.time_ns = row.time_ns
            line.value, line.quality, line.native = words.plain(line.tag, row.value), row.quality, row.native
        finally:
            line.counts.moved(line, before_ns)

    def stale(self, line: Line, at: Moment) -> Stale | None:
        """Why the tag's value is not believed any more, or None."""
        machine = self.machines[line.tag.asset]
        return judge(
            now_ns=at.steady_ns,
            seen_ns=line.seen_ns,
            after_s=line.after_s,
            beat_age_s=at.beat_age_s,
            down=machine.state == "down",
        )

    def card(self, machine: Machine, at: Moment) -> Card:
        """One asset in numbers, or with the reason why it cannot be shown."""
        try:
            return self._counted(machine, at)
        except Exception as error:  # noqa: BLE001 - one asset of many
            fault = self.faults.note(f"asset {machine.asset.name}", error)
            return unshown(machine, fault)

    def _counted(self, machine: Machine, at: Moment) -> Card:
        counts, account = machine.counts, machine.account
        if account and account.published and not account.sent:
            account = None  # the sender's first tally is still to come
        all_stale = beat_lost(at.beat_age_s) or machine.state == "down"
        return Card(
            name=machine.asset.name,
            state=machine.state,
            state_text=machine.state_text,
            state_ms=machine.state_ns / 1e6 if machine.state_ns else None,
            tags=len(machine.lines),
            silent=len(machine.lines) - counts.known,
            bad=counts.graded(2),
            uncertain=counts.graded(1),
            outside=counts.outside,
            stale=counts.known if all_stale else len(self._silent(machine, at)),
            seen_ms=counts.newest_ns / 1e6 or None,
            read=account.read if account else None,
            sent=account.sent if account else None,
            published=machine.account.published if machine.account else None,
            lost=account.lost if account else None,
            healed=machine.account.healed if machine.account else None,
        )

    def cards(self, at: Moment) -> list[Card]:
        """Every asset in numbers, in the catalog's order."""
        return [self.card(machine, at) for machine in self.machines.values()]

    def attention(self, at: Moment, limit: int = 40) -> tuple[list[Line], int]:
        """Tags that need a look, worst first, and how many more there are.

        A tag whose asset is down, or whose link is silent, is not listed for that: the asset's or the link's own line
        says it once for all of them.
        """
        up = [machine for machine in self.machines.values() if machine.state != "down"]
        wrong = self.faults.each(lambda one: f"asset {one.asset.name}", lambda one: self._wrong(one, at), up)
        found = [one for machine in wrong for one in machine]
        found.sort(key=lambda one: one[:4])
        return [one[-1] for one in found[:limit]], max(len(found) - limit, 0)

    def _wrong(self, machine: Machine, at: Moment) -> list[tuple[int, bool, str, int, Line]]:
        """Its tags that need a look, each behind what it is sorted by."""
        silent = {} if beat_lost(at.beat_age_s) else {line.series: line for line in self._silent(machine, at)}
        return [
            (-severity(line.quality), series not in silent, line.tag.asset, series, line)
            for series, line in (machine.counts.odd | silent).items()
        ]

    def _silent(self, machine: Machine, at: Moment) -> list[Line]:
        """Its tags that are stale for their own silence; to be asked while its link and itself are up."""
        return machine.counts.silent(at.steady_ns, lambda line: self.stale(line, at) is Stale.SILENT)

    def _line(self, view: TagView, before: Line | None, machine: Machine) -> Line:
        line = before or Line(view.series, view.tag, None, "", LEAST_S)
        try:
            tag = words.sound(view.tag)
            line.tag, line.places, line.unit = tag, words.digits(tag), words.text(words.unit(tag.unit), UNIT)
            line.after_s = stale_after(tag.scan_s, tag.max_silence_s)
            line.fault = ""
        except Exception as error:  # noqa: BLE001 - one tag of many
            line.fault = self.faults.note(called(line), error)
        line.current = view.current
        line.collector = machine.asset.collector
        return line


def unshown(machine: Machine, fault: str) -> Card:
    """The asset without numbers."""
    return Card(
        name=machine.asset.name,
        state=machine.state,
        state_text="",
        state_ms=None,
        tags=len(machine.lines),
        silent=0,
        bad=0,
        uncertain=0,
        outside=0,
        stale=0,
        seen_ms=None,
        read=None,
        sent=None,
        published=None,
        lost=None,
        healed=None,
        fault=fault,
    )


def called(line: Line) -> str:
    """A tag, for the log."""
    return f"tag {line.tag.asset} / {line.tag.name}"


EXACT = 2**53
"""From here on a JavaScript number cannot hold every integer (ECMA-262, 6.1.6.1), so JSON carries it as text."""


def wire_value(value: Value) -> Value:
    """A value as JSON carries it: an integer beyond 2**53 as text; NaN and infinities become null in the encoder."""
    if type(value) is int and not -EXACT <= value <= EXACT:
        return str(value)
    return value

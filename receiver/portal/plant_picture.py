"""The plant as it stands now: every tag's last value and every asset's counts, held in memory. No I/O and no clock.

`describe_assets` and `describe_tags` say what there is, `move` moves values forward, and the questions (`card`,
`cards`, `attention`) are answered for a moment that is handed in, because staleness is a matter of time alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Value, severity
from receiver.outputs.historian.views import Account, AssetView, LatestView, TagView
from receiver.portal import words
from receiver.portal.counts import TagCounts, missing_and_lost
from receiver.portal.faults import DisplayFaults
from receiver.portal.freshness import LEAST_S, Stale, beat_lost, judge, stale_after
from receiver.portal.retiring.left_tags import left

TAKEN_OUT = "taken out of the configuration"
"""What the sender says of an asset that it reads no more (`sender/poll/poller.py`)."""
UNIT = 40
"""Characters of a unit that are shown; no UCUM code that people use is longer."""


@dataclass(slots=True)
class LiveTag:
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
    counts: TagCounts = field(default_factory=TagCounts, repr=False, compare=False)
    """Those of its asset; of its own where it is no current tag of one."""
    left: str = ""
    """Why it may be out of the configuration, in words (`retiring/left_tags.py`); empty where nothing says so."""
    current: bool = True
    """False for the series of an older description (another type, unit, address or scale) under the same name."""
    version: int = 1
    """Number of the description, from 1, in the order they were made."""

    @property
    def holds(self) -> bool:
        """Its value stands until the next sample: it is sent on change, and what only renews it is no history."""
        return self.tag.max_silence_s > self.tag.scan_s

    @property
    def page(self) -> str:
        """Where its page is, or that of this earlier description."""
        return words.tag_address(self.tag.asset, self.tag.name, None if self.current else self.version)

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
            self.sent(self.value),
            self.quality,
            self.quality_text if self.quality or self.native else "",
            self.seen_ns / 1e6,
        ]

    def sent(self, value: Value) -> Value:
        """A value of this tag for a script, which knows a number's kind only from its tag."""
        if isinstance(value, str):
            return words.text(value)
        return float(value) if type(value) is int and self.tag.type.startswith("float") else wire_value(value)


@dataclass(slots=True)
class LiveAsset:
    """One asset with its tags."""

    asset: Asset
    state: str = "unknown"
    """`up`, `down` or `unknown`."""
    state_text: str = ""
    state_ns: int | None = None
    tags: list[LiveTag] = field(default_factory=list)
    """Its tags as they are described now."""
    past: list[LiveTag] = field(default_factory=list)
    """Series of older descriptions: they have pages, and count nowhere."""
    counts: TagCounts = field(default_factory=TagCounts, repr=False, compare=False)
    """Of `tags`."""
    account: Account | None = None
    lost: int | None = None
    """Samples that nothing brings any more; None: not known, while blocks are missing."""
    trips: int = 0
    """Trips of it that stand."""
    alarms: int = 0
    """Alarms of it that stand."""

    @property
    def retired(self) -> bool:
        """It was taken out of the configuration."""
        return self.state == "down" and self.state_text == TAKEN_OUT


@dataclass(frozen=True, slots=True)
class AssetCard:
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
    """None until the sender's first tally, which comes each minute; also `sent`, `missing` and `lost`."""
    sent: int | None
    published: int | None
    missing: int | None
    """Samples that were sent and are not here, and may come with blocks that are missing."""
    lost: int | None
    """Samples that nothing brings any more; None also where they cannot be told from the missing yet."""
    healed: int | None
    trips: int = 0
    """Of its events that stand, those of a severity of a trip."""
    alarms: int = 0
    """The others that stand."""
    fault: str = ""
    """Why the asset cannot be shown; empty where it can."""

    @property
    def calm(self) -> bool:
        """Nothing about it needs a look."""
        wrong = self.bad or self.uncertain or self.outside or self.stale or self.silent or self.fault
        wrong = wrong or self.trips or self.alarms
        return not wrong and self.state != "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleGroup:
    """Tags of one asset that are stale for one cause: they are not renewed though it is up."""

    asset: str
    tags: int
    others: bool
    """Other tags of it are renewed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsLook:
    """What needs a look."""

    tags: Sequence[LiveTag]
    more: int
    """Such tags beyond those."""
    stale: Sequence[StaleGroup]


@dataclass(frozen=True, slots=True)
class ViewTime:
    """When a question is asked, and what was known of the link then."""

    now_ns: int
    """The low side's wall time [ns since 1970 UTC]."""
    steady_ns: int
    """Steady time, by which ages are told (`steady.py`)."""
    beat_age_s: float | None


class Picture:
    """Every tag's last value; one owner, no locks."""

    def __init__(self, faults: DisplayFaults | None = None, *, addresses: bool = True) -> None:
        """
        Args:
            faults: Told of a tag or an asset that cannot be shown; the others go on.
            addresses: Where a tag stands in its device is told; False for readers from outside the plant, of whose
                picture no page and no answer can tell what it does not hold.
        """
        self._addresses = addresses
        self.faults = faults or DisplayFaults()
        self.assets: dict[str, LiveAsset] = {}
        self.tags: dict[int, LiveTag] = {}
        self.may_come = True
        """Blocks are missing that a repeat may bring, or have come and are not stored yet."""
        self.blocks_lost = True
        """Some can never come, as far as is known."""
        self.version = 0
        """Rises when an asset or a tag comes or goes, so that an open page knows to fetch itself again."""

    def describe_assets(self, views: Sequence[AssetView], accounts: Mapping[str, Account]) -> list[str]:
        """Take the assets' states and accounts; the names come back whose tags have to be read anew."""
        fresh = {view.asset.name: view for view in views}
        for name in [name for name in self.assets if name not in fresh]:
            live_asset = self.assets.pop(name)
            for live_tag in live_asset.tags + live_asset.past:
                self.tags.pop(live_tag.series, None)
            self.version += 1
        changed = []
        for name, view in fresh.items():
            if name not in self.assets:
                self.assets[name] = LiveAsset(view.asset)
                self.version += 1
            live_asset = self.assets[name]
            if len(live_asset.tags) != view.tags:
                changed.append(name)
            live_asset.asset, live_asset.account = view.asset, accounts.get(name)
            live_asset.state, live_asset.state_text = view.state, words.text(view.state_text)
            live_asset.state_ns = view.state_ns or None
        return changed

    def describe_tags(self, asset: str, views: Sequence[TagView], out: frozenset[str] = frozenset()) -> None:
        """Take the tags of one asset; a known series keeps its value.

        Args:
            out: Names of tags that a change of the configuration took out.
        """
        why = left(views, out)
        live_asset = self.assets[asset]
        before = {live_tag.series: live_tag for live_tag in live_asset.tags + live_asset.past}
        shown = [live_tag.series for live_tag in live_asset.tags]
        tags = [self._live_tag(view, before.get(view.series), live_asset) for view in views]
        for live_tag in tags:
            live_tag.left = why.get(live_tag.series, "")
        live_asset.tags = [live_tag for live_tag in tags if live_tag.current]
        live_asset.past = [live_tag for live_tag in tags if not live_tag.current]
        live_asset.counts = TagCounts(live_asset.tags)
        for live_tag in tags:
            live_tag.counts = live_asset.counts if live_tag.current else TagCounts()
        for series in before:
            self.tags.pop(series, None)
        self.tags.update((live_tag.series, live_tag) for live_tag in tags)
        if shown != [live_tag.series for live_tag in live_asset.tags]:
            self.version += 1

    def named(self, asset: str, name: str, version: int | None = None) -> LiveTag | None:
        """The tag with these names as it is described now, or as its description `version` had it."""
        live_asset = self.assets.get(asset)
        held = (*live_asset.tags, *(live_asset.past if version is not None else ())) if live_asset else ()
        fits = (one for one in held if one.tag.name == name and version in (None, one.version))
        return next(fits, None)

    def move(self, rows: Iterable[LatestView], steady: Callable[[int], int]) -> tuple[list[LiveTag], bool]:
        """Move values forward.

        Args:
            rows: As the history told them.
            steady: Where in steady time a renewal lies that is met for the first time.

        Returns:
            The lines that changed, and whether a row named a series that no tag describes yet.
        """
        moved, unknown = [], False
        for row in rows:
            live_tag = self.tags.get(row.series)
            if live_tag is None:
                unknown = True
                continue
            try:
                self._move_one(live_tag, row, steady)
            except Exception as error:  # noqa: BLE001 - one tag of many
                live_tag.fault = self.faults.note(called(live_tag), error)
            moved.append(live_tag)
        return moved, unknown

    def _move_one(self, live_tag: LiveTag, row: LatestView, steady: Callable[[int], int]) -> None:
        before_ns = live_tag.seen_ns
        if row.seen_ns != live_tag.told_ns:
            live_tag.told_ns, live_tag.seen_ns = row.seen_ns, steady(row.seen_ns)
        try:
            live_tag.time_ns = row.time_ns
            live_tag.value = words.plain(live_tag.tag, row.value)
            live_tag.quality, live_tag.native = row.quality, row.native
        finally:
            live_tag.counts.moved(live_tag, before_ns)

    def stale(self, live_tag: LiveTag, at: ViewTime) -> Stale | None:
        """Why the tag's value is not believed any more, or None."""
        live_asset = self.assets[live_tag.tag.asset]
        return judge(
            now_ns=at.steady_ns,
            seen_ns=live_tag.seen_ns,
            after_s=live_tag.after_s,
            beat_age_s=at.beat_age_s,
            down=live_asset.state == "down",
        )

    def card(self, live_asset: LiveAsset, at: ViewTime) -> AssetCard:
        """One asset in numbers, or with the reason why it cannot be shown."""
        try:
            return self._counted(live_asset, at)
        except Exception as error:  # noqa: BLE001 - one asset of many
            fault = self.faults.note(f"asset {live_asset.asset.name}", error)
            return unshown(live_asset, fault)

    def _counted(self, live_asset: LiveAsset, at: ViewTime) -> AssetCard:
        counts, account = live_asset.counts, live_asset.account
        if account and account.published and not account.sent:
            account = None  # the sender's first tally is still to come
        missing: int | None = None
        if account:
            before = live_asset.lost if live_asset.lost is not None or self.blocks_lost else 0
            missing, live_asset.lost = missing_and_lost(account.lost, before, may_come=self.may_come)
        all_stale = beat_lost(at.beat_age_s) or live_asset.state == "down"
        return AssetCard(
            name=live_asset.asset.name,
            state=live_asset.state,
            state_text=live_asset.state_text,
            state_ms=live_asset.state_ns / 1e6 if live_asset.state_ns else None,
            tags=len(live_asset.tags),
            silent=len(live_asset.tags) - counts.known,
            bad=counts.graded(2),
            uncertain=counts.graded(1),
            outside=counts.outside,
            stale=counts.known if all_stale else len(self._silent(live_asset, at)),
            seen_ms=counts.newest_ns / 1e6 or None,
            read=account.read if account else None,
            sent=account.sent if account else None,
            published=live_asset.account.published if live_asset.account else None,
            missing=missing,
            lost=live_asset.lost if account else None,
            healed=live_asset.account.healed if live_asset.account else None,
            trips=live_asset.trips,
            alarms=live_asset.alarms,
        )

    def cards(self, at: ViewTime) -> list[AssetCard]:
        """Every asset in numbers, in the catalog's order."""
        return [self.card(live_asset, at) for live_asset in self.assets.values()]

    def attention(self, at: ViewTime, limit: int = 40) -> NeedsLook:
        """What needs a look, worst first; what is only stale stands last, two or more of one asset as one.

        A tag whose asset is down, or whose link is silent, is not listed for that: the asset's or the link's own line
        says it once for all of them.
        """
        up = [live_asset for live_asset in self.assets.values() if live_asset.state != "down"]
        wrong = self.faults.each(lambda one: f"asset {one.asset.name}", lambda one: self._wrong(one, at), up)
        tags = [live_tag for odd, _, _ in wrong for live_tag in odd]
        alone = [silent[0] for _, silent, _ in wrong if len(silent) == 1]
        groups = [
            StaleGroup(asset=silent[0].tag.asset, tags=len(silent), others=fresh)
            for _, silent, fresh in wrong
            if len(silent) > 1
        ]
        tags.sort(key=lambda one: (-severity(one.quality), one.tag.asset, one.series))
        tags += sorted(alone, key=lambda one: (one.tag.asset, one.series))
        return NeedsLook(tags=tags[:limit], more=max(len(tags) - limit, 0), stale=groups)

    def _wrong(self, live_asset: LiveAsset, at: ViewTime) -> tuple[list[LiveTag], list[LiveTag], bool]:
        """Its tags with a value that needs a look; those that are only stale; and whether others are renewed."""
        silent = [] if beat_lost(at.beat_age_s) else self._silent(live_asset, at)
        odd = live_asset.counts.odd
        fresh = live_asset.counts.known > len(silent)
        return list(odd.values()), [one for one in silent if one.series not in odd], fresh

    def _silent(self, live_asset: LiveAsset, at: ViewTime) -> list[LiveTag]:
        """Its tags that are stale for their own silence; to be asked while its link and itself are up."""
        found = live_asset.counts.silent(at.steady_ns, lambda live_tag: self.stale(live_tag, at) is Stale.SILENT)
        return [live_tag for live_tag in found if self.may_come or not live_tag.left]

    def retired(self, live_tag: LiveTag, at: ViewTime) -> bool:
        """It is out of the configuration: something says so, it is not renewed, and no block is missing."""
        known = bool(live_tag.left) and not self.may_come
        return known and (not live_tag.seen_ns or self.stale(live_tag, at) is Stale.SILENT)

    def _live_tag(self, view: TagView, before: LiveTag | None, live_asset: LiveAsset) -> LiveTag:
        bare = view.tag if self._addresses else replace(view.tag, address="")
        live_tag = before or LiveTag(view.series, bare, None, "", LEAST_S)
        try:
            tag = words.sound(bare)
            places, unit = words.digits(tag), words.text(words.unit(tag.unit), UNIT)
            live_tag.tag, live_tag.places, live_tag.unit = tag, places, unit
            live_tag.after_s = stale_after(tag.scan_s, tag.max_silence_s)
            live_tag.fault = ""
        except Exception as error:  # noqa: BLE001 - one tag of many
            live_tag.fault = self.faults.note(called(live_tag), error)
        live_tag.current, live_tag.version = view.current, view.version
        live_tag.collector = live_asset.asset.collector
        return live_tag


def unshown(live_asset: LiveAsset, fault: str) -> AssetCard:
    """The asset without numbers."""
    return AssetCard(
        name=live_asset.asset.name,
        state=live_asset.state,
        state_text="",
        state_ms=None,
        tags=len(live_asset.tags),
        silent=0,
        bad=0,
        uncertain=0,
        outside=0,
        stale=0,
        seen_ms=None,
        read=None,
        sent=None,
        published=None,
        missing=None,
        lost=None,
        healed=None,
        fault=fault,
    )


def called(live_tag: LiveTag) -> str:
    """A tag, for the log."""
    return f"tag {live_tag.tag.asset} / {live_tag.tag.name}"


EXACT = 2**53
"""From here on a JavaScript number cannot hold every integer (ECMA-262, 6.1.6.1), so JSON carries it as text."""


def wire_value(value: Value) -> Value:
    """A value as JSON carries it: an integer beyond 2**53 as text; NaN and infinities become null in the encoder."""
    if type(value) is int and not -EXACT <= value <= EXACT:
        return str(value)
    return value

"""`sender.toml`: read, checked whole, and handed on as one frozen value.

Every mistake of the file is gathered before anything is raised (`findings`). What a collector does not offer
(`never_read`, several urls, patterns) is refused rather than ignored, and so is a plan that asks a device for more
requests a second than it may be asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collectors import registry
from collectors.base import Collector, Device, Facts, Point, numbered
from protocol.content import ucum
from protocol.errors import ConfigError
from protocol.limits import STREAM_TAGS
from protocol.settings.beyond import look_at_disk, look_at_keys
from protocol.settings.findings import Findings, read_table, read_tables, under
from protocol.settings.key_files import unfit_alone
from protocol.settings.toml_file import read
from protocol.written import duration
from sender.poll import alarms, validity
from sender.poll.crossed import doubles, levels, vouchers
from sender.poll.tables import AssetTable, RecommendationsTable, ScanTable, SpoolTable, TagTable, TopKeys
from sender.settings import KeysTable, OutletTable

HOMES = (
    dict.fromkeys(TagTable.model_fields, "a tag, { name = .., at = .. }")
    | {key: "[[asset]]" for key in ("class", *AssetTable.model_fields) if key != "kind"}
    | {"every": "[[asset.scan]]", "tags": "[[asset.scan]]", "site": "the top of the file, before any table"}
    | dict.fromkeys(SpoolTable.model_fields, "[spool]")
    | dict.fromkeys(KeysTable.model_fields, "[keys]")
    | dict.fromkeys(OutletTable.model_fields, "[outlet]")
)
"""Key -> where it belongs."""

SILENCE_S = 60.0
"""Longest time between two sendings of a tag by deadband or subscription, where nothing else is said [s]."""

TABLES = ("outlet", "keys", "spool", "recommendations", "asset")
"""Tables of the file."""

PATTERN_MOST = 100
"""Values that a pattern may find where nothing is said."""

Find = Callable[[str], type[Collector]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedPoint:
    """A point beside its table, with what follows from its scan and its collector."""

    point: Point
    table: TagTable
    stated: Facts
    """What its table says without the device; of an array the first element's."""
    scan_s: float
    """Period of its scan [s]."""
    silence_s: float
    """Longest time between two sendings while it is healthy [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetConfig:
    """One machine."""

    table: AssetTable
    device: Device
    """What its collector is given."""
    watched: tuple[WatchedPoint, ...]
    """One a point of the device, in number order."""
    collector: type[Collector]
    subscribes: bool
    """Its reads drain notifications, so a point may have none, or several."""
    alarms: tuple[alarms.Alarm, ...]
    rules: tuple[validity.Rule, ...]
    """What decides whether its values mean anything."""
    raw: Mapping[str, Any]
    """Its table as it stands in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderConfig:
    """The whole file, right."""

    path: Path
    site: str
    outlet: OutletTable
    keys: KeysTable
    """Its paths are absolute."""
    spool: SpoolTable
    recommendations: RecommendationsTable
    """Its paths are absolute."""
    assets: tuple[AssetConfig, ...]
    warnings: tuple[str, ...]
    """What may be meant but looks wrong, one line each."""
    digest: str
    """SHA-256 of the file's bytes, in hex: names the configuration in STATE blocks."""
    raw: Mapping[str, Any]
    """The file's other tables and keys as they stand."""
    data: bytes
    """The file as it was read."""

    @property
    def state(self) -> Path:
        """Folder of the spool and of the processes' own files: `state` beside the configuration."""
        return self.path.parent / "state"


def load(path: Path, *, find: Find = registry.load, look: bool = False, source: Path | None = None) -> SenderConfig:
    """Read and check `sender.toml`.

    Args:
        path: The file; other paths in it are relative to its folder.
        find: Name -> collector.
        look: At the key files and the disk too, as `--check` does; who only reads a status may not read keys.
        source: A file that is read in its place, and checked as if it stood there already.

    Raises:
        ConfigError: with every mistake of the file, one a line.
    """
    path = path.absolute()
    raw, data = read(source or path, hint="checkvalve init high DIR makes one to begin with")
    found = Findings(homes=HOMES)
    top = {key: value for key, value in raw.items() if key not in TABLES}
    site = read_table(TopKeys, top, "", found, beside=TABLES).site
    outlet = read_table(OutletTable, raw.get("outlet"), "outlet", found)
    keys = read_table(KeysTable, raw.get("keys"), "keys", found)
    spool = read_table(SpoolTable, raw.get("spool", {}), "spool", found)
    proposals = read_table(RecommendationsTable, raw.get("recommendations", {}), "recommendations", found)
    assets = _assets(raw.get("asset", []), found, find, path.parent / "state")
    if outlet.repeat and under("outlet", "repeat") not in found.mistakes and spool.keep < outlet.repeat[-1]:
        late = duration(outlet.repeat[-1])
        found.wrong("spool.keep", f"shorter than the last repeat, {late}, which would find nothing; keep it longer")
    if "/" in site:
        found.odd("site", f'"{site}" has a slash, which parts site, area and unit in paths; write it with a -')
    keys, proposals = keys.beside(path.parent), proposals.beside(path.parent)
    if look:
        look_at_keys("high", "receivers", keys.own, keys.receivers, found)
        for at, file in enumerate(proposals.keys):
            if text := unfit_alone("recommend", file):
                found.wrong(f"recommendations.keys[{at}]", text)
        look_at_disk(path.parent, "spool.max_gb", spool.max_gb, found)
    again = f"send {path} --check" if source is None else f"apply {path} --from {source}"
    found.settle(source or path, f"checkvalve {again}", data)
    for missing in (file for file in [*keys.files(), *proposals.files()] if not file.exists()):
        found.odd("keys", f"{missing} is not there yet; make it with `checkvalve keys new`, or carry it over")
    return SenderConfig(
        path=path,
        site=site,
        outlet=outlet,
        keys=keys,
        spool=spool,
        recommendations=proposals,
        assets=tuple(assets),
        warnings=tuple(found.warnings),
        digest=hashlib.sha256(data).hexdigest(),
        raw={key: value for key, value in raw.items() if key != "asset"},
        data=data,
    )


def devices(config: SenderConfig) -> list[Device]:
    """Every device, in the file's order."""
    return [asset.device for asset in config.assets]


def _assets(given: object, found: Findings, find: Find, state: Path) -> list[AssetConfig]:
    out: list[AssetConfig] = []
    names: dict[str, str] = {}
    for path, one in read_tables(given, "asset", found):
        asset = _asset(one, path, found, find, state)
        name = asset.table.name
        if under(path, "name") not in found.mistakes:
            if name in names:
                found.wrong(under(path, "name"), f'"{name}" is {names[name]} already; choose another name')
            names.setdefault(name, path)
        out.append(asset)
    tags = sum(sum(one.point.count for one in asset.watched) for asset in out)
    if tags > STREAM_TAGS:
        found.wrong("asset", f"{tags} tags are more than a stream has, {STREAM_TAGS}; split the plant over two senders")
    if not out:
        found.odd("asset", "no device is read; add [[asset]], or let `checkvalve discover` draft one")
    return out


def _asset(given: dict[str, Any], path: str, found: Findings, find: Find, state: Path) -> AssetConfig:
    protocol = given.get("collector")
    apart = {"scan", "alarm"}
    if isinstance(protocol, str) and protocol not in AssetTable.model_fields:
        apart.add(protocol)
    name = str(given.get("name", ""))
    table = read_table(AssetTable, {key: value for key, value in given.items() if key not in apart}, path, found, name)
    collector = None
    if under(path, "collector") not in found.mistakes:
        try:
            collector = find(table.collector)
        except ConfigError as error:
            found.wrong(under(path, "collector"), f"{error}; {error.hint}", name)
            for key in (key for key, value in given.items() if isinstance(value, dict)):
                found.mistakes.pop(under(path, key), None)  # settings of the collector that was meant
    settings = given.get(table.collector, {}) if "collector" in given else {}
    if not isinstance(settings, dict):
        found.wrong(under(path, table.collector), f"no table; write [asset.{table.collector}]", name)
        settings = {}
    places: dict[str, str] = {}
    scans = _scans(given.get("scan", []), path, found, places, collector, name)
    device = Device(
        name=table.name,
        url=table.addresses[0],
        urls=table.urls,
        kind=table.kind,
        settings=settings,
        scans=numbered([(every_s, [tag.options | _own(tag, collector) for tag in tags]) for every_s, tags in scans]),
        timeout_s=table.timeout,
        requests_s=table.requests_s,
        never_read=table.never_read,
        folder=state,
    )
    flat = [(every_s, tag) for every_s, tags in scans for tag in tags]
    if collector is not None:
        _check(collector, device, path, places, found, name)
    stated = {} if collector is None else collector.stated(device)
    levels(stated, device, flat, places, found, name)
    numbers = _numbers(device)
    types = {point.name: point.type for point in device.points}
    doubles(flat, places, found, name)
    vouchers(device, flat, places, numbers, found, name)
    return AssetConfig(
        table=table,
        device=device,
        watched=_watched(device, flat, places, collector, stated, found, name),
        collector=collector or Collector,
        subscribes=collector is not None and collector.notifies(device),
        alarms=alarms.read(given.get("alarm", []), under(path, "alarm"), found, numbers, types, name),
        rules=() if found.mistakes else tuple(validity.rules(_spans(device, flat), numbers)),
        raw=given,
    )


def _scans(
    given: object,
    path: str,
    found: Findings,
    places: dict[str, str],
    collector: type[Collector] | None,
    name: str,
) -> list[tuple[float, list[TagTable]]]:
    scans: list[tuple[float, list[TagTable]]] = []
    for at, one in read_tables(given, under(path, "scan"), found, name):
        scan = _scan(one, at, found, places, collector, name)
        if scan[1]:
            scans.append(scan)
        else:
            found.odd(at, "no tag is read; add tags, or take the scan out", name)
    if not scans:
        found.odd(under(path, "scan"), "no tag is read; add [[asset.scan]] with every and tags", name)
    return scans


def _check(
    collector: type[Collector], device: Device, path: str, places: Mapping[str, str], found: Findings, name: str
) -> None:
    """What the collector finds, what it does not offer, and whether its plan stays within the budget."""
    before = len(found.mistakes)
    for key, given in (("never_read", device.never_read), ("urls", device.urls[1:])):
        if given and key not in collector.offers:
            found.wrong(under(path, key), f"the {collector.protocol} collector does not know it; take it out", name)
    for line in collector.check(device):
        key, text, tag = _placed(line, path, places)
        found.wrong(key, text or "wrong", name, tag)
    if len(found.mistakes) > before:
        return
    for line in collector.doubts(device):
        key, text, tag = _placed(line, path, places)
        found.odd(*((key, text) if tag else (path, line)), name, tag)
    if device.budget is None:
        return
    planned = sum(1 / request.every_s for request in collector.plan(device))
    if planned > device.budget:
        step = "make periods longer, take tags out or move them together, or raise requests_s"
        text = f"{planned:.3g} requests/s are planned, {device.budget:g} are allowed; {step}"
        found.wrong(under(path, "requests_s"), text, name)


def _numbers(device: Device) -> dict[str, int]:
    """Point number by tag name, an array's elements too; not of a pattern, whose values nobody knows yet."""
    out = {}
    for point in device.points:
        if point.count == 1 and not point.pattern:
            out[point.name] = point.number
        elif not point.pattern:
            out |= {f"{point.name}[{index}]": point.number + index for index in range(point.count)}
    return out


def _spans(device: Device, flat: Sequence[tuple[float, TagTable]]) -> dict[str, tuple[range, TagTable]]:
    return {
        point.name: (range(point.number, point.number + point.count), tag)
        for point, (_, tag) in zip(device.points, flat, strict=True)
    }


def _watched(
    device: Device,
    flat: Sequence[tuple[float, TagTable]],
    places: Mapping[str, str],
    collector: type[Collector] | None,
    stated: Mapping[int, Facts],
    found: Findings,
    name: str,
) -> tuple[WatchedPoint, ...]:
    subscribes = collector is not None and collector.notifies(device)
    return tuple(
        WatchedPoint(
            point=point,
            table=tag,
            stated=stated.get(point.number, Facts()),
            scan_s=every_s,
            silence_s=_silence(tag, every_s, under(places[tag.name], "max_silence"), found, name, subscribes),
        )
        for point, (every_s, tag) in zip(device.points, flat, strict=True)
    )


def _scan(
    given: dict[str, Any],
    path: str,
    found: Findings,
    places: dict[str, str],
    collector: type[Collector] | None,
    asset: str,
) -> tuple[float, list[TagTable]]:
    """One scan; `places` learns where each tag stands, and knows those of the scans before."""
    table = read_table(ScanTable, {key: value for key, value in given.items() if key != "tags"}, path, found, asset)
    tags_read = []
    for at, one in read_tables(given.get("tags", []), under(path, "tags"), found, asset):
        tag = read_table(TagTable, one, at, found, asset, str(one.get("name", "")))
        if under(at, "at") in found.mistakes:
            continue
        if under(at, "name") in found.mistakes:
            tag = tag.model_copy(update={"name": at})  # unlike any other, so that its address is checked all the same
        for element in {tag.name, *_elements(tag)}:
            if element in places:
                found.wrong(under(at, "name"), f'"{element}" is {places[element]} already; choose another name', asset)
                tag = tag.model_copy(update={"name": at})
        places.update(dict.fromkeys((tag.name, *_elements(tag)), at))
        if not ucum.known(tag.unit):
            meant = ucum.meant(tag.unit)
            step = f'did you mean "{meant}"?' if meant else "it is carried as it stands"
            found.odd(under(at, "unit"), f'"{tag.unit}" is no UCUM code that is known here; {step}', asset, tag.name)
        if tag.most is not None and not _spreads(tag, collector):
            found.wrong(under(at, "most"), f"{tag.at} names one value; take it out", asset, tag.name)
        if isinstance(tag.states, dict) and (collector is None or "states" not in collector.offers):
            found.wrong(under(at, "states"), 'no list; write ["off", "on"]', asset, tag.name)
        tags_read.append(tag)
    return table.every, tags_read


def _elements(tag: TagTable) -> list[str]:
    return [f"{tag.name}[{index}]" for index in range(tag.count)] if tag.count > 1 else []


def _spreads(tag: TagTable, collector: type[Collector] | None) -> bool:
    return collector is not None and "most" in collector.offers and collector.spreads(tag.at)


def _own(tag: TagTable, collector: type[Collector] | None) -> dict[str, Any]:
    own: dict[str, Any] = {"name": tag.name, "at": tag.at, "type": tag.type, "count": tag.count, "unit": tag.unit}
    return own | {"pattern": True, "count": tag.most or PATTERN_MOST} if _spreads(tag, collector) else own


def _silence(tag: TagTable, every_s: float, path: str, found: Findings, asset: str, subscribes: bool) -> float:
    """Longest time between two sendings of the tag [s]."""
    sparse = subscribes or tag.deadband is not None
    silence_s = tag.max_silence or (max(SILENCE_S, every_s) if sparse else every_s)
    if silence_s < every_s:
        found.wrong(path, f"shorter than the scan's period, {duration(every_s)}; make it longer", asset, tag.name)
    elif tag.max_silence and not sparse:
        found.odd(path, "has no effect without a deadband: every poll is sent; take it out", asset, tag.name)
    return silence_s


def _placed(line: str, path: str, places: Mapping[str, str]) -> tuple[str, str, str]:
    """Place in the file, text and tag of a collector's own finding, `tags.NAME.key: text`; no tag where it has none."""
    key, _, text = line.partition(": ")
    name, dot, part = key.removeprefix("tags.").rpartition(".")
    while dot and name not in places:  # a name may have dots, and so may what stands behind it
        name, dot, more = name.rpartition(".")
        part = f"{more}.{part}"
    if key.startswith("tags.") and dot:
        return under(places[name], part), text, name
    return under(path, key), text, ""

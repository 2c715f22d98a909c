"""`sender.toml`: read, checked whole, and handed on as one frozen value.

Every mistake of the file is gathered before anything is raised, each as one line

    asset[2].scan[0].tags[3].at (pump-7, flow): what is wrong; next step

A table with a mistake is read again with that key put right, only to find the mistakes behind it; what comes out of
such a reading is never used. What may be meant but looks wrong is a warning.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from collectors import registry
from collectors.base import Collector, Device, Point, numbered
from protocol import units
from protocol.errors import ConfigError
from protocol.limits import STREAM_TAGS
from protocol.text import duration, toml
from sender.settings import AssetTable, Keys, Outlet, ScanTable, Section, Spool, TagTable, Top

SILENCE_S = 60.0
"""Longest time between two sendings of a tag by deadband or subscription, where nothing else is said [s]."""

TABLES = ("outlet", "keys", "spool", "asset")
"""Tables of the file."""

Find = Callable[[str], type[Collector]]
AnySection = TypeVar("AnySection", bound=Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A point beside its table, with what follows from its scan and its collector."""

    point: Point
    table: TagTable
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
    watched: tuple[Watched, ...]
    """One a point of the device, in number order."""
    collector: type[Collector]
    subscribes: bool
    """Its reads drain notifications, so a point may have none, or several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderConfig:
    """The whole file, right."""

    path: Path
    site: str
    outlet: Outlet
    keys: Keys
    """Its paths are absolute."""
    spool: Spool
    assets: tuple[AssetConfig, ...]
    warnings: tuple[str, ...]
    """What may be meant but looks wrong, one line each."""
    digest: str
    """SHA-256 of the file's bytes, in hex: names the configuration in STATE blocks."""

    @property
    def state(self) -> Path:
        """Folder of the spool and of the processes' own files: `state` beside the configuration."""
        return self.path.parent / "state"


@dataclass(slots=True)
class Findings:
    """Mistakes and warnings, each with its key."""

    mistakes: dict[str, str] = field(default_factory=dict)
    """Key path -> line; the first mistake of a key is told, what follows from it is not."""
    warnings: list[str] = field(default_factory=list)

    def wrong(self, path: str, text: str, *names: str) -> None:
        """Write a mistake down."""
        self.mistakes.setdefault(path, _line(path, text, names))

    def odd(self, path: str, text: str, *names: str) -> None:
        """Write a warning down."""
        self.warnings.append(_line(path, text, names))


def load(path: Path, *, find: Find = registry.load) -> SenderConfig:
    """Read and check `sender.toml`.

    Args:
        path: The file; other paths in it are relative to its folder.
        find: Name -> collector.

    Raises:
        ConfigError: with every mistake of the file, one a line.
    """
    path = path.absolute()
    raw, digest = _read(path)
    found = Findings()
    top = section(Top, {key: value for key, value in raw.items() if key not in TABLES}, "", found)
    outlet = section(Outlet, raw.get("outlet"), "outlet", found)
    keys = section(Keys, raw.get("keys"), "keys", found)
    spool = section(Spool, raw.get("spool", {}), "spool", found)
    assets = _assets(raw.get("asset", []), found, find)
    if found.mistakes:
        count = len(found.mistakes)
        text = f"{path} has {count} mistake{'s' * (count > 1)}:\n  " + "\n  ".join(found.mistakes.values())
        raise ConfigError(text, hint=f"mend the file and try again: checkvalve send {path} --check")
    folder = path.parent
    keys = keys.model_copy(
        update={"own": folder / keys.own, "receivers": tuple(folder / one for one in keys.receivers)}
    )
    for missing in (one for one in (keys.own, *keys.receivers) if not one.exists()):
        found.odd("keys", f"{missing} is not there yet; make it with `checkvalve keys new`, or carry it over")
    return SenderConfig(
        path=path,
        site=top.site,
        outlet=outlet,
        keys=keys,
        spool=spool,
        assets=tuple(assets),
        warnings=tuple(found.warnings),
        digest=digest,
    )


def devices(config: SenderConfig) -> list[Device]:
    """Every device, in the file's order."""
    return [asset.device for asset in config.assets]


def section(model: type[AnySection], given: object, path: str, found: Findings, *names: str) -> AnySection:
    """Read one table; mistakes are written down and the nearest right reading is returned.

    Args:
        path: Key path of the table, empty at the top.
        names: Asset and tag, for people.
    """
    if not isinstance(given, dict):
        what = "missing" if given is None else "no table"
        found.wrong(path, f"{what}; write [{path}] with " + _example(model, *model.EXAMPLES), *names)
        given = model.EXAMPLES
    table = dict(given)
    try:
        read = model.model_validate(table)
    except ValidationError as error:
        for detail in error.errors():
            found.wrong(_at(path, *detail["loc"]), _explain(model, detail), *names)
            key = str(detail["loc"][0])
            table.pop(key, None)
            if key in model.EXAMPLES:
                table[key] = model.EXAMPLES[key]
        read = model.model_validate(table)
    for key, text in read.crossed():
        found.wrong(_at(path, key), text, *names)
    return read


def _read(path: Path) -> tuple[dict[str, Any], str]:
    try:
        data = path.read_bytes()
        return tomllib.loads(data.decode()), hashlib.sha256(data).hexdigest()
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist", hint="examples/sender.toml is a complete one to begin with"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start})", hint="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}", hint="mend that line; texts stand in quotes") from None


def _assets(given: object, found: Findings, find: Find) -> list[AssetConfig]:
    out: list[AssetConfig] = []
    names: dict[str, str] = {}
    for path, one in _tables(given, "asset", found):
        asset = _asset(one, path, found, find)
        name = asset.table.name
        if _at(path, "name") not in found.mistakes:
            if name in names:
                found.wrong(_at(path, "name"), f'"{name}" is {names[name]} already; choose another name')
            names.setdefault(name, path)
        out.append(asset)
    tags = sum(sum(one.table.count for one in asset.watched) for asset in out)
    if tags > STREAM_TAGS:
        found.wrong("asset", f"{tags} tags are more than a stream has, {STREAM_TAGS}; split the plant over two senders")
    if not out:
        found.odd("asset", "no device is read; add [[asset]], or let `checkvalve discover` draft one")
    return out


def _asset(given: dict[str, Any], path: str, found: Findings, find: Find) -> AssetConfig:
    protocol = given.get("collector")
    apart = {"scan", protocol} if isinstance(protocol, str) and protocol not in AssetTable.model_fields else {"scan"}
    name = str(given.get("name", ""))
    table = section(AssetTable, {key: value for key, value in given.items() if key not in apart}, path, found, name)
    collector = None
    if _at(path, "collector") not in found.mistakes:
        try:
            collector = find(table.collector)
        except ConfigError as error:
            found.wrong(_at(path, "collector"), f"{error}; {error.hint}", name)
    settings = given.get(table.collector, {}) if "collector" in given else {}
    if not isinstance(settings, dict):
        found.wrong(_at(path, table.collector), f"no table; write [asset.{table.collector}]", name)
        settings = {}
    scans: list[tuple[float, list[TagTable]]] = []
    places: dict[str, str] = {}
    for at, one in _tables(given.get("scan", []), _at(path, "scan"), found, name):
        scan = _scan(one, at, found, places, name)
        if scan[1]:
            scans.append(scan)
        else:
            found.odd(at, "no tag is read; add tags, or take the scan out", name)
    if not scans:
        found.odd(_at(path, "scan"), "no tag is read; add [[asset.scan]] with every and tags", name)
    device = Device(
        name=table.name,
        url=table.url,
        kind=table.kind,
        settings=settings,
        scans=numbered([(every_s, [tag.options | _own(tag) for tag in tags]) for every_s, tags in scans]),
        timeout_s=table.timeout,
    )
    for line in collector.check(device) if collector else ():
        _checked(line, path, places, found, name)
    flat = [(every_s, tag) for every_s, tags in scans for tag in tags]
    subscribes = collector is not None and collector.notifies(device)
    watched = tuple(
        Watched(
            point=point,
            table=tag,
            scan_s=every_s,
            silence_s=_silence(tag, every_s, _at(places[tag.name], "max_silence"), found, name, subscribes),
        )
        for point, (every_s, tag) in zip(device.points, flat, strict=True)
    )
    return AssetConfig(
        table=table, device=device, watched=watched, collector=collector or Collector, subscribes=subscribes
    )


def _scan(
    given: dict[str, Any], path: str, found: Findings, places: dict[str, str], asset: str
) -> tuple[float, list[TagTable]]:
    """One scan; `places` learns where each tag stands, and knows those of the scans before."""
    table = section(ScanTable, {key: value for key, value in given.items() if key != "tags"}, path, found, asset)
    tags = []
    for at, one in _tables(given.get("tags", []), _at(path, "tags"), found, asset):
        tag = section(TagTable, one, at, found, asset, str(one.get("name", "")))
        if _at(at, "at") in found.mistakes:
            continue
        if _at(at, "name") in found.mistakes:
            tag = tag.model_copy(update={"name": at})  # unlike any other, so that its address is checked all the same
        for element in {tag.name, *_elements(tag)}:
            if element in places:
                found.wrong(_at(at, "name"), f'"{element}" is {places[element]} already; choose another name', asset)
                tag = tag.model_copy(update={"name": at})
        places.update(dict.fromkeys((tag.name, *_elements(tag)), at))
        if not units.known(tag.unit):
            meant = units.meant(tag.unit)
            step = f'did you mean "{meant}"?' if meant else "it is carried as it stands"
            found.odd(_at(at, "unit"), f'"{tag.unit}" is no UCUM code that is known here; {step}', asset, tag.name)
        tags.append(tag)
    return table.every, tags


def _elements(tag: TagTable) -> list[str]:
    return [f"{tag.name}[{index}]" for index in range(tag.count)] if tag.count > 1 else []


def _own(tag: TagTable) -> dict[str, Any]:
    return {"name": tag.name, "at": tag.at, "type": tag.type, "count": tag.count, "unit": tag.unit}


def _silence(tag: TagTable, every_s: float, path: str, found: Findings, asset: str, subscribes: bool) -> float:
    """Longest time between two sendings of the tag [s]."""
    sparse = subscribes or tag.deadband is not None
    silence_s = tag.max_silence or (max(SILENCE_S, every_s) if sparse else every_s)
    if silence_s < every_s:
        found.wrong(path, f"shorter than the scan's period, {duration(every_s)}; make it longer", asset, tag.name)
    elif tag.max_silence and not sparse:
        found.odd(path, "has no effect without a deadband: every poll is sent; take it out", asset, tag.name)
    return silence_s


def _checked(line: str, path: str, places: Mapping[str, str], found: Findings, asset: str) -> None:
    """Write a collector's own finding down, `tags.NAME.key: text` under the tag's place in the file."""
    key, _, text = line.partition(": ")
    name, dot, part = key.removeprefix("tags.").rpartition(".")
    while dot and name not in places:  # a name may have dots, and so may what stands behind it
        name, dot, more = name.rpartition(".")
        part = f"{more}.{part}"
    if key.startswith("tags.") and dot:
        found.wrong(_at(places[name], part), text, asset, name)
    else:
        found.wrong(_at(path, key), text or "wrong", asset)


def _tables(given: object, path: str, found: Findings, *names: str) -> list[tuple[str, dict[str, Any]]]:
    """Key path and content of each table in a list; what is no table is written down and left out."""
    if not isinstance(given, list):
        found.wrong(path, f"no list; write [[{path.rpartition('.')[2]}]]", *names)
        return []
    for index, one in enumerate(given):
        if not isinstance(one, dict):
            found.wrong(_at(path, index), f"{one!r} is no table; write {{ name = .., at = .. }}", *names)
    return [(_at(path, index), one) for index, one in enumerate(given) if isinstance(one, dict)]


def _explain(model: type[Section], detail: ErrorDetails) -> str:
    """pydantic's finding in this project's words: what is wrong; next step."""
    key, kind, value = str(detail["loc"][-1]), detail["type"], detail["input"]
    known = [one.alias or name for name, one in model.model_fields.items()]
    if kind == "missing":
        return "missing; write " + _example(model, key)
    if kind == "extra_forbidden":
        if isinstance(value, dict) and "collector" in known:
            return f'settings of another collector; take them out, or write collector = "{key}"'
        near = get_close_matches(key, [*known, *TABLES] if model is Top else known, n=1)
        return "unknown key; " + (f"did you mean {near[0]}?" if near else "known are " + ", ".join(known))
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind in _WORDS:
        return f"{value!r} {_WORDS[kind]}"
    return f"{value!r} does not fit; it {detail['msg'].removeprefix('Input ')}"


_WORDS = {
    "string_type": "is no text; put it in quotes",
    "bool_type": "is neither true nor false; write one of them, without quotes",
    "float_type": "is no number; write it without quotes",
    "int_type": "is no whole number; write it without quotes and point",
    "tuple_type": "is no list; write it in square brackets",
    "finite_number": "is no finite number; leave it out",
}
"""pydantic's error types in words (the others' messages name the limit that was passed)."""


def _example(model: type[Section], *keys: str) -> str:
    return ", ".join(f"{key} = {toml(model.EXAMPLES.get(key, '..'))}" for key in keys) or "its keys"


def _at(path: str, *keys: str | int) -> str:
    """`outlet`, `repeat`, 1 -> `outlet.repeat[1]`."""
    for key in keys:
        path += f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
    return path


def _line(path: str, text: str, names: tuple[str, ...]) -> str:
    told = ", ".join(name for name in names if name)
    return f"{path} ({told}): {text}" if told else f"{path}: {text}"

"""Installed files against the RECORD of their wheel (Python packaging: "Recording installed projects").

RECORD names each file of a distribution with its SHA-256. A file that is other, missing, or beside ours without being
named is told. An editable installation runs a working copy and has no such record: it is told as such, with one hash
over its sources, so that two machines can still be compared.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from audit.report.machine_facts import NAMES
from audit.source.walk import ROOMS

SHOWN = 40
"""Most files named of a kind."""
_CODE = {".py", ".so", ".pyd", ".toml", ".pth"}
"""Files that decide what runs: one of these beside ours that no RECORD names is a stranger."""


@dataclass(slots=True, kw_only=True)
class DistributionFiles:
    """One distribution's files, compared."""

    name: str
    version: str
    editable: str = ""
    """Folder of the working copy, where it is installed so."""
    record_sha256: str = ""
    checked: int = 0
    changed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    """In our rooms and in no RECORD."""
    sources_sha256: str = ""
    """Over all Python files of our rooms: name and hash of each, sorted."""

    @property
    def right(self) -> bool:
        """Whether every file is the recorded one."""
        return not (self.changed or self.missing or self.strange)

    def plain(self) -> dict[str, Any]:
        """The comparison as evidence; of many names the first ones."""
        out: dict[str, Any] = {"distribution": f"{self.name} {self.version}", "record_sha256": self.record_sha256}
        if self.sources_sha256:
            out["sources_sha256"] = self.sources_sha256
        if self.editable:
            return out | {"editable": self.editable}
        out["files"] = self.checked
        for kind in ("changed", "missing", "strange"):
            if names := getattr(self, kind):
                out[kind] = names[:SHOWN]
        return out


def compare(distribution: metadata.Distribution, *, ours: bool) -> DistributionFiles:
    """Hash every recorded file.

    Args:
        found: An installed distribution.
        ours: Its rooms are looked through for files that no RECORD names.
    """
    record = distribution.read_text("RECORD") or ""
    out = DistributionFiles(
        name=distribution.name,
        version=distribution.version,
        editable=_editable(distribution),
        record_sha256=hashlib.sha256(record.encode()).hexdigest() if record else "",
    )
    if ours:
        out.sources_sha256 = tree_sha256(
            Path(out.editable) if out.editable else Path(str(distribution.locate_file("")))
        )
    if out.editable:
        return out
    named: set[Path] = set()
    # RECORD is read here: from Python 3.12 on `distribution.files` leaves out what is missing
    for one, recorded, *_ in (row for row in csv.reader(record.splitlines()) if len(row) > 1):
        path = Path(str(distribution.locate_file(one)))
        named.add(path.resolve())
        mode, _, expected = recorded.partition("=")
        if mode != "sha256":
            continue
        out.checked += 1
        try:
            digest = hashlib.sha256(path.read_bytes()).digest()
        except OSError:
            out.missing.append(one)
            continue
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != expected:
            out.changed.append(one)
    if ours:
        root = Path(str(distribution.locate_file("")))
        out.strange = [str(path.relative_to(root)) for path in _code(root) if path.resolve() not in named]
    return out


def added_collectors() -> dict[str, metadata.Distribution]:
    """Collectors that came with another distribution than ours, by the word that a configuration names them with."""
    found = metadata.entry_points(group="checkvalve.collectors")
    return {one.name: one.dist for one in found if one.dist is not None and plain_name(one.dist.name) not in NAMES}


def libraries_of(distribution: metadata.Distribution) -> list[metadata.Distribution]:
    """Everything that a distribution requires, and what that requires, as far as it is installed."""
    out: dict[str, metadata.Distribution] = {}
    todo = list(_required(distribution))
    while todo:
        name = todo.pop()
        if name in out:
            continue
        try:
            out[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        todo += _required(out[name])
    return [out[name] for name in sorted(out)]


def tree_sha256(root: Path) -> str:
    """One hash over the Python files of our rooms: `NAME SHA256` a line, sorted."""
    lines = [
        f"{path.relative_to(root).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in sorted(_code(root))
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def plain_name(text: str) -> str:
    """A distribution's name as it is compared (PEP 503)."""
    return text.lower().replace("_", "-").replace(".", "-")


def _required(distribution: metadata.Distribution) -> Iterator[str]:
    for line in distribution.requires or ():
        requirement, _, marker = line.partition(";")
        if "extra ==" in marker:
            continue
        name = ""
        for letter in requirement.strip():
            if not (letter.isalnum() or letter in "-_."):
                break
            name += letter
        yield plain_name(name)


def _editable(distribution: metadata.Distribution) -> str:
    """Folder of an editable installation (PEP 610), else empty."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        if origin.get("dir_info", {}).get("editable"):
            return str(origin["url"]).removeprefix("file://")
    except (ValueError, KeyError, AttributeError):
        return ""
    return ""


def _code(root: Path) -> Iterator[Path]:
    """Files of our rooms that decide what runs."""
    for room in ROOMS:
        alone = root / f"{room}.py"
        if alone.is_file():
            yield alone
        for path in (root / room).rglob("*"):
            if path.suffix in _CODE and path.is_file() and "__pycache__" not in path.parts:
                yield path

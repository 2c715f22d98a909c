"""The high side's findings on their way: left for `poll` to send with the data, found again in the low side's journal.

    leave     high: a kept findings document is put into `state/outbox`; poll makes FILE blocks of it
    arrived   low: FILE blocks of the journal (or of a copy of it) are opened with the low side's `open.key`
    collect   low: those that are findings documents are kept, byte for byte as they were sent

Only findings of `audit live` about the high side are taken so. There is no other way for them: a report of both sides
is made on the low side, from what came with the data. Each was sealed under an EPOCH that the high side signed. What is
not there is not said to be well: DAY-1 lists the day.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audit.check import read_findings
from audit.report.period import moment
from protocol import seal
from protocol.block import BlockKind, read_header
from protocol.content.parts import OUTBOX, FileParts, WholeFile
from protocol.errors import ConfigError, FrameError, Reason
from protocol.keys import PrivateKey, PublicKey, load_public
from protocol.opening_keys import load_opening
from protocol.seal import Seal
from protocol.settings.toml_file import read as read_settings
from protocol.store import statefile
from protocol.store.layout import kept_streams, segment_numbers, segment_path
from protocol.store.reader import read_kept
from protocol.store.record import Record
from protocol.store.resync import scan_kinds

CARRIED = "live high"
"""The one command whose findings are taken from the link."""


@dataclass(slots=True, kw_only=True)
class Arrived:
    """What FILE blocks of a journal held."""

    files: list[WholeFile] = field(default_factory=list)
    unopened: Counter[str] = field(default_factory=Counter)
    """FILE blocks that could not be read, by reason."""
    incomplete: int = 0
    """Files of which parts are missing: healed by the link's repeats, or by `replay`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What `collect` took over from the journal, and what it left."""

    new: tuple[Path, ...]
    known: int
    """Findings that the folder held already."""
    others: int
    """Files that are no findings of the high side's daily run; they are left where they are."""
    arrived: Arrived


def leave(document: Path, config: Path) -> Path:
    """High: put a findings document where `poll` takes it up. Returns the place.

    Args:
        document: The kept file.
        config: `sender.toml`.

    Raises:
        ConfigError: there is no outbox, or it cannot be written.
    """
    folder = config.absolute().parent / "state" / OUTBOX
    place = folder / document.name
    try:  # mode 644: poll runs under another user; the folder above says who may come this far
        statefile.write(place, document.read_bytes(), 0o644, inside=folder.parent)
        return place
    except FileNotFoundError:
        hint = "`poll` makes it at its start: has it run with this configuration?"
        raise ConfigError(f"there is no {folder}", hint=hint) from None
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}", hint="run it as root or as poll's user") from None


def collect(config: Path, folder: Path) -> Collected:
    """Low: keep what came of the high side's findings.

    Args:
        config: `receiver.toml`.
        folder: Where this side's own findings are kept too; made if missing.

    Raises:
        ConfigError: a configuration, key or journal that cannot be read, a folder that cannot be written.
    """
    journal, held, signers = _read(config)
    files = arrived(journal, held, signers)
    new, known, others = [], 0, 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        digests = {hashlib.sha256(path.read_bytes()).digest() for path in folder.glob("*.json")}
        for one in files.files:
            if not _is_findings(one):
                others += 1
            elif one.sha256 in digests:
                known += 1
            else:
                new.append(_write(folder, one))
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}", hint="choose another folder for --keep") from None
    return Collected(new=tuple(new), known=known, others=others, arrived=files)


def arrived(journal: Path, held: Sequence[PrivateKey], signers: Mapping[bytes, PublicKey]) -> Arrived:
    """All files that a journal holds whole.

    Args:
        journal: The journal's folder, or a copy.
        held: The low side's keys that open data (`protocol/opening_keys.py`).
        signers: The senders' `sign` keys, by id.
    """
    out, parts = Arrived(), FileParts()
    seals = {stream: _seals(journal, stream, held, signers) for stream in kept_streams(journal)}
    for number in segment_numbers(journal):
        for one in scan_kinds(segment_path(journal, number), (BlockKind.FILE,)):
            try:
                whole = parts.add(_opened(one, seals.get(one.stream, {})))
            except FrameError as error:
                out.unopened[error.reason.value] += 1
                continue
            if whole is not None:
                out.files.append(whole)
    out.incomplete = parts.waiting
    return out


def _seals(
    journal: Path, stream: bytes, held: Sequence[PrivateKey], signers: Mapping[bytes, PublicKey]
) -> dict[int, Seal]:
    """A stream's data keys by epoch; an EPOCH that does not verify or open gives none."""
    out = {}
    for one in read_kept(journal, stream, (BlockKind.EPOCH,)):
        try:
            epoch, key = seal.open_epoch(seal.verify(one.block, signers), stream, *held)
        except FrameError:
            continue
        out[epoch] = Seal(key, stream, epoch)
    return out


def _opened(one: Record, seals: Mapping[int, Seal]) -> dict[str, object]:
    header = read_header(one.block)
    if (header.stream, header.number) != (one.stream, one.number):
        raise FrameError(Reason.BODY, size=len(one.block))
    if header.epoch not in seals:
        raise FrameError(Reason.KEY, size=len(one.block))
    return seals[header.epoch].open(one.block)


def _is_findings(one: WholeFile) -> bool:
    """Whether it is what the high side's daily run writes: a taken high side must not speak for the low side."""
    try:
        findings = read_findings(one.data.decode(), one.name)
        moment(findings)
    except (ConfigError, UnicodeDecodeError):
        return False
    return findings.what == CARRIED


def _write(folder: Path, one: WholeFile) -> Path:
    """Under its own name, which is not believed: only its last part, and never over another file."""
    stem = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in Path(one.name).stem)[:150]
    path = folder / f"{stem.lstrip('.') or 'findings'}.json"
    if os.path.lexists(path):
        path = folder / f"{path.stem}_{one.sha256.hex()[:12]}.json"
    statefile.write(path, one.data, 0o644)
    return path


def _read(config: Path) -> tuple[Path, tuple[PrivateKey, ...], dict[bytes, PublicKey]]:
    """The journal's folder, the keys that open data, the senders' `sign` keys."""
    try:
        keys = read_settings(config).tables["keys"]
        own, senders = str(keys["own"]), [str(one) for one in keys["senders"]]
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{config}: [keys] own and senders cannot be read: {error}") from None
    folder = config.absolute().parent
    publics = [key for one in senders for key in load_public(folder / one)]
    signers = {key.id: key for key in publics if key.kind == "sign"}
    journal = folder / "state" / "journal"
    if not journal.is_dir():
        raise ConfigError(f"there is no {journal}", hint="give the receiver.toml of a low side that has run")
    return journal, load_opening(folder / own), signers

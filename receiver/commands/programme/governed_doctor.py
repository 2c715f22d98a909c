"""What `checkvalve doctor receiver.toml` looks at of governed reading: the trail, its checkpoints, people's secrets.

    the trail cannot be read, or does not fit its hashes     nobody signs in, nobody reads
    it ends before a checkpoint, or says otherwise there     its end is missing, or it was written anew
    nothing was signed for a while                           root could write what came since anew
    people.db was set aside, is damaged, is open to others   everybody needs a new link; secrets are read

The records that govern are read whole, as the pages read them, and of the others the newest; `trail verify` reads all.
`look` collects, `troubles` is pure.
"""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneway.doctor.trouble import Ailment, Rank
from protocol.errors import CheckvalveError
from protocol.process.as_owner import as_owner
from protocol.written import counted
from receiver.governed.grants.register import Grants
from receiver.governed.people import secret_store
from receiver.governed.people.register import People
from receiver.governed.trail import checkpoint, trail_file
from receiver.governed.trail.checkpoint import FOLDER, Checkpoint
from receiver.governed.trail.trail_reader import TrailReader

TAIL = 5_000
"""Newest entries whose hashes are looked at: a moment's work however long the trail is."""

UNSIGNED_S = 3 * 86_400
"""An entry that no checkpoint stands after for longer is told [s]: over a weekend; the timer signs every hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernedFacts:
    """What was found in a state folder."""

    file: Path
    """receiver.toml, for next steps."""
    trail_fault: str = ""
    """Why nobody can be let in."""
    entries: int = 0
    signed: int = 0
    """Number of the newest checkpoint; 0: there is none."""
    contradicts: bool = False
    """The entry of that number is not there, or is another."""
    unsigned_s: float = 0.0
    """Age of the oldest entry after it [s]."""
    people_fault: str = ""
    people_open: bool = False
    """People beside its owner may read the file of secrets."""
    set_aside: Sequence[str] = ()
    """Names of files of secrets that were set aside as damaged."""


def troubles(facts: GovernedFacts | None) -> Iterator[Ailment]:
    """What is wrong with it; None: nobody is enrolled here."""
    if facts is None:
        return
    verify = f"checkvalve trail verify {facts.file} tells which entries; docs/trail.md, Keeping, says what to do"
    if facts.trail_fault:
        yield Ailment(
            rank=Rank.OUTPUT,
            name="trail-unreadable",
            cause="the trail cannot be believed: nobody signs in, and nobody who signed in reads",
            evidence=(facts.trail_fault,),
            step=verify,
        )
    if facts.contradicts:
        yield Ailment(
            rank=Rank.OUTPUT,
            name="trail-contradicted",
            cause="the trail is not the one that was signed: its end is missing, or it was written anew",
            evidence=(f"the checkpoint of entry {facts.signed}; the trail has {counted(facts.entries, 'record')}",),
            step=verify,
        )
    elif facts.unsigned_s > UNSIGNED_S:
        since = f"entry {facts.signed}" if facts.signed else "its beginning"
        yield Ailment(
            rank=Rank.SAID,
            name="trail-unsigned",
            cause=f"no checkpoint was signed for {facts.unsigned_s / 86_400:.0f} days: whoever is root here could "
            "write anew what came since",
            evidence=(f"{counted(facts.entries - facts.signed, 'record')} since {since}",),
            step="systemctl status checkvalve-trail.timer, or checkvalve trail checkpoint; carry it off this machine",
        )
    if facts.people_fault:
        yield Ailment(
            rank=Rank.OUTPUT,
            name="people-unreadable",
            cause="the file of what people sign in with cannot be read: nobody signs in",
            evidence=(facts.people_fault,),
            step="restart receive: it sets a damaged file aside; then checkvalve person link for each, with --recovery",
        )
    elif facts.set_aside:
        yield Ailment(
            rank=Rank.SAID,
            name="people-set-aside",
            cause="a damaged file of what people sign in with was set aside: who was in it needs a new link",
            evidence=tuple(facts.set_aside[:3]),
            step=f"checkvalve person link {facts.file} LOGIN --recovery for each; then remove what was set aside",
        )
    if facts.people_open:
        yield Ailment(
            rank=Rank.OWNER,
            name="people-open",
            cause="others than its owner may read the file of what people sign in with, and make codes from it",
            evidence=(f"mode of state/{secret_store.NAME}",),
            step=f"chmod 600 state/{secret_store.NAME}; then new links for everybody, for it may have been read",
        )


def look(file: Path, state: Path, damaged: Sequence[str], wall_ns: int) -> tuple[GovernedFacts | None, list[str]]:
    """What can be seen, and what this user may not see.

    Args:
        file: receiver.toml.
        state: The state folder.
        damaged: Names of files in it that were set aside.
        wall_ns: The wall clock [ns since 1970 UTC].
    """
    path, secrets = trail_file.path_of(state), state / secret_store.NAME
    unseen: list[str] = []
    signed = checkpoint.newest(state / FOLDER)
    if not path.exists() and not secrets.exists() and signed is None:
        return None, unseen
    told: dict[str, Any] = {"signed": signed.number if signed else 0}
    try:
        told |= _trail(path, signed, wall_ns)
    except PermissionError:
        unseen.append(f"the trail, {path}")
    except (CheckvalveError, ValueError) as error:
        if isinstance(error.__cause__, PermissionError):
            unseen.append(f"the trail, {path}")
        else:
            told["trail_fault"] = str(error)
    try:
        told |= _secrets(secrets)
    except PermissionError:
        unseen.append(f"what people sign in with, {secrets}")
    aside = tuple(name for name in damaged if name.startswith(f"{secret_store.NAME}.damaged-"))
    return GovernedFacts(file=file, set_aside=aside, **told), unseen


def _trail(path: Path, signed: Checkpoint | None, wall_ns: int) -> dict[str, Any]:
    """Raises CheckvalveError or ValueError for what the pages could not take either."""
    reader = TrailReader(path)
    with closing(reader):
        people, grants = People(), Grants()
        for record in reader.governing():
            people.take(record)
            grants.take(record)
        end = reader.end()
        entries = end.number if end else 0
        for _ in reader.records(max(0, entries - TAIL)):
            pass
        after = signed.number if signed else 0
        contradicts = signed is not None and (after > entries or reader.at(after).hash != signed.hash)
        unsigned_s = (wall_ns - reader.at(after + 1).entry.at_ns) / 1e9 if after < entries else 0.0
    return {"entries": entries, "contradicts": contradicts, "unsigned_s": unsigned_s}


def _secrets(path: Path) -> dict[str, Any]:
    """Raises PermissionError."""
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode):
            return {"people_fault": f"{path} is no plain file"}
        with as_owner(about), path.open("rb"):
            pass
        with as_owner(about), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as sql:
            (found,) = sql.execute("PRAGMA quick_check(1)").fetchone()
            sql.execute("SELECT count(*) FROM credential").fetchone()
    except FileNotFoundError:
        return {}
    except sqlite3.Error as error:
        return {"people_fault": f"{path}: {error}"}
    fault = "" if found == "ok" else f"{path}: {found}"
    return {"people_fault": fault, "people_open": bool(about.st_mode & 0o077)}

"""`state/running.json`: the configuration that poll runs, byte for byte, and which application it is.

poll writes it at its start and at a reload, and nobody else does. So a change can always be told against what runs,
whatever stands in the file meanwhile, and a start knows whether the file was changed while nothing ran. What changed
without `checkvalve apply` (edited by hand, then reloaded or started) is a change of the kind `found`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.content.applied import FOUND, AppliedChange
from protocol.errors import StoreError
from protocol.process.document import from_json, to_json
from protocol.settings.toml_file import MARK
from protocol.store import statefile
from sender.change import applications
from sender.poll import difference

NAME = "running.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCopy:
    """What runs, or ran last."""

    data: bytes
    """The configuration."""
    change: AppliedChange
    """How it came to run; without a kind: it is the first one that ever ran here."""

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration, in hex."""
        return applications.digest_of(self.data)


def load(state: Path, say: Callable[[str], None], *, wall_ns: int) -> RunningCopy | None:
    """What runs, or ran last; None: nothing ever did.

    Args:
        state: The sender's state folder.
        say: Told of a file that was set aside.
        wall_ns: Wall time [ns since 1970 UTC].

    Raises:
        StoreError: the disk does not give it.
    """
    return statefile.load(state / NAME, _parsed, say, wall_ns=wall_ns)


def take(
    state: Path, data: bytes, say: Callable[[str], None], *, wall_ns: int
) -> tuple[AppliedChange | None, list[str]]:
    """Note that this configuration runs from now on.

    Args:
        data: The file as it was read.
        say: Told of what cannot be believed, read or written; the devices are read all the same.

    Returns:
        How it came to run, None: nothing is known of it; and the lines of what changed since the last one.
    """
    before, under_way, last = _known(state, say, wall_ns)
    digest = applications.digest_of(data)
    same = before is not None and before.digest == digest
    lines = [] if before is None or same else differences(before.data, data)
    change = AppliedChange()
    if named := next((one for one in (under_way, last) if one is not None and one.after == digest), None):
        change = named
    elif same and before is not None:
        change = before.change
    elif before is not None or last is not None:
        change = AppliedChange(
            kind=FOUND,
            over=last.place if last else 0,
            time_ns=wall_ns,
            before=before.digest if before else "",
            after=digest,
            lines=tuple(lines),
        )
    if before is None or not same or before.change != change:
        try:
            told = {"toml": data.decode(), "change": to_json(change)}
            statefile.write(state / NAME, statefile.pack(told))
        except OSError as error:
            say(f"{NAME} cannot be written ({error.strerror}): the next change is not told against this configuration")
    return (change if change.kind else None), lines


def unapplied(path: Path, digest: str | None, *, wall_ns: int) -> list[str]:
    """What a person must know of a file beside what was applied and what runs; nothing where nobody applies.

    Args:
        path: `sender.toml`.
        digest: SHA-256 of it, in hex; None: look.
        wall_ns: Wall time [ns since 1970 UTC].
    """
    state, lines = path.parent / "state", list[str]()
    try:
        if digest is None:
            digest = applications.digest_of(path.read_bytes())
        last = applications.begun(state, lines.append, wall_ns=wall_ns) or applications.newest(
            state, lines.append, wall_ns=wall_ns
        )
        ran = load(state, lines.append, wall_ns=wall_ns)
    except (OSError, StoreError):
        return []  # this user may not look; who may is told
    if last is None:
        return lines
    if digest != last.after:
        step = f"checkvalve apply {path} --why TEXT"
        lines.append(f"{path.name} is not what {last.told()} left: {step} shows what is different, and applies it")
    elif ran is not None and ran.digest != digest:
        lines.append(f"not taken yet, it waits for a start of poll: {last.told()}")
    return lines


def differences(before: bytes, after: bytes) -> list[str]:
    """What two configurations differ in, in lines that may cross the link; what cannot be compared says so."""
    try:
        return difference.of_file(tables(before), tables(after))
    except statefile.UNBELIEVED:
        return ["all of it: the configuration before cannot be compared"]


def tables(data: bytes) -> Mapping[str, Any]:
    """The tables of a configuration.

    Raises:
        ValueError: it is no TOML.
    """
    return tomllib.loads(data.removeprefix(MARK).decode())


def _known(
    state: Path, say: Callable[[str], None], wall_ns: int
) -> tuple[RunningCopy | None, AppliedChange | None, AppliedChange | None]:
    """What ran last, the application that is under way, and the newest that is done."""
    try:
        before, under_way = load(state, say, wall_ns=wall_ns), applications.begun(state, say, wall_ns=wall_ns)
        return before, under_way, applications.newest(state, say, wall_ns=wall_ns)
    except (OSError, StoreError) as error:
        say(f"what was applied before cannot be read ({error}): this start says nothing of a change")
        return None, None, None


def _parsed(told: Mapping[str, Any]) -> RunningCopy:
    return RunningCopy(data=told["toml"].encode(), change=from_json(AppliedChange, told["change"]))

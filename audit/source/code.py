"""`audit code`: the source of the two ends, the installed files, and what the running processes have loaded.

    SRC-1   what emit and catch import, and the names that they use     walk.py
    SRC-2   installed files against the RECORD of their wheel           installed.py
    SRC-3   compiled libraries in the running processes                 machine/loaded.py

A side's machine holds one end alone; what is not installed here is said and judged on the other machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit import catalogue
from audit.check import AuditFindings, Check, CheckStatus, Evidence, stamp, verdict
from audit.machine import loaded
from audit.report.machine_facts import distribution, facts
from audit.source import installed
from audit.source.walk import ENDS, Closure, LinkEnd, closure, faults, find
from protocol.process.status_header import read_header

COMMAND = "checkvalve audit code"
SHOWN = 60
"""Most lines of a list in the evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceQuestion:
    """Which source, processes and libraries are looked at."""

    root: Path
    """Folder that the rooms stand in."""
    states: Sequence[Path] = ()
    """`state` folders, whose status files name the running processes."""
    pids: Sequence[tuple[str, int]] = ()
    """Processes named by hand: (emit or catch, its number)."""
    libraries: bool = False
    """Hash the libraries' files too."""


def here() -> Path:
    """The folder that this program's rooms stand in."""
    return Path(__file__).resolve().parents[2]


def run(question: SourceQuestion, *, wall: Callable[[], int]) -> AuditFindings:
    """Look and judge.

    Args:
        question: What is looked at.
        wall: Wall time [ns since 1970 UTC].
    """
    began = stamp(wall())
    ends = {end: closure(question.root, end.start) for end in ENDS if find(question.root, end.start) is not None}
    checks = (
        source(question.root, ends, began),
        _files(question.libraries, began),
        _processes(question, ends, wall),
    )
    return AuditFindings(what="code", time=began, facts=facts() | {"root": str(question.root)}, checks=checks)


def source(root: Path, ends: dict[LinkEnd, Closure], time: str) -> Check:
    """SRC-1 of the ends that are installed."""
    if not ends:
        return catalogue.check("SRC-1", CheckStatus.SKIP, f"neither end is installed in {root}")
    wrong = {end.name: faults(end, closure) for end, closure in ends.items()}
    evidence = [
        Evidence(value=_closure_facts(closure) | {"faults": wrong[end.name][:SHOWN]}, command=COMMAND, time=time)
        for end, closure in ends.items()
    ]
    count = sum(map(len, wrong.values()))
    if count:
        first = next(f"{name}: {lines[0]}" for name, lines in wrong.items() if lines)
        return catalogue.check("SRC-1", CheckStatus.FAIL, f"{count} faults; {first}", *evidence)
    words = "; ".join(
        f"{end.name}: {len(closure.trees)} modules of ours, none of which names one of {len(end.calls)} calls"
        for end, closure in ends.items()
    )
    return catalogue.check("SRC-1", CheckStatus.PASS, words, *evidence)


def _closure_facts(closure: Closure) -> dict[str, Any]:
    return {"modules": closure.digests, "libraries": sorted(closure.libraries)}


def _files(libraries: bool, time: str) -> Check:
    own = distribution()
    if own is None:
        return catalogue.check("SRC-2", CheckStatus.SKIP, "this program is not installed: it runs from a folder")
    compared = [installed.compare(own, ours=True)]
    added = installed.added_collectors()
    compared += [installed.compare(one, ours=False) for one in {one.name: one for one in added.values()}.values()]
    if libraries:
        compared += [installed.compare(one, ours=False) for one in installed.libraries_of(own)]
    evidence = Evidence(value=[one.plain() for one in compared], command=COMMAND, time=time)
    wrong = [one for one in compared if not one.right]
    if wrong:
        first = wrong[0]
        name = next(iter(first.changed or first.missing or first.strange))
        kind = "changed" if first.changed else "missing" if first.missing else "in no RECORD"
        return catalogue.check("SRC-2", CheckStatus.FAIL, f"{first.name}: {name} is {kind}", evidence)
    foreign = ", ".join(f"{name} ({one.name} {one.version})" for name, one in added.items())
    words = f"; added, no part of the release: collector {foreign}" if added else ""
    if compared[0].editable:
        found = f"an editable installation: a working copy in {compared[0].editable}, without a RECORD of its files"
        return catalogue.check("SRC-2", CheckStatus.SKIP, found + words, evidence)
    files = sum(one.checked for one in compared)
    found = f"{files} files of {len(compared)} distributions are the recorded ones"
    status = CheckStatus.WARN if added else CheckStatus.PASS
    return catalogue.check("SRC-2", status, f"{found}; RECORD sha256 {compared[0].record_sha256}{words}", evidence)


def _processes(question: SourceQuestion, ends: dict[LinkEnd, Closure], wall: Callable[[], int]) -> Check:
    by_name = {end.name: closure for end, closure in ends.items()}
    evidence, strange, doubtful, why = [], [], [], []
    for name, pid in [*question.pids, *_said(question.states)]:
        command, time = f"cat /proc/{pid}/maps", stamp(wall())
        if name not in by_name:
            why.append(f"{name} is not installed here")
            continue
        try:
            maps = Path(f"/proc/{pid}/maps").read_text()
        except OSError as error:
            why.append(f"{name} {pid}: {error.strerror}")
            continue
        judged = loaded.judge(maps, loaded.allowed_for(by_name[name]))
        value = {
            "process": f"{name} {pid}",
            "libraries": judged.libraries,
            "python": judged.python,
            "system": judged.system,
        }
        extra = {"strange": judged.strange, "unknown": judged.unknown, "replaced on the disk": judged.replaced}
        evidence.append(
            Evidence(value=value | {key: held for key, held in extra.items() if held}, command=command, time=time)
        )
        strange += [f"{name} has loaded {one}" for one in judged.strange]
        doubtful += [f"{name} has loaded {one}" for one in judged.unknown]
        doubtful += [f"{one}, which {name} runs, was replaced on the disk" for one in judged.replaced]
    if not evidence:
        hint = "; ".join(why) or "no running process is named (--config, --pid)"
        return catalogue.check("SRC-3", CheckStatus.SKIP, hint)
    if strange:
        return catalogue.check("SRC-3", CheckStatus.FAIL, f"{len(strange)}: {strange[0]}", *evidence)
    if doubtful:
        return catalogue.check("SRC-3", CheckStatus.WARN, f"{len(doubtful)}: {doubtful[0]}", *evidence)
    names = ", ".join(one.value["process"] for one in evidence)
    return catalogue.check("SRC-3", verdict(True), f"{names}: every compiled library is accounted for", *evidence)


def _said(states: Sequence[Path]) -> list[tuple[str, int]]:
    """The processes that status files name and that live."""
    out = []
    for state in states:
        for end in ENDS:
            pid = read_header(state, end.name).pid
            if pid is not None and Path(f"/proc/{pid}").exists():
                out.append((end.name, pid))
    return out

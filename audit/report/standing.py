"""Which answer stands where a thing was looked at more than once.

A machine is another one each day: its newest answer stands, and the changes between are told. A file does not change:
where it failed once it failed, whatever it was asked afterwards. So of a capture that was judged again the worst answer
stands, with who judged it milder, until a named person gives the reason ([[change]] in the answers); then it warns.
Runs are of one file by the hash of its content, of several files by the hashes of all, and of one pair of journals
where they share a stream: another site's journals in folders of the same name are another series. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from audit.check import AuditFindings, Check, CheckStatus
from audit.questions import NamedChange
from audit.report import period

_STAYS = {CheckStatus.FAIL: 2, CheckStatus.WARN: 1}
"""How hard an answer is to be rid of; what could not be measured gives way to what could."""


def groups(runs: Sequence[AuditFindings]) -> dict[str, list[AuditFindings]]:
    """Runs of one name by what they were really about.

    Args:
        runs: By time.

    Returns:
        Runs by a mark: of a file its content's hash, of journals the first stream of the first run, of a command whose
        subject is the machine that machine; empty where there is none of these.
    """
    streams: dict[str, set[str]] = {}
    out: dict[str, list[AuditFindings]] = {}
    for one in runs:
        own = _streams(one)
        if own:
            mark = next((name for name, known in streams.items() if known & own), min(own))
            streams.setdefault(mark, set()).update(own)
        else:
            mark = _mark(one)
        out.setdefault(mark, []).append(one)
    return out


def of_series(runs: Sequence[AuditFindings], changes: Sequence[NamedChange]) -> list[tuple[str, Check]]:
    """The answers that stand of one series, each with the time that it was found at.

    Args:
        runs: By time, not empty.
        changes: What people named.
    """
    if not is_file(runs[-1]):
        return [(runs[-1].time, one) for one in runs[-1].checks]
    out: dict[str, tuple[str, Check]] = {}
    for run in runs:
        for check in run.checks:
            out[check.id] = _stands(out.get(check.id), run, check, changes)
    return list(out.values())


def _stands(
    before: tuple[str, Check] | None, run: AuditFindings, check: Check, changes: Sequence[NamedChange]
) -> tuple[str, Check]:
    if before is None or _STAYS.get(check.status, 0) >= _STAYS.get(before[1].status, 0):
        return run.time, check
    time, worst = before
    how = check.evidence[0].command if check.evidence else run.what
    again = f"judged again on {run.time} as {check.status}: {how}"
    named = next((one for one in changes if one.covers(period.moment(run), period.moment(run))), None)
    if named is None:
        return time, replace(worst, found=f"{worst.found}; {again}, without a named reason: the worse answer stands")
    words = f"{check.found}; before, on {time}, {worst.status}: {worst.found}; {again}, by {named.by}: {named.why}"
    return run.time, replace(check, status=CheckStatus.WARN, found=words)


def is_file(one: AuditFindings) -> bool:
    """Whether a run is about a file, or some, which do not change."""
    return bool(file_mark(one))


def file_mark(one: AuditFindings) -> str:
    """What tells a file, or some that were judged together, from others; empty: the run is about something else."""
    file, files = one.facts.get("file"), one.facts.get("files")
    if isinstance(file, Mapping):
        return str(file.get("content_sha256") or file.get("sha256") or "a file without a hash")
    if isinstance(files, Mapping):
        return hashlib.sha256("\n".join(sorted(map(str, files.values()))).encode()).hexdigest()
    return ""


def _mark(one: AuditFindings) -> str:
    return str(one.facts.get("machine", "")) if one.what in period.OF_A_MACHINE else file_mark(one)


def _streams(one: AuditFindings) -> set[str]:
    sides = [one.facts.get(side) for side in ("high", "low")] if one.what.startswith("journal ") else []
    return {str(name) for side in sides if isinstance(side, Mapping) for name in _listed(side.get("stream_ids"))}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

"""`audit diff OLD NEW`: what changed between two runs, or between two folders of runs (the newest of each command;
`code`, `selftest` and `provoke` by machine).

Answers that are worse come first. Exit 1 where something is worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.check import AuditFindings
from audit.findings_folder import load_all
from audit.report import period
from audit.report.period import Changed
from protocol.errors import ConfigError
from protocol.inert import inert

FORMAT = "checkvalve-audit-diff-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two states compared."""

    changed: tuple[Changed, ...]
    only_old: tuple[str, ...]
    """Commands of which the new state has no run."""
    only_new: tuple[str, ...]
    compared: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """1 where something is worse, or is no longer looked at."""
        return int(bool(self.only_old) or any(one.worse for one in self.changed))

    def plain(self) -> dict[str, Any]:
        """The difference as JSON: for other programs."""
        return {
            "format": FORMAT,
            "compared": list(self.compared),
            "only_old": list(self.only_old),
            "only_new": list(self.only_new),
            "changes": [one.plain() for one in self.changed],
        }

    def text(self) -> str:
        """For a terminal; worse first."""
        lines = [inert(f"not looked at any more: {name}") for name in self.only_old]
        lines += [_line(one) for one in sorted(self.changed, key=lambda one: not one.worse)]
        lines += [inert(f"looked at for the first time: {name}") for name in self.only_new]
        compared = f"{len(self.compared)} runs compared ({', '.join(self.compared)})"
        lines.append(inert(f"{len(self.changed)} changes in {compared}"))
        return "\n".join(lines)


def diff(old: Path, new: Path) -> Difference:
    """Compare.

    Args:
        old: A findings document, or a folder of them.
        new: The same.

    Raises:
        ConfigError: no findings there, or two documents of different commands.
    """
    before, after = _newest(load_all([old])), _newest(load_all([new]))
    if old.is_file() and new.is_file() and not set(before) & set(after):
        one, two = next(iter(before)), next(iter(after))
        raise ConfigError(
            f"{old.name} is of `{one}`, {new.name} of `{two}`", hint="compare two runs of one command and machine"
        )
    both = [name for name in before if name in after]
    changed = [line for name in both for line in period.compare(name, before[name], after[name])]
    return Difference(
        changed=tuple(changed),
        only_old=tuple(name for name in before if name not in after),
        only_new=tuple(name for name in after if name not in before),
        compared=tuple(both),
    )


def _newest(runs: Sequence[AuditFindings]) -> dict[str, AuditFindings]:
    return {period.subject(one): one for one in runs}


def _line(one: Changed) -> str:
    mark = "worse " if one.worse else "      "
    found = f": {one.found}" if one.found else ""
    return inert(f"{mark} {one.series}  {one.subject}  {one.before} -> {one.after}{found}")

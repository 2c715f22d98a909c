"""Findings on a disk: one JSON file a run, named so that a folder of them reads in order.

    FOLDER/2026-11-23T06-00-00Z_live-high_HOST.json

`audit report` reads such folders; a .json file that is no findings document is an error there, never passed over, and
what else lies in them is named on the report: a run that was renamed or put into a folder below is not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from audit.check import AuditFindings, read_findings
from protocol.errors import ConfigError


def keep(findings: AuditFindings, folder: Path) -> Path:
    """Write a run into a folder; one that is there already is never overwritten. Returns the file.

    Raises:
        ConfigError: the folder cannot be written.
    """
    words = [findings.time.replace(":", "-"), findings.what.replace(" ", "-"), str(findings.facts.get("host", ""))]
    name = "_".join(re.sub(r"[^A-Za-z0-9.-]+", "-", word)[:60] for word in words if word)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for again in range(1000):
            path = folder / f"{name}{f'_{again}' if again else ''}.json"
            try:
                with path.open("x", encoding="utf-8") as file:
                    file.write(findings.text())
                return path
            except FileExistsError:
                continue
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}", hint="choose another folder for --keep") from None
    raise ConfigError(f"{folder} holds a thousand findings of one second", hint="choose another folder for --keep")


def load(path: Path) -> AuditFindings:
    """One findings document.

    Raises:
        ConfigError: missing, or none.
    """
    try:
        return read_findings(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def not_read(paths: Sequence[Path]) -> list[str]:
    """What lies in folders of findings beside them: names, in order, each with its folder.

    Args:
        paths: Files and folders as they were given.
    """
    return [str(one) for path in paths if path.is_dir() for one in sorted(path.iterdir()) if not one.match("*.json")]


def load_all(paths: list[Path]) -> list[AuditFindings]:
    """All findings of files and folders (not below them), by time.

    Raises:
        ConfigError: one of them is no findings document, or there is none at all.
    """
    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise ConfigError(f"no findings in {', '.join(map(str, paths))}", hint="`checkvalve audit .. --keep FOLDER`")
    return sorted((load(file) for file in files), key=lambda findings: (findings.time, findings.what))

"""What a configuration names beyond itself, looked at by `--check`: its key files, and the disk that it is to fill."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from protocol.settings.findings import Findings, under


def look_at_keys(side: str, key: str, own: Path, publics: Sequence[Path], found: Findings) -> None:
    """Write down each key file that is there and is another thing than it should be (`key_files.unfit`).

    Nothing is looked at whose own line in the file is a mistake already.
    """
    from protocol.settings.key_files import unfit

    if not any(path == "keys" or path.startswith("keys.") for path in found.mistakes):
        for part, text in unfit(side, key, own, publics):
            found.wrong(under("keys", part), text)


def look_at_disk(folder: Path, path: str, most_gb: float, found: Findings) -> None:
    """Warn where more shall be kept than the disk is large [GB]."""
    try:
        whole_gb = shutil.disk_usage(folder).total / 1e9
    except OSError:
        return
    if most_gb > whole_gb:
        found.odd(path, f"{most_gb:g} GB are more than the disk has, {whole_gb:.0f} GB; write less than what is free")

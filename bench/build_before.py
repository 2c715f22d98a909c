"""The build before, beside today's in the same run: an earlier commit of this checkout, in a folder of its own.

Ratios of two builds hold where absolute figures move with the machine. The earlier build runs in processes of its own,
by the same interpreter and libraries; where there is no checkout (an installed wheel) or no such commit, there is none
and the row says so.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def unpacked(commit: str) -> Iterator[Path | None]:
    """The tree of a commit, in a temporary folder; None where it cannot be had.

    Args:
        commit: As git names it.
    """
    archive = ["git", "-C", str(ROOT), "archive", "--format=tar", commit]
    try:
        done = subprocess.run(archive, capture_output=True, check=False, timeout=60)
    except OSError:
        yield None
        return
    if done.returncode:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="checkvalve-before-") as name:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as held:
            held.extractall(name, filter="data")
        yield Path(name)


def command(tree: Path | None) -> list[str]:
    """What starts `checkvalve` of a tree; None is this build."""
    first = ROOT if tree is None else tree
    code = f"import sys; sys.path.insert(0, {str(first)!r}); from checkvalve import main; main()"
    return [sys.executable, "-P", "-c", code]

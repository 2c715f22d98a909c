"""The folder that readers look into: its mark, its partitions, and what its files say of themselves.

    .checkvalve-NAME                                       the mark: this folder is the output NAME's
    date=2026-11-28/hour=9/samples-1-0123456789ab.parquet
    date=2026-11-28/hour=9/late-2-89abcdef0123.parquet     what came after the hour's first file was written

Where the mark is missing the folder is not written into: a disk that is not mounted leaves an empty folder in its
place, and what is written there fills the system's disk and is hidden once the disk is back. A file under its own name
is whole and on the disk; its metadata say which blocks it holds, so a file that is there answers for itself whatever
became of the store. No name has a word that came from the plant.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from receiver.export.atomic_file import PART
from receiver.export.parquet_file import library
from receiver.outputs.parquet.hour_pieces import NO_HOUR, hour_of, partition
from receiver.outputs.parquet.hour_store import WrittenFile, read_held

MARK = ".checkvalve-"
FOLDER_MODE = 0o750
_FILE = re.compile(r"(samples|late)-[0-9]+-[0-9a-f]{12}\.parquet")


class PlantFolder:
    """One folder of one output."""

    def __init__(self, path: Path, name: str) -> None:
        """
        Args:
            path: The folder.
            name: The output's, for the mark.
        """
        self.path, self._mark = path, path / f"{MARK}{name}"

    def trouble(self, *, begun: bool) -> tuple[str, str]:
        """Why nothing may be written there and what a person does; both empty where it may.

        Args:
            begun: It was marked before: a missing mark is a missing disk.
        """
        if not self.path.is_dir():
            if self.path.exists():
                return f"{self.path} is no folder", "name a folder in the settings"
            if begun or not self.path.parent.is_dir():
                return f"{self.path} is not there", "mount its disk, or make the folder"
            return "", ""
        others = [one.name.removeprefix(MARK) for one in self.path.glob(f"{MARK}*") if one != self._mark]
        if others:
            return f"{self.path} belongs to the output {others[0]}", "name a folder of its own in the settings"
        if not begun and not self._mark.exists() and (strange := _strange(self.path)):
            step = f"name a folder of its own in the settings; or, where this one is meant: touch {self._mark}"
            return f"{self.path} holds what no output wrote, such as {strange}", step
        if begun and not self._mark.exists():
            step = f"mount its disk; or, where this is to be a new folder: touch {self._mark}"
            return f"{self.path} is another folder than before: {self._mark.name} is not in it", step
        if not os.access(self.path, os.W_OK | os.X_OK):
            return f"{self.path} may not be written", "chown it to who runs the receiver; see ReadWritePaths= too"
        return "", ""

    def begin(self) -> None:
        """Make the folder, where it is missing, and its mark.

        Raises:
            OSError: the disk is full or fails.
        """
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(FOLDER_MODE)
            _sync(self.path.parent)
        os.close(os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640))
        _sync(self.path)

    def make(self, hour: int) -> Path:
        """The folder of an hour, durable.

        Raises:
            OSError: the disk is full or fails.
        """
        at = self.path
        for part in partition(hour).split("/"):
            above, at = at, at / part
            with contextlib.suppress(FileExistsError):
                at.mkdir(FOLDER_MODE)
                _sync(above)
        return at

    def found(self, noted: Container[str], say: Callable[[str], None]) -> Iterator[WrittenFile]:
        """Files that are there and not noted; parts that a kill left are taken away.

        Args:
            say: Told of files that do not say what they hold.

        Raises:
            OSError: the folder cannot be read.
        """
        for inner in self.path.glob("date=*/hour=*"):
            hour = hour_of(inner.relative_to(self.path).as_posix())
            for file in inner.iterdir() if hour is not None and inner.is_dir() else ():
                name = file.relative_to(self.path).as_posix()
                if file.name.endswith(PART) and _FILE.fullmatch(file.name.removesuffix(PART)):
                    file.unlink(missing_ok=True)
                elif _FILE.fullmatch(file.name) and name not in noted:
                    one = _said(file, name, hour)
                    if one is None:
                        say(f"{name} does not say what it holds: its samples may stand in another file too")
                    else:
                        yield one

    def remove(self, name: str) -> None:
        """Take a file away, and the folders above it that are empty then; one that is gone is no error.

        Raises:
            OSError: it cannot be.
        """
        path = self.path / name
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            path.parent.rmdir()
            path.parent.parent.rmdir()


def _said(path: Path, name: str, hour: int | None) -> WrittenFile | None:
    """What a file says of itself; None where it is none of ours."""
    arrow, parquet = library()
    try:
        told = json.loads((parquet.read_metadata(path).metadata or {})[b"checkvalve"])
        if hour is None or told["hour"] != (None if hour == NO_HOUR else hour):
            return None
        return WrittenFile(
            name=name,
            hour=hour,
            samples=int(told["samples"]),
            closed_ns=int(told["closed_ns"]),
            after=bool(told["after"]),
            held=read_held(told["blocks"]),
        )
    except (OSError, ValueError, KeyError, TypeError, arrow.ArrowException):
        return None


def _strange(folder: Path) -> str:
    """Something in it that is neither hidden nor of a folder like this one; empty where there is nothing."""
    names = sorted(one.name for one in folder.iterdir())
    return next((one for one in names if not one.startswith((".", "date=")) and one != "lost+found"), "")


def _sync(folder: Path) -> None:
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(held)
    finally:
        os.close(held)

"""Where the files of a segment store stand; what is in them is told in `segment_store.py`. Other names are not ours."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

_OURS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
"""Through no link, for no child; the auditor's machine may know neither."""
WRITE = os.O_RDWR | os.O_CREAT | _OURS
"""How the writer opens its files: made where missing, and never through a link."""

_NUMBER = re.compile(r"[0-9]{10,19}")
_STREAM = re.compile(r"[0-9a-f]{16}")


def kept_path(folder: Path, stream: bytes) -> Path:
    """File of a stream's kept blocks."""
    return folder / "kept" / f"{stream.hex()}.seg"


def kept_streams(folder: Path) -> list[bytes]:
    """Streams that have kept blocks."""
    names = (path.stem for path in sorted((folder / "kept").glob("*.seg")))
    return [bytes.fromhex(name) for name in names if _STREAM.fullmatch(name)]


def read_leaves(folder: Path, stream: bytes) -> bytes:
    """All leaves of a stream, 32 bytes a number."""
    path = leaf_path(folder, stream)
    return path.read_bytes() if path.exists() else b""


def segment_path(folder: Path, number: int, ending: str = ".seg") -> Path:
    """File of a segment."""
    return folder / "segments" / f"{number:010d}{ending}"


def segment_numbers(folder: Path, ending: str = ".seg") -> list[int]:
    """Numbers of the segments there are, rising."""
    names = (path.stem for path in (folder / "segments").glob(f"*{ending}"))
    return sorted(int(name) for name in names if _NUMBER.fullmatch(name))


def leaf_path(folder: Path, stream: bytes) -> Path:
    """File of a stream's leaves."""
    return folder / "leaves" / f"{stream.hex()}.leaf"


def leaf_streams(folder: Path) -> list[bytes]:
    """Streams that have leaves."""
    names = (path.stem for path in sorted((folder / "leaves").glob("*.leaf")))
    return [bytes.fromhex(name) for name in names if _STREAM.fullmatch(name)]


def index_path(folder: Path, number: int) -> Path:
    """File that tells what a segment holds."""
    return segment_path(folder, number, ".idx")


def open_plain(path: Path) -> int:
    """A plain file, opened to be read; of a link, a FIFO or a device under its name nothing is read or waited for.

    Raises:
        FileNotFoundError: there is no plain file of that name.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise FileNotFoundError(path)
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _OURS)


@contextlib.contextmanager
def opened(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    """A file or folder of the store, as a descriptor that is closed in the end.

    Args:
        flags: As open(2) takes them: `WRITE` for the writer; to be read, only a plain file is opened.

    Raises:
        OSError: it cannot be opened.
    """
    file = open_plain(path) if flags == os.O_RDONLY else os.open(path, flags | os.O_CLOEXEC, 0o640)
    try:
        yield file
    finally:
        os.close(file)


def sync_folder(folder: Path) -> None:
    """Names in it outlive a power cut from here on."""
    with opened(folder, os.O_DIRECTORY) as file:
        os.fsync(file)

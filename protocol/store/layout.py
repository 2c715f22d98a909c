"""Where the files of a segment store stand; `journal.py` tells what is in them. Files of other names are not ours."""

from __future__ import annotations

import os
import re
from pathlib import Path

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


def sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

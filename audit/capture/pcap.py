"""Captures as tcpdump and Wireshark write them: pcap here, pcapng's blocks in `pcapng.py`. Own reader, no decoder.

    pcap    header 24: magic (its byte order and the unit of time), version, snaplen, link type
            record 16: seconds, fraction, bytes kept, bytes on the wire; then the bytes kept

The file is mapped and walked record by record; everything else is gathered by numpy, `CHUNK` frames at a time, and
pages that were read are given back, so that a capture of any size takes the same memory. No length is trusted: a
record that is cut by the end of the file, or claims more than any capture keeps, ends the walk, and `Capture.rest`
and `Capture.damage` say so. Whatever the bytes are, nothing but ConfigError (it is no capture at all) comes out.

Sources: draft-ietf-opsawg-pcap (classic), draft-ietf-opsawg-pcapng; link types: tcpdump.org/linktypes.html.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from audit.capture.pcapng import blocks
from audit.capture.records import (
    CHUNK,
    MOST_BYTES,
    Bytes,
    CaptureInterface,
    CaptureWalk,
    Frames,
    Numbers,
    Order,
    window,
)
from protocol.errors import ConfigError

_CLASSIC: dict[bytes, tuple[Order, int]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""Magic: byte order, and nanoseconds in a unit of the fraction."""
_FILE_HEAD, _RECORD_HEAD = 24, 16
_SECTION = b"\x0a\x0d\x0d\x0a"
_GIVE_BACK = 8 << 20
"""Pages behind the walk are given back in steps of this [bytes]."""


class Capture:
    """An open capture file. Iterate it once; then `walk` and `interfaces` are complete."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            ConfigError: missing, empty, compressed, or no capture.
        """
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        except ValueError:
            raise ConfigError(f"{path} is empty", hint="was the capture stopped before it wrote anything?") from None
        self.data: Bytes = np.frombuffer(self._map, np.uint8)
        self.size = len(self._map)
        self.interfaces: list[CaptureInterface] = []
        self.walk = CaptureWalk()
        magic = bytes(self._map[:4])
        if magic in _CLASSIC and self.size >= _FILE_HEAD:
            self.form = "pcap"
            self._order, self._unit_ns = _CLASSIC[magic]
            (link,) = struct.unpack_from(self._order + "I", self._map, 20)
            self.interfaces.append(CaptureInterface(link=link & 0xFFFF))  # the upper half tells of check sequences
        elif magic == _SECTION:
            self.form = "pcapng"
        else:
            self.close()
            hint = "unpack it first" if magic[:2] == b"\x1f\x8b" or magic == b"\x28\xb5\x2f\xfd" else "pcap or pcapng"
            raise ConfigError(f"{path} is no capture (it begins with {magic.hex()})", hint=hint)

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    @property
    def rest(self) -> int:
        """Bytes at the end that were not read as records."""
        return self.size - self.walk.at

    @property
    def dropped(self) -> int | None:
        """Frames that the capture lost, by its own word; None: it does not say."""
        counts = [one.dropped for one in self.interfaces if one.dropped is not None]
        return sum(counts) + self.walk.drops if counts or self.walk.drops else None

    def __iter__(self) -> Iterator[Frames]:
        frames = self._classic() if self.form == "pcap" else blocks(self._map, self.data, self.interfaces, self.walk)
        behind, last = 0, None
        for part in frames:
            yield part
            times = part.time_ns[part.time_ns != 0]  # a Simple Packet Block has none
            if len(times):
                if (last is not None and times[0] < last) or bool((times[1:] < times[:-1]).any()):
                    self.walk.ordered = False
                last = times[-1]
            if self.walk.at - behind > _GIVE_BACK:
                behind = self._give_back(behind)
        self._give_back(behind)

    def sha256(self) -> str:
        """Of exactly the bytes that are mapped."""
        digest = hashlib.sha256()
        view = memoryview(self._map)
        with view:
            for at in range(0, self.size, _GIVE_BACK):
                digest.update(view[at : at + _GIVE_BACK])
                if hasattr(self._map, "madvise"):
                    self._map.madvise(mmap.MADV_DONTNEED, at, min(_GIVE_BACK, self.size - at))
        return digest.hexdigest()

    def find(self, mark: bytes, most: int = 1000) -> Numbers:
        """Where `mark` stands in the file, at most `most` places."""
        places: list[int] = []
        at = self._map.find(mark)
        while at >= 0 and len(places) < most:
            places.append(at)
            at = self._map.find(mark, at + 1)
        return np.array(places, np.int64)

    def close(self) -> None:
        """Let go of the file; arrays of its frames' places stay good, `data` does not."""
        self.data = np.empty(0, np.uint8)
        with contextlib.suppress(BufferError):  # someone holds a view: it goes with that
            self._map.close()

    def _give_back(self, behind: int) -> int:
        """Let the kernel take pages before the walk's place; returns up to where."""
        if not hasattr(self._map, "madvise"):
            return behind
        upto = self.walk.at // mmap.PAGESIZE * mmap.PAGESIZE
        if upto > behind:
            self._map.madvise(mmap.MADV_DONTNEED, behind, upto - behind)
        return upto

    def _classic(self) -> Iterator[Frames]:
        number, at = 1, _FILE_HEAD
        while True:
            places, at = self._walk_records(at)
            self.walk.at = at
            if not places:
                return
            starts = np.array(places, np.int64)
            heads = window(self.data, starts, _RECORD_HEAD).view(np.dtype(np.uint32).newbyteorder(self._order))
            words = heads.reshape(-1, 4).astype(np.int64)
            yield Frames(
                first=number,
                at=starts + _RECORD_HEAD,
                kept=words[:, 2],
                length=words[:, 3],
                time_ns=words[:, 0] * 1_000_000_000 + words[:, 1] * self._unit_ns,
                interface=np.zeros(len(starts), np.int64),
            )
            number += len(starts)

    def _walk_records(self, at: int) -> tuple[list[int], int]:
        """Up to CHUNK record beginnings from `at` on, and where the next one would be."""
        places: list[int] = []
        data, end, append = self._map, self.size, places.append
        kept_of = struct.Struct(self._order + "I").unpack_from
        last = end - _RECORD_HEAD
        for _ in range(CHUNK):
            if at > last:
                break
            (kept,) = kept_of(data, at + 8)
            after = at + _RECORD_HEAD + kept
            if kept > MOST_BYTES:
                self.walk.damage = f"the record at byte {at} claims {kept} bytes"
                break
            if after > end:
                break
            append(at)
            at = after
        return places, at

"""Captures as tcpdump and Wireshark write them: pcap here, pcapng's blocks in `pcapng.py`. Own reader, no decoder.

    pcap    header 24: magic (its byte order and the unit of time), version, snaplen, link type
            record 16: seconds, fraction, bytes kept, bytes on the wire; then the bytes kept

The file is mapped and walked by many walkers at once (`walkers.py`); what they find is gathered by numpy, `CHUNK`
frames at a time, and pages that were read are given back, so that a capture of any size takes the same memory. No
length is trusted: behind a record that claims more than any capture keeps, or more than the file holds while others
follow, the walk goes on where records can be told again (`resume.py`), and `CaptureWalk` says so. Whatever the bytes
are, nothing but ConfigError (it is no capture at all) comes out. A capture packed by gzip or zstd is unpacked first
(`unpack.py`).

Sources: draft-ietf-opsawg-pcap (classic), draft-ietf-opsawg-pcapng; link types: tcpdump.org/linktypes.html.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import struct
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np

from audit.capture import resume
from audit.capture.pcapng import blocks
from audit.capture.records import (
    CHUNK,
    LINK_BYTES,
    MOST_BYTES,
    MOST_PLACES,
    Bytes,
    CaptureInterface,
    CaptureWalk,
    Frames,
    Numbers,
    Order,
    window,
)
from audit.capture.unpack import PACKED, Unpacked, unpack
from audit.capture.walkers import walk
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
_VERSIONS = ((2, 4), (2, 3))
"""Versions of the classic form whose records are laid out as above; 2.3 is what some old writers call the same."""
_LEAD = 6 << 20
"""The hash is so far ahead of the walk, and up to three times as far [bytes]: what a processor's last cache holds."""
_PIECE = 256 << 10
_GIVE_BACK = 8 << 20
"""Pages behind the walk are given back in steps of this [bytes]."""


class Capture:
    """An open capture file. Iterate it once; then `walk` and `interfaces` are complete."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            ConfigError: missing, empty, or no capture of a version that is known.
        """
        self.packed: Unpacked | None = None
        """How the file was packed, where it was."""
        try:
            with path.open("rb") as file:
                packing = PACKED.get(file.read(4)[:2])
                if packing is not None:
                    self.packed = unpack(path, packing)
                self._map = mmap.mmap((self.packed.file if self.packed else file).fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        except ValueError:
            raise ConfigError(f"{path} is empty", hint="was the capture stopped before it wrote anything?") from None
        self.data: Bytes = np.frombuffer(self._map, np.uint8)
        self.size = len(self._map)
        self.interfaces: list[CaptureInterface] = []
        self.walk = CaptureWalk()
        self._hash = _Hash(self._map)
        self._last_s: int | None = None
        try:
            self.form = self._form(path)
        except ConfigError:
            self.close()
            raise

    def _form(self, path: Path) -> str:
        magic = bytes(self._map[:4])
        if magic in _CLASSIC and self.size >= _FILE_HEAD:
            self._order, self._unit_ns = _CLASSIC[magic]
            major, minor = struct.unpack_from(self._order + "HH", self._map, 4)
            if (major, minor) not in _VERSIONS:
                raise ConfigError(
                    f"{path} is a pcap of version {major}.{minor}, which lays its records out otherwise",
                    hint="write it again as 2.4: `editcap -F pcap OLD NEW`",
                )
            (link,) = struct.unpack_from(self._order + "I", self._map, 20)
            self.interfaces.append(CaptureInterface(link=link & 0xFFFF))  # the upper half tells of check sequences
            return "pcap"
        if magic == _SECTION:
            return "pcapng"
        raise ConfigError(
            f"{path} is no capture (it begins with {magic.hex()})",
            hint="pcap or pcapng, or such a file packed by gzip or zstd",
        )

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    @property
    def rest(self) -> int:
        """Bytes that were not read as records: at the end, and where a length could not be true."""
        return self.size - self.walk.at + self.walk.unread

    @property
    def dropped(self) -> int | None:
        """Frames that the capture lost, by its own word; None: it does not say."""
        counts = [one.dropped for one in self.interfaces if one.dropped is not None]
        return sum(counts) + self.walk.drops if counts or self.walk.drops else None

    def __iter__(self) -> Iterator[Frames]:
        frames = self._classic() if self.form == "pcap" else blocks(self._map, self.data, self.interfaces, self.walk)
        behind, last = 0, None
        self._hash.lead(0)
        for part in frames:
            self._hash.lead(self.walk.at)
            yield part
            times = part.time_ns[part.time_ns != 0]  # a Simple Packet Block has none
            if len(times):
                steps = np.diff(times, prepend=times[0] if last is None else last)
                self.walk.back_ns = max(self.walk.back_ns, -int(steps.min()))
                last = times[-1]
            if self.walk.at - behind > _GIVE_BACK:
                behind = self._give_back(behind)
        self._give_back(behind)

    def again(self) -> Iterator[Frames]:
        """The frames once more, from the first; `walk` and `interfaces` are what they were when it ends."""
        self.walk = CaptureWalk()
        self.interfaces = self.interfaces[:1] if self.form == "pcap" else []
        self._last_s = None
        return iter(self)

    def digits(self, interface: int) -> int:
        """Digits of a second that an interface's times have, 0 to 9."""
        if self.form == "pcap":
            return 9 if self._unit_ns == 1 else 6
        units = self.interfaces[interface].units
        return 9 if units & 0x80 else min(units, 9)

    def sha256(self) -> str:
        """Of exactly the bytes that are mapped; what the walk has already been over is not read again."""
        return self._hash.finish()

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
        self._hash.close()
        self.data = np.empty(0, np.uint8)
        if self.packed is not None:
            self.packed.file.close()
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
            stopped = self.size - at < _RECORD_HEAD
            if not stopped:
                places, after, stopped = walk(self.data, at, self._order)
                for begin in range(0, len(places), CHUNK):
                    starts = places[begin : begin + CHUNK]
                    heads = window(self.data, starts, _RECORD_HEAD + LINK_BYTES)
                    words = heads.view(np.dtype(np.uint32).newbyteorder(self._order))[:, :4].astype(np.int64)
                    good = self._believed(starts, words)
                    if good:
                        at = int(starts[good - 1] + _RECORD_HEAD + words[good - 1, 2])
                        self.walk.at = at
                        yield self._frames(starts[:good], words[:good], heads[:good, _RECORD_HEAD:], number)
                        number += good
                    if good < len(starts):
                        at, after, stopped = int(starts[good]), int(starts[good]), True
                        break
                at = after
            self.walk.at = at
            if stopped:
                onward = self._onward(at, number)
                if onward is None:
                    return
                at = onward

    def _believed(self, starts: Numbers, words: Numbers) -> int:
        """How many of the records are believed: those before the first that is hardly one and that none can follow."""
        strange = resume.suspicious(words, self._unit_ns, self._last_s)
        if len(strange):
            behind = starts[strange] + _RECORD_HEAD + words[strange, 2]
            lost = strange[~resume.follow(self.data, behind, self._order, self._unit_ns, words[strange, 0])]
            if len(lost):
                return int(lost[0])
        return len(starts)

    def _frames(self, starts: Numbers, words: Numbers, heads: Bytes, number: int) -> Frames:
        self.walk.impossible_times += int((words[:, 1] * self._unit_ns >= 1_000_000_000).sum())
        self._last_s = int(words[-1, 0])
        return Frames(
            number=np.arange(number, number + len(starts), dtype=np.int64),
            at=starts + _RECORD_HEAD,
            kept=words[:, 2],
            length=words[:, 3],
            time_ns=words[:, 0] * 1_000_000_000 + words[:, 1] * self._unit_ns,
            interface=np.zeros(len(starts), np.int64),
            way=np.zeros(len(starts), np.uint8),
            heads=heads,
        )

    def _onward(self, at: int, number: int) -> int | None:
        """Where the walk goes on behind a place where it stopped; None: at the end, or a tail that was cut."""
        if self.size - at < _RECORD_HEAD:
            return None
        kept, length = struct.unpack_from(self._order + "II", self._map, at + 8)
        onward = None
        if self.walk.places < MOST_PLACES:
            onward = resume.record(self.data, at + 1, self._order, self._unit_ns, self._last_s)
        if kept <= MOST_BYTES and at + _RECORD_HEAD + kept > self.size and onward is None:
            return None  # cut by the end of the file
        self.walk.places += 1
        self.walk.damage = self.walk.damage or f"the record at byte {at} claims {kept} bytes of {length}"
        if onward is not None:
            self.walk.unread += onward - at
            self.walk.behind = self.walk.behind or number
        return onward


class _Hash:
    """SHA-256 of the file, taken beside the walk and some megabytes ahead of it: the walk then finds its bytes in the
    processor's cache, and each page is asked for once.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self._view = memoryview(data)
        self._digest = hashlib.sha256()
        self._done = 0
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None

    def lead(self, at: int) -> None:
        """Be `_LEAD` bytes ahead of a place, and go on to twice that while the caller works."""
        if self._done >= len(self._view) or self._done > at + 2 * _LEAD:
            return
        if self._running is not None:
            self._running.result()
        begin, self._done = self._done, min(max(self._done, at) + 2 * _LEAD, len(self._view))
        self._running = self._thread.submit(self._update, begin, self._done)

    def finish(self) -> str:
        """Take the rest; the whole file's hash."""
        while self._done < len(self._view):
            self.lead(self._done)
        if self._running is not None:
            self._running.result()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the file."""
        self._thread.shutdown()
        self._view.release()

    def _update(self, begin: int, end: int) -> None:
        for at in range(begin, end, _PIECE):
            self._digest.update(self._view[at : min(at + _PIECE, end)])

"""The field's open tools over the same link, at the same wire rate and the same loss, where they are installed.

    pydiode   extra `bench`; every chunk is sent again and again, no parity
    udpcast   Debian's package; stripes of parity, one direction by `--async`

A tool is fed one file; what it puts out is compared with it, whole. Its rate is taken from the first piece that it
puts out to the last one, so its start-up costs it nothing. A run whose file is not whole has no rate.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figures import BenchRow
from bench.lab import BenchLink

SIZE = 30_000_000
"""Bytes of the file."""
STRIPES = {1: "8x8/128", 5: "8x16/64"}
"""udpcast's parity by percent of loss: stripes x spare / stripe size."""
COPIES = 2
"""pydiode's own default of `--redundancy`."""
HEARS_S, ENDS_S = 1.0, 60.0
"""A receiver has so long to open its socket, a run so long to end [s]."""


class Peers:
    """Runs the tools over one link.

    Args:
        link: Where.
        folder: For the file.
        rate: Wire rate [Mb/s].
    """

    def __init__(self, link: BenchLink, folder: Path, rate: float) -> None:
        self._link, self._rate = link, rate
        self._file = folder / "file"
        self._file.write_bytes(os.urandom(SIZE))
        self._sum = hashlib.sha256(self._file.read_bytes()).digest()

    def pydiode(self, runs: int) -> tuple[tuple[float, ...], str]:
        """(Mb/s of the runs that were whole, a note)."""
        tool = Path(sys.executable).with_name("pydiode")
        if not tool.exists():
            return (), "pydiode is not installed here (extra `bench`)"
        rate = round(self._rate * 1e6)
        send = [str(tool), "send", "--max-bitrate", str(rate), "--redundancy", str(COPIES)]
        receive = [str(tool), "receive", self._link.address]
        rates = self._all(runs, [*send, self._link.address, self._link.source], receive)
        return rates, f"pydiode --redundancy {COPIES}: {len(rates)} of {runs} files whole"

    def udpcast(self, percent: int, runs: int) -> BenchRow:
        """The row of udpcast at this loss."""
        row = f"link.udpcast.loss{percent}"
        if not (shutil.which("udp-sender") and shutil.which("udp-receiver")):
            return BenchRow(row=row, unit="Mb/s", note="udpcast is not installed here (Debian package udpcast)")
        if not self._link.interfaces:
            return BenchRow(row=row, unit="Mb/s", note="udpcast is driven over a veth pair only")
        stripes = STRIPES[percent]
        high, low = self._link.interfaces
        send = ["udp-sender", "--async", "--fec", stripes, "--max-bitrate", f"{self._rate:g}m", "--nokbd"]
        send += ["--autostart", "1", "--rexmit-hello-interval", "200", "--interface", high, "--no-progress"]
        receive = ["udp-receiver", "--nokbd", "--nosync", "--interface", low, "--no-progress"]
        rates = self._all(runs, send, receive)
        note = f"--async --fec {stripes} --max-bitrate {self._rate:g}m: {len(rates)} of {runs} files whole"
        return BenchRow(row=row, unit="Mb/s", runs=rates, lost=runs - len(rates), note=f"{note}; lost: files")

    def _all(self, runs: int, send: Sequence[str], receive: Sequence[str]) -> tuple[float, ...]:
        rates = (self._file_rate(send, receive) for _ in range(runs))
        return tuple(rate for rate in rates if rate is not None)

    def _file_rate(self, send: Sequence[str], receive: Sequence[str]) -> float | None:
        """Mb/s of one file, None where it is not whole."""
        words = [*self._link.low, *receive]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as low:
            assert low.stdout is not None
            time.sleep(HEARS_S)
            with self._file.open("rb") as content:
                high = subprocess.Popen(
                    [*self._link.high, *send],
                    stdin=content,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            try:
                return self._read(low.stdout.fileno())
            finally:
                for process in (high, low):
                    process.kill()
                    process.wait()

    def _read(self, pipe: int) -> float | None:
        """Read what comes out until it is all there, ends, or takes too long."""
        os.set_blocking(pipe, False)
        total = early = 0
        first = last = 0.0
        digest = hashlib.sha256()
        ends = time.monotonic() + ENDS_S
        while total < SIZE and time.monotonic() < ends:
            try:
                piece = os.read(pipe, 1 << 20)
            except BlockingIOError:
                time.sleep(0.0005)
                continue
            if not piece:
                break
            last = time.monotonic()
            digest.update(piece)
            total += len(piece)
            if not first:
                first, early = last, len(piece)
        if total != SIZE or digest.digest() != self._sum:
            return None
        return (total - early) * 8e-6 / max(last - first, 1e-9)

"""`bench link`: two processes, a core each, over a veth pair with segmentation off, or the loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import BenchRow
from bench.lab import BenchLink, lab
from bench.peers import Peers
from bench.quiet import bytes_per_sample, idle_kbit
from protocol import keymaking
from protocol.limits import WIRE_OVERHEAD
from protocol.wire.erasure import spares_for
from protocol.wire.frame import SHARD_OVERHEAD

NEED, SPARE, WIDTH = 64, 8, 1424
BLOCKS, PACED_BLOCKS = 6000, 8000
"""Blocks a run: 547 MB unpaced, 729 MB paced."""
PACED = 900.0
LOSSY, LOSSY_BLOCKS = 300.0, 2000
"""Wire rate of the lossy rows [Mb/s], and blocks a run: 182 MB."""
SAMPLES = 12_000_000


def measure(runs: int) -> list[BenchRow]:
    """All rows of `link.*`."""
    with lab() as link, tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as name:
        folder = Path(name)
        keymaking.make("high", folder / "high")
        keymaking.make("low", folder / "low")
        bench = _Bench(link, folder)
        few = min(runs, 5)
        rows = [*_unpaced(bench, few), _paced(bench, few), *_lossy(bench, few)]
        rows += [*_samples(bench, few), *_delays(bench)]
    return [*rows, *_quiet()]


class _Bench:
    def __init__(self, link: BenchLink, folder: Path) -> None:
        self.link, self.folder, self.turn = link, folder, 0

    def pair(self, kind: str, **given: Any) -> dict[str, Any]:
        """Run a receiver and a sender; what the receiver said."""
        self.turn += 1
        settings = {"to": self.link.address, "listen": self.link.address, "keys": str(self.folder), "turn": self.turn}
        settings |= given
        with _end(self.link.low, f"rx_{kind}", settings) as low, _end(self.link.high, f"tx_{kind}", settings) as high:
            assert high.stdout is not None
            assert low.stdout is not None
            high.stdout.readline()
            line = low.stdout.readline()
        if not line:
            raise OSError(f"the receiving end of {kind} ended early")
        figures: dict[str, Any] = json.loads(line)
        return figures


@contextmanager
def _end(prefix: tuple[str, ...], kind: str, given: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    words = [*prefix, sys.executable, "-m", "bench.link_ends", kind, json.dumps(given)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise OSError(f"{kind} did not start")
            yield process
        finally:
            process.wait(60)


def _unpaced(bench: _Bench, runs: int) -> Iterator[BenchRow]:
    raw: list[float] = []
    bulk: list[dict[str, Any]] = []
    for _ in range(runs):  # turn by turn: the machine's mood is the same for both
        raw.append(max(bench.pair("raw", seconds=1.5, gro=gro)["mbit"] for gro in (False, True)))
        bulk.append(bench.pair("bulk", need=NEED, spare=SPARE, blocks=BLOCKS, rate=0, journal=""))
    yield BenchRow(
        row="link.bulk.unpaced",
        unit="Mb/s of intact data",
        runs=tuple(one["mbit"] for one in bulk),
        baseline=sorted(raw)[len(raw) // 2],
        lost=max(one["lost"] for one in bulk),
        note=f"64+8, 1472-byte datagrams, {bench.link.kind}; baseline: bytes of a raw blast, best of two ways; "
        f"lost: worst run, of {BLOCKS} blocks",
    )


def _paced(bench: _Bench, runs: int) -> BenchRow:
    pairs = []
    for turn in range(runs):
        journal = bench.folder / f"journal{turn}"
        pairs.append(bench.pair("bulk", need=NEED, spare=SPARE, blocks=PACED_BLOCKS, rate=PACED, journal=str(journal)))
        shutil.rmtree(journal)
    share = NEED / (NEED + SPARE) * WIDTH / (WIDTH + SHARD_OVERHEAD + WIRE_OVERHEAD)
    return BenchRow(
        row="link.bulk.paced900",
        unit="Mb/s of intact data",
        runs=tuple(one["mbit"] for one in pairs),
        baseline=PACED * share,
        lost=max(one["lost"] for one in pairs),
        note=f"into the durable journal; baseline: rate x need/(need+spare) x shard/wire; lost: worst of {runs} runs",
    )


def _lossy(bench: _Bench, runs: int) -> Iterator[BenchRow]:
    peers = Peers(bench.link, bench.folder, LOSSY)
    for percent in (1, 5):
        spare = spares_for(NEED, percent / 100)
        note = f"{LOSSY:g} Mb/s on the wire, {NEED}+{spare}; lost: worst of {runs} runs"
        pairs: list[dict[str, Any]] = []
        beside: tuple[float, ...] = ()
        try:
            bench.link.drop(percent / 100)
            given = {"need": NEED, "spare": spare, "blocks": LOSSY_BLOCKS, "rate": LOSSY, "journal": ""}
            pairs += [bench.pair("bulk", **given) for _ in range(runs)]
            beside, said = peers.pydiode(runs)
            note += f"; baseline: {said}"
            other = peers.udpcast(percent, runs)
            bench.link.drop(0)
        except OSError as error:
            note = str(error)
            other = BenchRow(row=f"link.udpcast.loss{percent}", unit="Mb/s", note=note)
        yield BenchRow(
            row=f"link.loss{percent}",
            unit="Mb/s of data",
            runs=tuple(one["mbit"] for one in pairs),
            baseline=sorted(beside)[len(beside) // 2] if beside else None,
            lost=max((one["lost"] for one in pairs), default=None),
            note=note,
        )
        yield BenchRow(
            row=f"link.spares{percent}", unit="spare / data shards", runs=(spare / NEED,), note="of full blocks"
        )
        yield other


def _samples(bench: _Bench, runs: int) -> Iterator[BenchRow]:
    for row, loss in (("link.samples", 0.0), ("link.samples.drop10", 0.1)):
        pairs: list[dict[str, Any]] = []
        note = f"columns in, spool, link, journal, columns out; {SAMPLES // 10**6} M a run; one core a side"
        try:
            if loss:
                bench.link.drop(loss)
            given = {"samples": SAMPLES, "samples_per_s": 0, "polls": 40, "rate": 400, "loss": loss, "delays": False}
            pairs += [bench.pair("samples", **given) for _ in range(runs)]
            if loss:
                bench.link.drop(0)
        except OSError as error:
            note = str(error)
        yield BenchRow(
            row=row,
            unit="samples/s",
            runs=tuple(one["rate"] for one in pairs),
            lost=max((SAMPLES - one["samples"] for one in pairs), default=None),
            note=note,
        )


def _delays(bench: _Bench) -> Iterator[BenchRow]:
    pair = bench.pair("samples", samples=100_000, samples_per_s=10_000, polls=1, rate=20, loss=0.01, delays=True)
    for name in ("p50", "p99"):
        yield BenchRow(
            row=f"link.latency.{name}",
            unit="ms",
            runs=(pair[name],),
            lost=100_000 - pair["samples"],
            note="read to journaled and readable, oldest sample of each block; 10,000 samples/s, 20 Mb/s",
        )


def _quiet() -> Iterator[BenchRow]:
    yield BenchRow(
        row="link.idle",
        unit="kb/s",
        runs=(idle_kbit(),),
        note="LINK, BEAT, TALLY, HEAD, carousel of 1,000 tags, repeats; headers counted; ten minutes of virtual time",
    )
    for thousands in (1, 10):
        yield BenchRow(
            row=f"link.bytes_per_sample.{thousands}k",
            unit="wire bytes/sample",
            runs=(bytes_per_sample(thousands * 1000),),
            note="default settings: two spares and more, two repeats, everything counted; virtual time",
        )

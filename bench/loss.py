"""`bench loss`: loss in, loss out, overhead and added latency, for traces of bad links against settings and loads.

Virtual time, seeded, the product's own parts: spool, emitter, pacing, gather and repair; the link is the simulator's
model. "Out" is the share of blocks that were not complete once every first sending was done (before repeats), and
after the repeats. The curve is drawn into `loss.png` in the working folder where matplotlib is installed (extra
`bench`).
"""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from bench.figures import BenchRow
from protocol import keymaking, keys
from protocol.block import HEADER, BlockKind
from protocol.limits import BLOCK_AGE
from protocol.store.record import record
from protocol.wire.erasure import Code
from receiver.catch.gather import BlockDone, Gather
from receiver.catch.link.sessions import Sessions
from receiver.catch.store.floors import Floors
from sender.emit.emitter import Emitter
from sender.emit.link_session import LinkTerms
from sender.emit.pace import Pace, wire_bytes
from sender.geometry import Geometry
from sender.store.load import Load
from sender.store.spool import Spool
from simulator.link.model import Burst, Cut, LinkModel

WARM, SECONDS = 12.0, 32.0
"""Traffic of one cell, and what of it is not counted, until the measured load is the real one [s of virtual time]."""
REPEAT = (20.0,)
STREAM = b"losslab1"


@dataclass(frozen=True, slots=True)
class LinkTrace:
    """One bad link, made anew from each seed."""

    name: str
    model: Callable[[int], LinkModel]
    warm_s: float = WARM
    """What is sent earlier is not counted [s]."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to be prepared."""

    name: str
    loss: float | None
    spread_s: float


@dataclass(frozen=True, slots=True)
class LossCell:
    """What one trace did to one setting at one load."""

    trace: str
    setting: str
    load: str
    loss_in: float
    """Share of frames lost."""
    loss_out: float
    """Share of blocks that the first sending did not bring."""
    loss_after: float
    """The same after the repeat."""
    overhead: float
    """Wire bytes of the first sending / block bytes - 1."""
    p50_ms: float
    """From sealed to complete, first sendings."""
    p99_ms: float


UNIFORM = (0.001, 0.003, 0.01, 0.03, 0.05, 0.1, 0.2, 0.4)
BURSTS_MS = (1, 5, 20, 50, 100, 200)
TRACES = [
    *(LinkTrace(f"uniform {share:.1%}", lambda seed, share=share: LinkModel(seed, loss=share)) for share in UNIFORM),  # type: ignore[misc]
    *(
        LinkTrace(f"burst {ms} ms", lambda seed, ms=ms: LinkModel(seed, burst=Burst(ms / 1000, 2.0)))  # type: ignore[misc]
        for ms in BURSTS_MS
    ),
    LinkTrace("doubled 5%", lambda seed: LinkModel(seed, loss=0.01, duplicate=0.05)),
    LinkTrace("reordered 5%", lambda seed: LinkModel(seed, loss=0.01, reorder=0.05)),
    LinkTrace("start of transfer 0.2 s", lambda seed: LinkModel(seed, cuts=(Cut(0.0, 0.2),)), 0.0),
    LinkTrace("cable out 1 s", lambda seed: LinkModel(seed, cuts=(Cut(WARM + 5, WARM + 6),))),
    LinkTrace("cable out 60 s", lambda seed: LinkModel(seed, cuts=(Cut(WARM + 5, WARM + 65),))),
]
SETTINGS = [
    Setting("no loss_target", None, 0.05),
    Setting("loss_target 1%", 0.01, 0.05),
    Setting("loss_target 5%", 0.05, 0.05),
    Setting("loss_target 5%, spread 0", 0.05, 0.0),
]
LOADS = {"light": 1_200, "full": 91_000}
"""Bytes of each block, ten a second: a small plant, and 0.4 of a 20 Mb/s link without spares."""


def measure(runs: int) -> list[BenchRow]:
    """One row a cell: the share of blocks lost before repeats; the note has the rest.

    Args:
        runs: Seeds of each cell, at most 3.
    """
    rows = []
    cells: list[LossCell] = []
    for trace in TRACES:
        for setting in SETTINGS:
            for load, size in LOADS.items():
                seeded = [run(trace, setting, load, size, seed) for seed in range(min(runs, 3))]
                cells += seeded
                rows.append(_row(seeded))
    draw(cells, Path("loss.png"))
    return rows


def _row(cells: list[LossCell]) -> BenchRow:
    one = cells[0]
    return BenchRow(
        row=f"loss.{one.trace}.{one.setting}.{one.load}".replace(" ", "-"),
        unit="blocks lost before repeats",
        runs=tuple(cell.loss_out for cell in cells),
        lost=None,
        note=f"in {one.loss_in:.2%}, after repeats {max(cell.loss_after for cell in cells):.2%}, overhead "
        f"{one.overhead:.0%}, p50 {one.p50_ms:.0f} ms, p99 {one.p99_ms:.0f} ms",
    )


def run(trace: LinkTrace, setting: Setting, load: str, size: int, seed: int) -> LossCell:
    """One cell with one seed."""
    with tempfile.TemporaryDirectory(prefix="checkvalve-loss-") as name:
        return _Lab(Path(name), trace, setting, size, seed).cell(load)


class _Lab:
    def __init__(self, folder: Path, trace: LinkTrace, setting: Setting, size: int, seed: int) -> None:
        for side in ("high", "low"):
            keymaking.make(side, folder / side)
        self.trace, self.setting, self.size, self.now = trace, setting, size, 0.0
        self.model = trace.model(seed)
        self.random = random.Random(seed)
        self.geometry = Geometry(width=1424, rate=2.5e6, repeats=len(REPEAT), loss=setting.loss)
        self.spool = Spool(folder / "state", keep_s=1e9, most_bytes=10**12, now=0.0)
        signer, own = keys.load(folder / "high", "link-sign"), keys.load(folder / "low", "catch")
        link = LinkTerms(
            mtu=1500, spread_s=setting.spread_s, repeat=REPEAT, geometry=self.geometry, signer=signer,
            receivers=[own.public], boot=1, entropy=self.random.randbytes, wall=lambda: int(self.now * 1e9),
            synced=lambda: 1,
        )  # fmt: skip
        self.emitter = Emitter(self.spool.folder, link, 0.0)
        self.pace = Pace(self.geometry.rate, None, largest_frame=1514)
        self.gather = Gather(Sessions(own, [signer.public], Floors(), random.Random(seed)), Code(), {})
        self.on_way: list[tuple[float, int, bytes]] = []
        self.sealed: dict[int, float] = {}
        self.done: dict[int, float] = {}
        self.frames = self.lost = self.first_bytes = 0
        self.sending = 0.0
        self.load = Load()

    def cell(self, load: str) -> LossCell:
        number, next_block, ends = 0, 0.0, SECONDS
        finish = SECONDS + max(REPEAT) + 5
        if "60 s" in self.trace.name:
            finish += 60
        while self.now < finish:
            if self.now < ends and self.now >= next_block:
                self._seal(number)
                number += 1
                next_block += BLOCK_AGE
            self.spool.tick(self.now)
            self._emit()
            self._arrive()
            self.now += 0.002 if self.now < SECONDS + 1 or self.emitter.repeats.deadline() is not None else 0.05
        counted = {n for n, at in self.sealed.items() if at >= self.trace.warm_s}
        first = {n: at for n, at in self.done.items() if n in counted and at - self.sealed[n] < min(REPEAT) - 1}
        delays = sorted((at - self.sealed[n]) * 1000 for n, at in first.items()) or [float("nan")]
        return LossCell(
            trace=self.trace.name, setting=self.setting.name, load=load,
            loss_in=self.lost / max(self.frames, 1),
            loss_out=1 - len(first) / len(counted),
            loss_after=1 - len(counted & self.done.keys()) / len(counted),
            overhead=self.first_bytes / (len(counted) * self.size) - 1,
            p50_ms=statistics.median(delays),
            p99_ms=delays[min(len(delays) - 1, int(0.99 * len(delays)))],
        )  # fmt: skip

    def _seal(self, number: int) -> None:
        block = HEADER.pack(b"CB", 1, BlockKind.BATCH, STREAM, number, 1, bytes(12))
        block += self.random.randbytes(self.size - len(block))
        need, spare = self.geometry.cut(len(block), self.load.rate(self.now))
        self.load.note(self.geometry.on_wire(len(block)), self.now)
        self.sealed[number] = self.now
        self.spool.append(record(STREAM, number, need, spare, block))

    def _emit(self) -> None:
        while (parcel := self.emitter.next(self.now)) is not None:
            self.sending = self.now
            self.pace.send(parcel.frames, parcel.length, self._send, clock=lambda: self.sending, sleep=self._let_pass)
            self.emitter.left(parcel)
            if self.sending > self.now + 0.004:
                self.now = self.sending  # the sender was busy so long

    def _let_pass(self, seconds: float) -> None:
        self.sending += seconds

    def _send(self, frames: memoryview, length: int) -> bool:
        for at in range(0, len(frames), length):
            self._carry(bytes(frames[at : at + length]), self.sending)
        return True

    def _carry(self, frame: bytes, at: float) -> None:
        arrived = self.model.carry(at, frame)
        self.frames += 1
        self.lost += not arrived
        if frame[3] == 1 and frame[31] == 0 and self.sealed[int.from_bytes(frame[16:24], "big")] >= self.trace.warm_s:
            self.first_bytes += wire_bytes(len(frame), 1)
        for when, data in arrived:
            self.on_way.append((when, len(self.on_way), data))

    def _arrive(self) -> None:
        due = sorted(one for one in self.on_way if one[0] <= self.now)
        self.on_way = [one for one in self.on_way if one[0] > self.now]
        for when, _, data in due:
            for event in self.gather.receive(data, when, int(when * 1e9)):
                if isinstance(event, BlockDone):
                    self.done.setdefault(event.number, when)


COLOURS = ("#b23a2e", "#c98a1b", "#1f6f8b", "#7a7a7a")
"""Of the settings, in their order."""


def draw(cells: list[LossCell], path: Path) -> bool:
    """The curve: loss in against blocks lost, and burst length against blocks lost; False without matplotlib."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
        from matplotlib.ticker import FuncFormatter
    except ImportError:
        return False
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.6), sharey=True)
    none = 50.0 / (
        (SECONDS - WARM) / BLOCK_AGE
    )  # in percent, half of one block: the place of "none" on a logarithmic scale
    for axis, kind, scale in ((axes[0], "uniform", 100.0), (axes[1], "burst", 1.0)):
        for (load, style), (colour, setting) in product(
            {"light": "-", "full": "--"}.items(), zip(COLOURS, SETTINGS, strict=True)
        ):
            points = list(_points(cells, setting.name, load, kind))
            axis.plot([x * scale for x, _ in points], [max(y * 100, none) for _, y in points], style, color=colour,
                      marker="o", ms=3.5, lw=1.6, label=f"{setting.name}, {load} load")  # fmt: skip
        axis.set(xscale="log", yscale="log", ylim=(none * 0.8, 130))
        axis.grid(alpha=0.25, lw=0.6)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set(title="Frames lost at random", xlabel="lost on the wire [%]", ylabel="blocks lost before repeats [%]")
    axes[1].set(title="Bursts, one every two seconds", xlabel="mean length of a burst [ms]")
    axes[0].annotate("lowest line: none lost", (1.2, none), (1.2, none * 1.2), fontsize=8, color="#555555")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return True


def _points(cells: list[LossCell], setting: str, load: str, kind: str) -> Iterator[tuple[float, float]]:
    names = dict.fromkeys(cell.trace for cell in cells if cell.trace.startswith(kind))
    for name in names:
        matching = [cell for cell in cells if (cell.trace, cell.setting, cell.load) == (name, setting, load)]
        value = float(name.split(" ")[1].rstrip("%")) / (100 if kind == "uniform" else 1)
        yield value, statistics.mean(cell.loss_out for cell in matching)

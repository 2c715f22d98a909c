"""`checkvalve export`: the history as CSV or Parquet, beside a running receiver.

Both files, what was asked for and the gaps, are written beside and renamed at the end, the gaps first: where the one is
there, both are whole. Started by root, a child process reads as the history's owner (`history.py`) and writes into
files that are open already: no more rights than that user's touch what that user may have planted.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NoReturn

import zstandard

from protocol import terminal, text
from protocol.errors import ConfigError, StoreError
from receiver.commands.history import as_owner, folder_of
from receiver.config import ReceiverConfig
from receiver.export import arrival_cursor, parquet_file, plain_rows
from receiver.export.atomic_file import AtomicFile
from receiver.export.choice import ExportChoice
from receiver.export.moment import moment, zone
from receiver.export.writing import (
    BUCKET_COLUMNS,
    ExportCounts,
    PlainFile,
    SampleFile,
    chosen,
    write_buckets,
    write_samples,
)
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope, TagView
from receiver.outputs.historian.whole.whole_history import AFTER_NS, FIRST_NS, WholeHistory

KINDS = ("samples", "events", "states", "tags", "gaps")
"""What `--what` takes."""
ENDS = {".parquet": "parquet", ".csv": "csv", ".csv.gz": "csv", ".csv.zst": "csv"}
"""What a file is, by the end of its name."""
SAY_S = 0.5
"""Between two words about how far it is, on a terminal [s]."""
LEAST_BUCKET_NS, MOST_BUCKET_NS = 10**6, 3660 * 86_400 * 10**9
"""Narrower ones would be more rows than a disk holds, and none is wider than ten years [ns]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What was typed."""

    out: Path
    what: str = "samples"
    """One of `KINDS`."""
    form: str | None = None
    """`csv` or `parquet`; None: by the end of the name."""
    vendor: str | None = None
    choice: ExportChoice
    """Without times."""
    from_text: str | None = None
    to_text: str | None = None
    zone: str | None = None
    since: str | None = None
    buckets: str | None = None
    replace: bool = False


def export(config: ReceiverConfig, request: ExportRequest) -> dict[str, Any]:
    """Write the file, and beside it that of gaps; returns what is told of them, as plain JSON.

    Raises:
        ConfigError: something that was typed cannot be meant.
        HeldError: another export writes the file.
        StoreError: the history cannot be read, or the disk is full.
    """
    end, form = _form(request)
    where = None if request.zone is None else zone(request.zone)
    from_ns, to_ns = FIRST_NS, AFTER_NS
    if request.from_text is not None:
        from_ns = moment("--from", request.from_text, where, time.time_ns)
    if request.to_text is not None:
        to_ns = moment("--to", request.to_text, where, time.time_ns)
    if from_ns >= to_ns:
        raise ConfigError("--from is not before --to", hint="--to is the first moment that is not exported any more")
    choice = replace(request.choice, from_ns=from_ns, to_ns=to_ns)
    _meant(request, choice)
    width_ns = _width(request, choice)
    if form == "parquet":
        parquet_file.library()
    since = request.since
    if since is not None and not arrival_cursor.is_cursor(since):
        since = str(moment("--since", since, where, time.time_ns))
    folder = folder_of(config)
    beside_gaps = request.out.with_name(request.out.name.removesuffix(end) + ".gaps" + end)
    with ExitStack() as files:
        asked = files.enter_context(AtomicFile(request.out, replace=request.replace))
        holes = None
        if request.what != "gaps":
            holes = files.enter_context(AtomicFile(beside_gaps, replace=request.replace))

        def work() -> dict[str, Any]:
            with _no_space(request.out):
                gaps_file = None if holes is None else holes.file
                return _write(folder, request, choice, since, width_ns, form == "parquet", asked.file, gaps_file)

        told = of_owner(folder, work)
        if holes is not None:
            holes.commit()
        size = asked.commit()
    return {"file": str(request.out), "gaps_file": None if holes is None else str(beside_gaps), "bytes": size, **told}


def _write(
    folder: Path,
    request: ExportRequest,
    choice: ExportChoice,
    since: str | None,
    width_ns: int | None,
    parquet: bool,
    asked: IO[bytes],
    holes: IO[bytes] | None,
) -> dict[str, Any]:
    scope = Scope() if request.vendor is None else Scope(vendors=frozenset({request.vendor}))
    history, door = WholeHistory(folder, scope), Door(folder, scope)
    try:
        if not history.visible.assets and request.vendor is not None:
            hint = "write it as sender.toml has it; the pages show each asset's vendors"
            raise ConfigError(f"no asset here is of vendor {request.vendor!r}", hint=hint)
        tags = chosen(history, choice if request.what in ("samples", "tags") else replace(choice, tags=()))
        warnings = []
        if since is not None:
            sequence, warning = arrival_cursor.sequence(history, since)
            choice = replace(choice, since=sequence)
            warnings += [warning] if warning else []
        told: dict[str, Any] = {"next": arrival_cursor.cursor(history)}
        done = ExportCounts()
        with _packed(asked, request.out) as sink:
            file: PlainFile | SampleFile
            progress = _Progress(request.what)
            if request.what != "samples":
                file = PlainFile(sink, plain_rows.COLUMNS[request.what], parquet=parquet)
                told |= {request.what: _write_plain(door, history, request.what, tags, choice, file, progress.say)}
            elif width_ns is not None:
                file = PlainFile(sink, BUCKET_COLUMNS, parquet=parquet)
                done = write_buckets(door, tags, choice, width_ns, file)
                told |= {"samples": done.samples, "tags": done.tags}
            else:
                file = SampleFile(sink, parquet=parquet)
                done = write_samples(history, tags, choice, file, progress.say)
                told |= {"samples": done.samples, "tags": done.tags}
            progress.end()
            lines = plain_rows.gaps(door, history, choice)
            told["gaps"] = len(lines)
            file.finish(told)
        if holes is not None:
            with _packed(holes, request.out) as sink:
                gap_file = PlainFile(sink, plain_rows.COLUMNS["gaps"], parquet=parquet)
                gap_file.add(lines)
                gap_file.finish({})
            holes.flush()
    finally:
        history.close()
        door.close()
    asked.flush()
    return {**told, "warnings": warnings + _gone(done)}


def _write_plain(
    door: Door,
    history: WholeHistory,
    what: str,
    tags: Sequence[TagView],
    choice: ExportChoice,
    file: PlainFile,
    say: Callable[[int, int], None],
) -> int:
    """Write what is no samples; returns how many rows."""
    pages: Iterable[list[plain_rows.PlainRow]]
    if what == "events":
        pages = plain_rows.events(history, choice, say)
    elif what == "states":
        pages = plain_rows.states(history, choice, say)
    else:
        pages = [plain_rows.tags(tags) if what == "tags" else plain_rows.gaps(door, history, choice)]
    count = 0
    for page in pages:
        file.add(page)
        count += len(page)
    return count


def _meant(request: ExportRequest, choice: ExportChoice) -> None:
    """What goes with one kind of rows alone.

    Raises:
        ConfigError: what was typed contradicts itself.
    """
    if request.what not in KINDS:
        raise ConfigError(f"--what {request.what}", hint="one of " + ", ".join(KINDS))
    if request.buckets is not None and request.what != "samples":
        raise ConfigError(f"--buckets are made of samples, not of {request.what}", hint="leave one of them out")
    if request.since is not None and request.what in ("tags", "gaps"):
        raise ConfigError(f"{request.what} have no arrival", hint="leave --since out: all of them are few")
    if choice.tags and request.what in ("states", "gaps"):
        raise ConfigError(f"{request.what} are of no tag", hint="leave --tag out; --asset cuts states")


def _gone(done: ExportCounts) -> list[str]:
    if not done.gone:
        return []
    return [f"retention took {done.gone} chunks while they were read: what is oldest in the file is not whole"]


def _form(request: ExportRequest) -> tuple[str, str]:
    """The end of the name, and what the file is."""
    end = next((end for end in sorted(ENDS, key=len, reverse=True) if request.out.name.endswith(end)), "")
    form = request.form or ENDS.get(end)
    if form is None:
        raise ConfigError(
            f"{request.out.name} does not say what it is to be",
            hint="name it .parquet, .csv, .csv.gz or .csv.zst, or say --format",
        )
    if end and ENDS[end] != form:
        raise ConfigError(f"--format {form}, and the file is called {request.out.name}", hint="leave one of them out")
    return end, form


def _width(request: ExportRequest, choice: ExportChoice) -> int | None:
    if request.buckets is None:
        return None
    if request.since is not None:
        raise ConfigError("--buckets and --since exclude each other", hint="a bucket has no arrival; export samples")
    if choice.from_ns == FIRST_NS or choice.to_ns == AFTER_NS:
        raise ConfigError("--buckets needs --from and --to", hint="--to now, for example")
    try:
        width_ns = int(text.seconds(request.buckets) * 1e9)
    except ValueError as error:
        raise ConfigError(f"--buckets {error}", hint="--buckets 1h") from error
    if not LEAST_BUCKET_NS <= width_ns <= MOST_BUCKET_NS:
        raise ConfigError(f"--buckets {request.buckets} is no width of a bucket", hint="from 1ms to 3660d, as in 1h")
    return width_ns


@contextmanager
def _packed(file: IO[bytes], out: Path) -> Iterator[IO[bytes]]:
    """Compressed, where the name says so."""
    if out.name.endswith(".csv.gz"):
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=4, mtime=0, filename="") as packed:
            yield packed  # type: ignore[misc]
    elif out.name.endswith(".csv.zst"):
        with zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(file, closefd=False) as packed:
            yield packed
    else:
        yield file


class _Progress:
    """A line about how far it is, where there is a terminal."""

    def __init__(self, what: str) -> None:
        """
        Args:
            what: Is counted, in words.
        """
        self._what = what
        self._began = self._said = time.monotonic()
        self._shown = False

    def say(self, done: int, total: int) -> None:
        now = time.monotonic()
        if sys.stderr.isatty() and now >= self._said + SAY_S:
            self._said, self._shown = now, True
            rate = done / (now - self._began)
            terminal.progress(
                f"{done:,} of about {total:,} {self._what}, {100 * done // total} %, {rate:,.0f} a second"
            )

    def end(self) -> None:
        if self._shown:
            terminal.progress("")


@contextmanager
def _no_space(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{out}: {error.strerror or error}; nothing of it was kept") from error


def of_owner(folder: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` gives; where root asks, of a child that is the history's owner."""
    if os.geteuid() != 0 or folder.stat().st_uid == 0:
        return work()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(folder, work, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGTERM)
        raise
    finally:
        os.waitpid(child, 0)
    try:
        told: dict[str, Any] = json.loads(said)
    except ValueError as error:
        raise StoreError("the export's reading process was ended; nothing was kept") from error
    if "error" in told:
        kind = ConfigError if told["kind"] == "ConfigError" else StoreError
        raise ConfigError(told["error"], hint=told["hint"]) if kind is ConfigError else StoreError(told["error"])
    return told


def _child(folder: Path, work: Callable[[], dict[str, Any]], writing: int) -> NoReturn:
    try:
        as_owner(folder)
        told = work()
    except Exception as error:  # noqa: BLE001  the parent tells it
        told = {"kind": type(error).__name__, "error": str(error), "hint": getattr(error, "hint", "")}
    except BaseException:  # noqa: BLE001
        os._exit(1)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(json.dumps(told).encode())
    os._exit(0)

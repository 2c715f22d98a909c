"""An answer of any length in bounded memory: read in a thread of its own, sent as it is read, cut off where it fails.

    opened     the history, its cursor, and the first table: a refusal is still an answer of its own
    told       a table at a time; the next is read when the reader has taken the one before
    ended      whole, or cut off: a chunked answer without its last chunk, which every client takes for broken

`READINGS` may be open at once; a reader who takes nothing for `STALL_S` is let go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from protocol.errors import ConfigError, StoreError
from receiver.export import arrival_cursor, plain_rows
from receiver.export.choice import ExportChoice
from receiver.export.sample_table import table
from receiver.export.writing import CSV_ROWS, GROUP_ROWS
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.whole.whole_history import SeriesPart, Spans, WantedSamples, WholeHistory
from receiver.portal.sampling.answer_files import Chunks, gap_rows, sample_file
from receiver.portal.sampling.sample_question import AnswerForm, SampleQuestion
from receiver.portal.streams import gone

READINGS = 4
"""Answers being read at once, of all readers; each takes a processor and some 100 MB."""
STALL_S = 60.0
"""A reader must take in each piece within this time [s]."""

PACKED = (AnswerForm.PARQUET,)

_log = logging.getLogger("receiver.portal")


class SampleStream:
    """The answer (ASGI 3.0)."""

    def __init__(
        self,
        question: SampleQuestion,
        open_history: Callable[[], tuple[WholeHistory, Door]],
        readings: set[object],
        holds: Callable[[], bool] | None,
        *,
        name: str = "",
        most: int | None = None,
    ) -> None:
        """
        Args:
            question: What is asked for.
            open_history: Opens it within the reader's scope; called in the thread that reads.
            readings: Those that are open, of all readers.
            holds: Whether the reader may still see this; the answer is cut off where not.
            name: Of the file that a browser keeps it in; empty: it is none.
            most: More samples than about so many are refused; None: any number.
        """
        self._question, self._open, self._readings, self._holds = question, open_history, readings, holds
        self._name, self._most = name, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        if len(self._readings) >= READINGS:
            raise HTTPException(503, "too much is being read", headers={"Retry-After": "10"})
        self._readings.add(self)
        streaming = scope.get("state", {}).get("stream", lambda streaming: None)
        streaming(True)
        left: asyncio.Task[None] | None = None
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="portal-samples")
        reading = SampleReading(self._question, self._open, self._most)
        run = asyncio.get_running_loop().run_in_executor
        try:
            try:
                cursor = await run(thread, reading.begin)
                some = await run(thread, reading.next) if scope["method"] != "HEAD" else None
            except (ConfigError, StoreError) as error:
                raise _refusal(error) from error
            headers = [(b"content-type", self._question.form.media.encode())]
            if self._name:
                headers.append((b"content-disposition", f'attachment; filename="{self._name}"'.encode()))
            if self._question.form in PACKED:
                headers.append((b"content-encoding", b"identity"))  # packed as it is: gzip would find nothing
            headers += [(b"checkvalve-next", cursor.encode())] if cursor else []
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            while some is not None:
                async with asyncio.timeout(STALL_S):
                    await send({"type": "http.response.body", "body": some, "more_body": True})
                left = left or asyncio.create_task(gone(receive))
                if left.done() or (self._holds is not None and not self._holds()):
                    return
                some = await run(thread, reading.next)
            await send({"type": "http.response.body", "body": b""})
        except (StoreError, TimeoutError) as error:
            _log.warning("an answer of samples was cut off: %s", error or "its reader took nothing")
        finally:
            if left is not None:
                left.cancel()
            self._readings.discard(self)
            streaming(False)
            await run(thread, reading.close)
            thread.shutdown(wait=False)


class SampleReading:
    """One reading of the history; all of it in one thread."""

    def __init__(
        self,
        question: SampleQuestion,
        open_history: Callable[[], tuple[WholeHistory, Door]],
        most: int | None = None,
    ) -> None:
        self._question, self._open, self._most = question, open_history, most
        self._held: tuple[WholeHistory, Door] | None = None
        self._pieces: Iterator[bytes] = iter(())

    def begin(self) -> str | None:
        """Open it; gives the cursor of what arrives from now on.

        Raises:
            ConfigError: there is no history, or the cursor is of another.
            StoreError: it cannot be read.
            HTTPException: 413, it is too much.
        """
        self._held = self._open()
        history, door = self._held
        asked = self._question
        since = -1 if asked.since is None else arrival_cursor.sequence(history, asked.since)[0]
        cursor = arrival_cursor.cursor(history)
        series = [one.series for one in history.tags() if asked.wants(one)]
        wanted = WantedSamples(series=series, from_ns=asked.from_ns, to_ns=asked.to_ns, since=since)
        spans = history.spans(wanted)
        about = sum(sum(held.values()) for held in spans.values())
        if self._most is not None and about > self._most:
            said = (
                f"about {about:,} samples are more than the {self._most:,} of one file: choose a shorter time, fewer "
            )
            raise HTTPException(413, said + "tags, or buckets; on the low side `checkvalve export` writes any number")
        self._pieces = self._made(history, door, wanted, spans, cursor)
        return cursor

    def next(self) -> bytes | None:
        """The next piece; None: that was all."""
        return next(self._pieces, None)

    def close(self) -> None:
        """Let the history go."""
        if self._held is not None:
            for one in self._held:
                one.close()

    def _made(
        self, history: WholeHistory, door: Door, wanted: WantedSamples, spans: Spans, cursor: str | None
    ) -> Iterator[bytes]:
        asked, chunks = self._question, Chunks()
        file = sample_file(asked.form, chunks, cursor)
        most = GROUP_ROWS if asked.form in (AnswerForm.PARQUET, AnswerForm.ARROW) else CSV_ROWS
        held: list[SeriesPart] = []
        count = 0
        for part in history.parts(wanted, spans):
            held.append(part)
            count += len(part.rows)
            if count >= most:
                file.add(table(held, history.streams))
                held, count = [], 0
                yield chunks.take()
        if held:
            file.add(table(held, history.streams))
        choice = ExportChoice(from_ns=asked.from_ns, to_ns=asked.to_ns)
        file.finish({"next": cursor, "gaps": gap_rows(plain_rows.gaps(door, history, choice))})
        yield chunks.take()


def _refusal(error: Exception) -> HTTPException:
    if isinstance(error, StoreError):
        return HTTPException(503, "the history cannot be read")
    return HTTPException(
        410, "the cursor is of another history, which was made anew or put back: begin again from a time"
    )

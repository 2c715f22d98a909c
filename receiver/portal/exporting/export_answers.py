"""`/export` and `/export/events`: what a page shows, as a file that a browser keeps.

    samples   every sample: unit, quality, source time, time of arrival, where it came from   streamed, as it is read
    buckets   least, greatest, mean and counts of equal parts of the time                     at most `MOST_ROWS`
    gaps      when blocks were missing, or are: the note that belongs to both                 a line a gap
    events    as the events' page finds them                                                  at most `TABLE_ROWS`

The columns are those of `checkvalve export` (docs/export.md), and so is what makes a text of the plant no formula.
What is asked for stands in the address, so that a form does without a script; each file is a look on record
(`read.export`) before its first byte. The name of a file holds no text of the plant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from receiver.export import plain_rows
from receiver.export.choice import ExportChoice
from receiver.export.writing import PlainFile, write_buckets
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.whole.whole_history import WholeHistory
from receiver.portal.alarms.alarm_pages import COLUMNS as EVENT_COLUMNS
from receiver.portal.alarms.alarm_pages import TABLE_ROWS
from receiver.portal.alarms.event_form import event_form
from receiver.portal.keeper import Keeper
from receiver.portal.live import Live
from receiver.portal.pages import check_range
from receiver.portal.sampling.answer_files import Chunks, buckets_file
from receiver.portal.sampling.sample_question import AnswerForm, SampleQuestion, asked, width_ns
from receiver.portal.sampling.sample_stream import SampleStream
from receiver.portal.scoped import looks

MOST_SAMPLES = 20_000_000
"""Samples of one file from a page, about: a Parquet of some 300 MB, a CSV of 4 GB; more is for the command."""
WHAT = ("samples", "buckets", "gaps")
FORMS = (AnswerForm.CSV, AnswerForm.PARQUET)
"""Of a file; programs have two more at `/api/samples`."""


class ExportAnswers:
    """Files within one scope."""

    def __init__(
        self,
        live: Live,
        keeper: Keeper,
        open_history: Callable[[], tuple[WholeHistory, Door]],
        readings: set[object],
    ) -> None:
        """
        Args:
            live: What there is.
            keeper: A door for what is no samples.
            open_history: Opens the history within the scope, for one file.
            readings: Answers of samples that are being read, of all scopes: pages and programs share their bound.
        """
        self._live, self._keeper, self._open, self._readings = live, keeper, open_history, readings

    async def export(self, request: Request) -> ASGIApp:
        """`/export?asset=&tag=&from=&to=&what=&width=&form=`: assets and tags as `/api/samples` has them."""
        query = request.query_params
        what = query.get("what", WHAT[0])
        if what not in WHAT:
            raise HTTPException(400, f"what is one of {', '.join(WHAT)}")
        question = self._asked(query)
        if what == "samples":
            self._show(request, question)
            holds = request.scope["state"].get("holds")
            name = _name(what, question.from_ns, question.form)
            return SampleStream(question, self._open, self._readings, holds, name=name, most=MOST_SAMPLES)
        rows, body = await (self._buckets(query, question) if what == "buckets" else self._gaps(question))
        self._show(request, question, rows)
        return _file(body, _name(what, question.from_ns, question.form), question.form)

    async def events(self, request: Request) -> Response:
        """`/export/events?asset=&state=&severity=&q=&from=&to=&form=`: the question of the events' page."""
        query = request.query_params
        asset, form = query.get("asset", ""), _form(query)
        if asset and asset not in self._live.picture.assets:
            raise HTTPException(404)
        question = event_form(query, limit=TABLE_ROWS).question

        def written(door: Door) -> tuple[int, bytes]:
            found = door.find_events(question)
            cells = [_event_cells(one) for one in found.events]
            whole = found.whole and found.after is None
            return len(cells), _plain(EVENT_COLUMNS, cells, form, {"events": len(cells), "whole": whole})

        rows, body = await self._keeper.ask(written)
        looks.show(request, "read.export", [asset] if asset else [*self._live.picture.assets], rows=rows)
        return _file(body, _name("events", self._live.moment().now_ns, form), form)

    def _asked(self, query: QueryParams) -> SampleQuestion:
        """The question, checked; a file is of a range, and in a form that a person keeps."""
        form = _form(query)
        if "since" in query:
            raise HTTPException(400, "a file of a page is of a range: programs ask /api/samples since a cursor")
        if not query.get("from"):
            raise HTTPException(400, "from is missing: the first time that is to be in the file")
        given = [_plain_field(*one) for one in query.multi_items() if one[0] != "form" and one != ("to", "")]
        question = asked(
            QueryParams([*given, ("form", form.value)]),
            Headers(),
            self._live.picture,
            self._live.moment().now_ns,
        )
        if not (question.assets or question.tags):
            raise HTTPException(400, "no asset and no tag is named")
        check_range(question.from_ns, min(question.to_ns, max(self._live.moment().now_ns, question.from_ns + 1)))
        return question

    async def _buckets(self, query: QueryParams, question: SampleQuestion) -> tuple[int, bytes]:
        now_ns = self._live.moment().now_ns
        names = self._assets(question)
        found = await self._keeper.ask(lambda door: [tag for name in names for tag in door.tags(name)])
        tags = [tag for tag in found if question.wants(tag)]
        to_ns = max(min(question.to_ns, now_ns), question.from_ns + 1)  # nothing is known of the time to come
        question = _until(question, to_ns)
        width = width_ns(query, question, len(tags))
        choice = ExportChoice(from_ns=question.from_ns, to_ns=to_ns)

        def written(door: Door) -> tuple[int, bytes]:
            chunks = Chunks()
            file = buckets_file(question.form, chunks)
            rows = write_buckets(door, tags, choice, width, file).samples
            file.finish({"gaps": _gap_cells(door, question)})
            return rows, chunks.take()

        return await self._keeper.ask(written)

    async def _gaps(self, question: SampleQuestion) -> tuple[int, bytes]:
        def written(door: Door) -> tuple[int, bytes]:
            cells = _gap_cells(door, question)
            return len(cells), _plain(plain_rows.COLUMNS["gaps"], cells, question.form, {"gaps": len(cells)})

        return await self._keeper.ask(written)

    def _show(self, request: Request, question: SampleQuestion, rows: int | None = None) -> None:
        between = (question.from_ns, question.to_ns)
        looks.show(request, "read.export", self._assets(question), question.tags, between=between, rows=rows)

    def _assets(self, question: SampleQuestion) -> list[str]:
        return sorted({*question.assets, *(asset for asset, _ in question.tags)})


def _plain_field(key: str, held: str) -> tuple[str, str]:
    """A field as programs send it: a form has names percent-encoded (`asset_key`), for HTML cannot hold any letter."""
    return (key.removesuffix("_key"), unquote(held)) if key in ("asset_key", "tag_key") else (key, held)


def _until(question: SampleQuestion, to_ns: int) -> SampleQuestion:
    return SampleQuestion(
        assets=question.assets,
        tags=question.tags,
        from_ns=question.from_ns,
        to_ns=to_ns,
        timed=True,
        since=None,
        form=question.form,
    )


def _form(query: QueryParams) -> AnswerForm:
    said = query.get("form", FORMS[0].value)
    if said not in FORMS:
        raise HTTPException(400, f"form is one of {', '.join(FORMS)}")
    return AnswerForm(said)


def _gap_cells(door: Door, question: SampleQuestion) -> list[Sequence[Any]]:
    """Rows of `plain_rows.COLUMNS["gaps"]`."""
    return [
        (one.site, one.from_ns, one.to_ns, one.damage or "blocks are missing", one.blocks, one.stream, one.first)
        for one in door.absences(question.from_ns, question.to_ns)
    ]


def _event_cells(one: Any) -> Sequence[Any]:
    whose = (one.asset, one.source, one.state or "happened")
    return (one.time_ns, one.received_ns, *whose, one.severity, one.code, one.text, one.sequence)


def _plain(
    columns: Mapping[str, str], cells: Sequence[Sequence[Any]], form: AnswerForm, told: Mapping[str, Any]
) -> bytes:
    chunks = Chunks()
    file = PlainFile(chunks.sink, columns, parquet=form is AnswerForm.PARQUET)
    file.add(cells)
    file.finish(told)
    return chunks.take()


def _name(what: str, at_ns: int, form: AnswerForm) -> str:
    """`samples-20261128T080000Z.csv`: when it begins, and no text of the plant."""
    try:
        stamp = datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, OverflowError, OSError):
        stamp = "all"
    return f"{what}-{stamp}.{form}"


def _file(body: bytes, name: str, form: AnswerForm) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if form is AnswerForm.PARQUET:
        headers["Content-Encoding"] = "identity"  # packed as it is: gzip would find nothing
    return Response(body, media_type=form.media, headers=headers)

"""`/api/samples` and `/api/buckets`: many samples at once, for programs that compute."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from receiver.export.choice import ExportChoice
from receiver.export.writing import write_buckets
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.whole.whole_history import WholeHistory
from receiver.portal.keeper import Keeper
from receiver.portal.live import Live
from receiver.portal.sampling.answer_files import Chunks, buckets_file
from receiver.portal.sampling.sample_question import SampleQuestion, asked, width_ns
from receiver.portal.sampling.sample_stream import SampleStream
from receiver.portal.scoped import looks


class SampleAnswers:
    """Answers within one scope."""

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
            keeper: A door for buckets.
            open_history: Opens the history within the scope, for one answer.
            readings: Answers that are being read, of all scopes.
        """
        self._live, self._keeper, self._open, self._readings = live, keeper, open_history, readings

    async def samples(self, request: Request) -> SampleStream:
        """`/api/samples?asset=&tag=&from=&to=&since=&form=`: every sample, by its own time or by its arrival."""
        question = self._asked(request)
        self._show(request, "read.samples", question)
        return SampleStream(question, self._open, self._readings, request.scope["state"].get("holds"))

    async def buckets(self, request: Request) -> Response:
        """`/api/buckets?asset=&tag=&from=&to=&width=&form=`: least, greatest and mean value, and counts."""
        question = self._asked(request)
        names = self._assets(question)
        found = await self._keeper.ask(lambda door: [tag for name in names for tag in door.tags(name)])
        tags = [tag for tag in found if question.wants(tag)]
        width = width_ns(request.query_params, question, len(tags))
        choice = ExportChoice(from_ns=question.from_ns, to_ns=question.to_ns)
        chunks = Chunks()

        def written(door: Door) -> int:
            file = buckets_file(question.form, chunks)
            rows = write_buckets(door, tags, choice, width, file).samples
            file.finish({})
            return rows

        rows = await self._keeper.ask(written)
        self._show(request, "read.buckets", question, rows)
        return Response(chunks.take(), media_type=question.form.media)

    def _asked(self, request: Request) -> SampleQuestion:
        return asked(request.query_params, request.headers, self._live.picture, self._live.moment().now_ns)

    def _show(self, request: Request, kind: str, question: SampleQuestion, rows: int | None = None) -> None:
        between = (question.from_ns, question.to_ns) if question.timed else None
        looks.show(request, kind, self._assets(question), question.tags, between=between, rows=rows)

    def _assets(self, question: SampleQuestion) -> list[str]:
        """Every asset that something is asked of."""
        named = {*question.assets, *(asset for asset, _ in question.tags)}
        return sorted(named or self._live.picture.assets)

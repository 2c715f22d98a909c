"""What a program asks many samples of: whose, of which time, since which arrival, and in which form.

Assets by their names, tags as `ASSET/TAG` (`trending/tag_names.py`), each as often as one likes; none: all that the
reader may see. A name that is not there and one outside the reader's scope are answered alike (404).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException

from protocol import text
from protocol.errors import ConfigError
from receiver.export import arrival_cursor, parquet_file
from receiver.export.moment import moment, zone
from receiver.outputs.historian.views import TagView
from receiver.outputs.historian.whole.whole_history import AFTER_NS, FIRST_NS
from receiver.portal.plant_picture import Picture
from receiver.portal.trending.tag_names import named_tag, parted

LEAST_BUCKET_NS, MOST_BUCKET_NS = 10**6, 3660 * 86_400 * 10**9
"""As `checkvalve export` has them [ns]."""
MOST_ROWS = 200_000
"""Buckets of one answer, over all its tags; some 30 MB."""


class AnswerForm(StrEnum):
    """How an answer is written."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"

    @property
    def media(self) -> str:
        """Its media type, as IANA lists it."""
        return _MEDIA[self]


_MEDIA = {
    AnswerForm.JSON: "application/json",
    AnswerForm.CSV: "text/csv; charset=utf-8",
    AnswerForm.PARQUET: "application/vnd.apache.parquet",
    AnswerForm.ARROW: "application/vnd.apache.arrow.stream",
}
_OF_MEDIA = {media.partition(";")[0]: form for form, media in _MEDIA.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleQuestion:
    """What is asked for."""

    assets: tuple[str, ...]
    """Names of whole assets."""
    tags: tuple[tuple[str, str], ...]
    """Asset and name of single tags beside them; neither: everything."""
    from_ns: int
    to_ns: int
    """Not included."""
    timed: bool
    """A start or an end was said."""
    since: str | None
    """A cursor, or a time as digits [ns since 1970 UTC]; None: whatever its arrival."""
    form: AnswerForm

    def wants(self, tag: TagView) -> bool:
        """Whether the tag is asked for."""
        one = tag.tag
        return not (self.assets or self.tags) or one.asset in self.assets or (one.asset, one.name) in self.tags


def asked(query: QueryParams, headers: Headers, picture: Picture, now_ns: int) -> SampleQuestion:
    """The question, checked.

    Raises:
        HTTPException: 400 for what cannot be meant, 404 for names, 406 and 501 for a form.
    """
    assets, tags = tuple(query.getlist("asset")), tuple(map(parted, query.getlist("tag")))
    if any(name not in picture.assets for name in assets) or any(named_tag(picture, *one) is None for one in tags):
        raise HTTPException(404)
    from_ns = _time(query, "from", FIRST_NS, now_ns)
    to_ns = _time(query, "to", AFTER_NS, now_ns)
    if from_ns >= to_ns:
        raise HTTPException(400, "from is not before to")
    since = query.get("since")
    if since is not None and not arrival_cursor.is_cursor(since):
        since = str(_time(query, "since", 0, now_ns))
    timed = "from" in query or "to" in query
    if since is None and not timed:
        raise HTTPException(400, "say from and to, or since: a cursor, a time, or now")
    form = _form(query, headers)
    return SampleQuestion(
        assets=assets, tags=tags, from_ns=from_ns, to_ns=to_ns, timed=timed, since=since, form=form
    )  # fmt: skip


def width_ns(query: QueryParams, question: SampleQuestion, tags: int) -> int:
    """Width of the buckets that are asked for [ns].

    Args:
        tags: How many tags, for the bound.

    Raises:
        HTTPException: 400, where it is no width, or the buckets are too many.
    """
    try:
        width = round(text.seconds(query.get("width", "")) * 1e9)
    except (ValueError, OverflowError) as error:
        raise HTTPException(400, f"width: {error}") from error
    if not LEAST_BUCKET_NS <= width <= MOST_BUCKET_NS:
        raise HTTPException(400, "width is from 1ms to 3660d")
    if question.since is not None or question.from_ns == FIRST_NS or question.to_ns == AFTER_NS:
        raise HTTPException(400, "buckets need from and to, and have no arrival: leave since out")
    rows = tags * ((question.to_ns - question.from_ns) // width + 2)
    if rows > MOST_ROWS:
        raise HTTPException(
            400, f"{rows} buckets are more than {MOST_ROWS}: wider ones, or fewer tags or a shorter time"
        )
    return width


def _time(query: QueryParams, name: str, otherwise: int, now_ns: int) -> int:
    said = query.get(name)
    if said is None:
        return otherwise
    if said.isascii() and said.isdigit() and len(said) <= 13:  # milliseconds, as elsewhere in these addresses
        return int(said) * 10**6
    try:
        return moment(name, said, zone("UTC"), lambda: now_ns)
    except ConfigError as error:
        raise HTTPException(400, f"{error}: milliseconds since 1970, or as 2026-11-01T06:00:00Z") from error


def _form(query: QueryParams, headers: Headers) -> AnswerForm:
    """What `form` says, else what `Accept` does."""
    said = query.get("form")
    if said is not None:
        if said not in [*AnswerForm]:
            raise HTTPException(400, f"form is one of {', '.join(AnswerForm)}")
        form = AnswerForm(said)
    else:
        taken = [one.partition(";")[0].strip().lower() for one in headers.get("accept", "*/*").split(",")]
        known = [_OF_MEDIA[one] for one in taken if one in _OF_MEDIA]
        if not known and not {"*/*", "application/*", ""} & set(taken):
            raise HTTPException(406, f"this is told as {', '.join(_OF_MEDIA)}")
        form = known[0] if known else AnswerForm.JSON
    if form in (AnswerForm.PARQUET, AnswerForm.ARROW):
        try:
            parquet_file.library()
        except ConfigError as error:
            said = "needs pyarrow, which is not installed here: pip install 'checkvalve-low[parquet]'"
            raise HTTPException(501, f"{form} {said}; json and csv need nothing") from error
    return form

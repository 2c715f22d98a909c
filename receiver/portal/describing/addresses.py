"""Every address that programs ask, with what it takes and what it answers: the one table behind document and page."""

from __future__ import annotations

from dataclasses import replace

from receiver.portal import trend as trends
from receiver.portal.api import MOST_EVENTS
from receiver.portal.describing.answer_shapes import JsonSchema, of
from receiver.portal.describing.i3x_addresses import I3X_ADDRESSES
from receiver.portal.describing.program_address import ProgramAddress, QueryParameter
from receiver.portal.sampling.sample_question import MOST_ROWS, AnswerForm
from receiver.portal.searching.search_page import MOST_BELOW
from receiver.portal.trending.tag_names import MOST_TAGS
from receiver.portal.trending.trending_answers import MOST_FOUND, MOST_SPARKS

MOST_SERIES = 2**63 - 1
MOMENT: JsonSchema = {"anyOf": [of("number"), of("string", format="date-time")]}

DAYS = round(trends.LONGEST_S / 86400)

ASSET_NAME = QueryParameter(name="asset", says="Name of an asset; left out: all of them.", schema=of("string"))
FROM = QueryParameter(
    name="from",
    says="Start: milliseconds since 1970 UTC, or ISO 8601, UTC where no zone is said.",
    schema=MOMENT,
    required=True,
)
TO = QueryParameter(name="to", says=f"End, after the start; at most {DAYS} days later.", schema=MOMENT, required=True)
BUCKETS = QueryParameter(
    name="buckets",
    says="Into how many parts the time is cut.",
    schema=of("integer", minimum=1, maximum=trends.MOST_BUCKETS, default=1000),
)
MARKS = QueryParameter(
    name="marks",
    says="0: without `bands` and `healed`, which take the longest of a long time.",
    schema=of("integer", minimum=0, maximum=1, default=1),
)
TAGS = QueryParameter(
    name="tag",
    says="ASSET/TAG, once for each; a `/` or `%` in the asset's name is `%2F` or `%25`.",
    schema=of("array", items=of("string"), minItems=1, maxItems=MOST_TAGS),
    required=True,
)
WHOLE_SERIES = of("integer", minimum=0, maximum=MOST_SERIES, format="int64")

NAMED = (
    QueryParameter(name="asset", says="Name of an asset, once for each.", schema=of("array", items=of("string"))),
    replace(
        TAGS,
        says=f"{TAGS.says} Neither asset nor tag: everything.",
        schema=of("array", items=of("string")),
        required=False,
    ),
)
BETWEEN = (
    QueryParameter(name="from", says="First time of a sample.", schema=MOMENT),
    QueryParameter(name="to", says="First time that is not asked for any more.", schema=MOMENT),
)
SINCE = QueryParameter(
    name="since", says="A cursor of an earlier answer; or a time of arrival, or `now`.", schema=of("string")
)
FORM = QueryParameter(
    name="form",
    says="How it is written; left out: as the header Accept says.",
    schema=of("string", enum=[*AnswerForm], default="json"),
)
WIDTH = of("string", pattern="^[0-9]+(ms|s|m|h|d)$")
FORMS = tuple(one.media for one in AnswerForm if one is not AnswerForm.JSON)

ADDRESSES = (
    ProgramAddress(path="/api/", says="This description as a page.", media="text/html"),
    ProgramAddress(path="/api/openapi.json", says="This description as a document.", shape="Document"),
    ProgramAddress(
        path="/api/assets", says="Every asset with its state, its counts, and its tags by number.", shape="Assets"
    ),
    ProgramAddress(
        path="/api/latest",
        says="The newest value of each tag, or of those that were renewed since an earlier answer.",
        parameters=(
            QueryParameter(
                name="since",
                says="`mark` of an earlier answer, up to 2**63 - 1.",
                schema=of("string", pattern="^[0-9]{1,19}$", default="0"),
            ),
        ),
        shape="Latest",
        refusals=(400, 401, 503),
    ),
    ProgramAddress(
        path="/api/trend",
        says="One tag over a time: lowest, highest and mean value of each bucket, the holes, when it was bad or "
        "uncertain and for how long, and what was healed later. Buckets of more than "
        "an hour are multiples of three hours.",
        parameters=(
            QueryParameter(
                name="series", says="Number of the tag, from `/api/assets`.", schema=WHOLE_SERIES, required=True
            ),
            FROM,
            TO,
            BUCKETS,
        ),
        shape="Trend",
        refusals=(400, 401, 404, 503),
    ),
    ProgramAddress(
        path="/api/trends",
        says="Many tags over a time, cut into the same buckets, with their assets' events and the notes of people.",
        parameters=(TAGS, FROM, TO, BUCKETS, MARKS),
        shape="Trends",
        refusals=(400, 401, 404, 503),
    ),
    ProgramAddress(
        path="/api/shares",
        says="For how long each tag had which value: a distribution by time, with quantiles. A sample counts until the "
        "next; where samples are missing or bad, or the tag was silent, nothing counts.",
        parameters=(TAGS, FROM, TO),
        shape="Shares",
        refusals=(400, 401, 404, 503),
    ),
    ProgramAddress(
        path="/api/sparks",
        says="Small curves of tags of one asset, up to now.",
        parameters=(
            QueryParameter(name="asset", says="Name of the asset.", schema=of("string"), required=True),
            QueryParameter(
                name="name",
                says="Name of a tag of it, once for each.",
                schema=of("array", items=of("string"), minItems=1, maxItems=MOST_SPARKS),
                required=True,
            ),
            QueryParameter(
                name="span_s",
                says="How far back [s].",
                schema=of("integer", minimum=1, maximum=round(trends.LONGEST_S), default=3600),
            ),
        ),
        shape="Sparks",
        refusals=(400, 401, 404, 503),
    ),
    ProgramAddress(
        path="/api/tags",
        says=f"Tags whose name, asset or description holds each word of a text; at most {MOST_FOUND}.",
        parameters=(QueryParameter(name="find", says="The words.", schema=of("string", default="")),),
        shape="Tags",
        refusals=(401, 503),
    ),
    ProgramAddress(
        path="/api/search",
        says=f"Assets and tags of which each word of a text is known; the nearest {MOST_BELOW}.",
        parameters=(QueryParameter(name="find", says="The words.", schema=of("string", default="")),),
        shape="Finds",
        refusals=(401, 503),
    ),
    ProgramAddress(
        path="/api/events",
        says="Alarms and events, newest first, in the order in which the device told them.",
        parameters=(
            ASSET_NAME,
            QueryParameter(
                name="limit", says="Most of them.", schema=of("integer", minimum=1, maximum=MOST_EVENTS, default=100)
            ),
        ),
        shape="Events",
        refusals=(400, 401, 404, 503),
    ),
    ProgramAddress(
        path="/api/alarms",
        says="Trips and alarms that stand: the newest word of each, by the sender's order, however long ago.",
        parameters=(ASSET_NAME,),
        shape="Alarms",
        refusals=(401, 404, 503),
    ),
    ProgramAddress(
        path="/api/samples",
        says="Every sample, by its own time or by its arrival: since a cursor nothing is missed, whatever heals late. "
        "The next cursor is `next` in JSON, and the header Checkvalve-Next always.",
        parameters=(*NAMED, *BETWEEN, SINCE, FORM),
        shape="Samples",
        refusals=(400, 401, 404, 406, 410, 501, 503),
        others=FORMS,
    ),
    ProgramAddress(
        path="/api/buckets",
        says=f"Least, greatest and mean value and counts, in buckets that begin at whole multiples of their width; "
        f"{MOST_ROWS:,} at most.",
        parameters=(
            *NAMED,
            *(replace(one, required=True) for one in BETWEEN),
            QueryParameter(name="width", says="Of a bucket, such as 10s, 15m or 1h.", schema=WIDTH, required=True),
            FORM,
        ),
        shape="Buckets",
        refusals=(400, 401, 404, 406, 501, 503),
        others=FORMS,
    ),
    ProgramAddress(path="/api/link", says="The link's health, and which processes run.", shape="Link"),
    ProgramAddress(
        path="/live",
        says="What changes, as server-sent events, for as long as the reader may see it: `link`, and `assets`, "
        "`alarms` or `values`, each with one line of JSON. Asked for one tag, one asset, all events, or nothing: the "
        "overview.",
        parameters=(
            QueryParameter(name="series", says="Number of a tag; then `asset` is not looked at.", schema=WHOLE_SERIES),
            ASSET_NAME,
            QueryParameter(name="events", says="Whatever it is: trips, alarms and events alone.", schema=of("string")),
        ),
        media="text/event-stream",
        refusals=(400, 401, 404, 503),
    ),
    ProgramAddress(
        path="/healthz",
        says="200 while nobody need be called, else 503; who is signed in is told why.",
        shape="Health",
        refusals=(),
        open=True,
    ),
    ProgramAddress(
        path="/metrics",
        says="The pipeline's own health in OpenMetrics, for the site's own people and services.",
        media="application/openmetrics-text",
        refusals=(401, 404),
    ),
    *I3X_ADDRESSES,
)

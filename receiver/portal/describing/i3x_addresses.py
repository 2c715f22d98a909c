"""Every address of i3X, with what it takes and what it answers; `addresses.py` has those of our own."""

from __future__ import annotations

from receiver.portal.describing.answer_shapes import of
from receiver.portal.describing.program_address import ProgramAddress, QueryParameter
from receiver.portal.i3x.envelopes import ROOT
from receiver.portal.i3x.querying import MOST_SAMPLES

METADATA = QueryParameter(name="includeMetadata", says="With what else is known of each.", schema=of("boolean"))
NAMESPACE = QueryParameter(name="namespaceUri", says="Those of a namespace alone.", schema=of("string"))


def _gets(path: str, says: str, shape: str, *parameters: QueryParameter, refused: bool = False) -> ProgramAddress:
    refusals = (400, 401, 503) if refused else (401, 503)
    return ProgramAddress(path=ROOT + path, says=says, shape=shape, parameters=parameters, refusals=refusals)


def _asks(path: str, says: str, body: str, shape: str, *refusals: int) -> ProgramAddress:
    return ProgramAddress(
        path=ROOT + path, method="POST", says=says, body=body, shape=shape, refusals=(400, 401, 403, *refusals, 503)
    )


def _writes(path: str) -> ProgramAddress:
    return ProgramAddress(
        path=ROOT + path,
        method="PUT",
        says="Nothing is ever written: these data came through a data diode.",
        body="I3xWrites",
        refusals=(400, 401, 403, 501, 503),
        answers=False,
    )


I3X_ADDRESSES = (
    ProgramAddress(
        path=f"{ROOT}/info", says="What of i3X 1.0 this server can do.", shape="I3xInfo", refusals=(), open=True
    ),
    _gets("/namespaces", "Namespaces of types and relations.", "I3xNamespaces"),
    _gets("/objecttypes", "Types of values, each as JSON Schema.", "I3xTypes", NAMESPACE),
    _asks("/objecttypes/query", "Some types by their ids.", "I3xNames", "I3xSomeTypes"),
    _gets("/relationshiptypes", "In which relations elements stand.", "I3xRelations", NAMESPACE),
    _asks("/relationshiptypes/query", "Some relations by their ids.", "I3xNames", "I3xSomeRelations"),
    _gets(
        "/objects",
        "The plant, its sites, assets and tags.",
        "I3xObjects",
        QueryParameter(name="typeElementId", says="Those of a type alone.", schema=of("string")),
        QueryParameter(name="root", says="The one that all others stand under.", schema=of("boolean")),
        METADATA,
        refused=True,
    ),
    _asks("/objects/list", "Some elements by their ids.", "I3xNamesWithMetadata", "I3xSomeObjects"),
    _asks("/objects/related", "What stands in a relation to each.", "I3xNamesRelated", "I3xRelated"),
    _asks("/objects/value", "The newest value of each.", "I3xNamesInDepth", "I3xValues"),
    _writes("/objects/value"),
    _asks(
        "/objects/history",
        f"Every sample of each in a time, oldest first, {MOST_SAMPLES:,} in all: of more the newest, with status 206 "
        "and the moment to ask before. `responseDetail` says where blocks are missing.",
        "I3xNamesInTime",
        "I3xHistories",
    ),
    _writes("/objects/history"),
    _asks("/subscriptions", "Begin a subscription.", "I3xNew", "I3xMade"),
    _asks("/subscriptions/list", "What some subscriptions tell.", "I3xSubscriptions", "I3xListed"),
    _asks("/subscriptions/delete", "End some subscriptions.", "I3xSubscriptions", "I3xDeleted"),
    _asks("/subscriptions/register", "Be told of these too.", "I3xRegisters", "I3xDone", 404),
    _asks("/subscriptions/unregister", "Be told of these no more.", "I3xUnregisters", "I3xDone", 404),
    _asks(
        "/subscriptions/sync", "What changed, until it is acknowledged; 206: some was dropped.", "I3xSyncs",
        "I3xBatches", 404,
    ),
    ProgramAddress(
        path=f"{ROOT}/subscriptions/stream",
        method="POST",
        says="What changes, as server-sent events: each a list of updates. An open one of the subscription ends.",
        body="I3xStreams",
        media="text/event-stream",
        refusals=(400, 401, 403, 404, 503),
    ),
)  # fmt: skip

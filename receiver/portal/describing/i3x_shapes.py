"""Shapes of i3X 1.0, as CESMII's own OpenAPI document has them: questions, answers and refusals.

Source: `spec/openapi.pretty.json` beside the conformance suite of cesmii/i3X. What the guide asks for beyond it is
required here too: a `clientId` in every question about subscriptions.
"""

from __future__ import annotations

from receiver.portal.describing.answer_shapes import TEXT, TRUTH, JsonSchema, each, holds, of
from receiver.portal.i3x.envelopes import MOST_NAMES

ANYTHING: JsonSchema = {}
MAYBE_TEXT = of("string", "null")
DETAIL = holds(title=TEXT, status=of("integer"), detail=TEXT)
QUALITY_WORD = of("string", enum=["Good", "GoodNoData", "Bad", "Uncertain"])
TOLD = {"value": ANYTHING, "quality": QUALITY_WORD, "timestamp": of("string", says="RFC 3339, UTC")}


def asks(optional: dict[str, JsonSchema] | None = None, /, **fields: JsonSchema) -> JsonSchema:
    """A question with these fields, and others that may be left out."""
    made = holds(**fields)
    made["properties"] = made["properties"] | (optional or {})
    return made


def one(result: JsonSchema) -> JsonSchema:
    """An answer that is one."""
    return holds(success=TRUTH, result=result)


def many(result: JsonSchema, key: str = "elementId") -> JsonSchema:
    """An answer to each of many names, in their order."""
    well = holds(success=of("boolean", const=True), **{key: TEXT}, result=result)
    refused = holds(success=of("boolean", const=False), **{key: TEXT}, responseDetail=DETAIL)
    return holds(success=TRUTH, results=each({"anyOf": [well, refused]}))


NAMES = each(TEXT) | {"maxItems": MOST_NAMES}
DEPTH = of("integer", says="0: with all components; 1: alone", minimum=0, default=1)
METADATA = of("boolean", default=False)
CLIENT = of("string", minLength=1, maxLength=1024, says="of the client's own making; nobody else finds what is of it")
SUBSCRIPTION = {"clientId": CLIENT, "subscriptionId": of("string", minLength=1)}

NAMESPACE = holds(uri=TEXT, displayName=TEXT)
TYPE = holds(elementId=TEXT, displayName=TEXT, namespaceUri=TEXT, sourceTypeId=TEXT, version=TEXT, schema=of("object"))
RELATION = holds(elementId=TEXT, displayName=TEXT, namespaceUri=TEXT, relationshipId=TEXT, reverseOf=TEXT)
OBJECT = holds(
    elementId=TEXT, displayName=TEXT, typeElementId=TEXT, parentId=MAYBE_TEXT, isComposition=TRUTH, isExtended=TRUTH
)
UPDATE = holds(elementId=TEXT, **TOLD)

I3X_SHAPES: dict[str, JsonSchema] = {
    "I3xRefusal": holds(success=of("boolean", const=False), responseDetail=DETAIL),
    "I3xInfo": one(
        holds(
            specVersion=TEXT,
            serverName=TEXT,
            capabilities=holds(query=of("object"), update=of("object"), subscribe=of("object")),
        )
    ),
    "I3xNamespaces": one(each(NAMESPACE)),
    "I3xTypes": one(each(TYPE)),
    "I3xRelations": one(each(RELATION)),
    "I3xObjects": one(each(OBJECT)),
    "I3xNames": asks(elementIds=NAMES),
    "I3xNamesWithMetadata": asks({"includeMetadata": METADATA}, elementIds=NAMES),
    "I3xNamesRelated": asks({"relationshipType": MAYBE_TEXT, "includeMetadata": METADATA}, elementIds=NAMES),
    "I3xNamesInDepth": asks({"maxDepth": DEPTH}, elementIds=NAMES),
    "I3xNamesInTime": asks(
        {"startTime": of("string", format="date-time"), "endTime": of("string", format="date-time"), "maxDepth": DEPTH},
        elementIds=NAMES,
    ),
    "I3xSomeTypes": many(TYPE),
    "I3xSomeRelations": many(RELATION),
    "I3xSomeObjects": many(OBJECT),
    "I3xRelated": many(each(holds(sourceRelationship=TEXT, object=OBJECT))),
    "I3xValues": many(holds(isComposition=TRUTH, **TOLD)),
    "I3xHistories": many(holds(isComposition=TRUTH, values=each(holds(**TOLD)))),
    "I3xWrites": holds(updates=each(of("object"))),
    "I3xNew": asks({"displayName": MAYBE_TEXT}, clientId=CLIENT),
    "I3xMade": one(holds(clientId=TEXT, subscriptionId=TEXT, displayName=MAYBE_TEXT)),
    "I3xSubscriptions": asks(clientId=CLIENT, subscriptionIds=NAMES),
    "I3xListed": many(
        holds(subscriptionId=TEXT, displayName=MAYBE_TEXT, monitoredObjects=each(of("object"))), "subscriptionId"
    ),
    "I3xDeleted": many(of("null"), "subscriptionId"),
    "I3xRegisters": asks({"maxDepth": DEPTH}, **SUBSCRIPTION, elementIds=NAMES),
    "I3xUnregisters": asks(**SUBSCRIPTION, elementIds=NAMES),
    "I3xDone": many(of("null")),
    "I3xSyncs": asks({"lastSequenceNumber": of("integer", "null", says="-1: all")}, **SUBSCRIPTION),
    "I3xBatches": one(each(holds(sequenceNumber=of("integer", minimum=1), updates=each(UPDATE)))),
    "I3xStreams": asks(**SUBSCRIPTION),
}

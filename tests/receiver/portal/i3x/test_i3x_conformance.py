"""What CESMII's conformance suite for i3X 1.0 requires of a server without writes, a law a requirement.

The suite stands in cesmii/i3X under `conformance-tests/`; CORE-01 and the like are its own numbers. It samples some
elements, and here every one is asked.
"""

from __future__ import annotations

import gzip
import json
import re
import urllib.request
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from i3x_peer import HOSTILE, I3xPeer, I3xPlant
from portal_plant import served

from receiver.portal.app import create_app

NOWHERE = "an-element-that-is-nowhere"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
KINDS: dict[str, Any] = {"number": (int, float), "integer": int, "string": str, "boolean": bool, "object": dict}


@pytest.fixture(scope="module")
def objects(peer: I3xPeer) -> dict[str, Any]:
    """Everything there is, by id."""
    found = peer.get("/objects").result
    return {one["elementId"]: one for one in found}


def sound(value: Any) -> None:
    """A value, its quality and its time go together (QRY-01, QRY-02)."""
    assert value["quality"] in ("Good", "GoodNoData", "Bad", "Uncertain")
    assert TIME.fullmatch(value["timestamp"])
    assert (value["value"] is None) == (value["quality"] in ("Bad", "GoodNoData"))


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """As far as JSON Schema is used here."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(isinstance(value, KINDS[kind]) and (kind == "boolean" or value is not True) for kind in kinds):
        return False
    return all(name in value for name in schema.get("required", ()))


def test_only_what_it_can_do_is_told_to_a_stranger(plant: I3xPlant) -> None:
    """CORE-01 to 03, 06: where nothing is open to anyone `/info` is answered, and all else refused as i3X asks."""
    with served(create_app(plant.history, plant.state, None, clock=plant.clock)) as base:
        stranger = I3xPeer(base)
        assert stranger.get("/info").result == {
            "specVersion": "1.0",
            "serverName": "Checkvalve",
            "capabilities": {
                "query": {"history": True},
                "update": {"current": False, "history": False},
                "subscribe": {"stream": True},
            },
        }
        for answer in (stranger.get("/namespaces"), stranger.post("/objects/value", elementIds=["plant"])):
            assert answer.status == 401
            assert answer.json["success"] is False
            assert answer.json["responseDetail"]["status"] == 401


def test_an_answer_is_packed_however_short_it_is(peer: I3xPeer) -> None:
    """CORE-04: gzip where it is taken."""
    request = urllib.request.Request(f"{peer.base}/i3x/v1/namespaces", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert json.loads(gzip.decompress(answer.read()))["success"] is True


def test_every_type_is_of_a_namespace_and_has_a_schema(peer: I3xPeer) -> None:
    """EXP-01 to 08."""
    namespaces = [one["uri"] for one in peer.get("/namespaces").result]
    types = peer.get("/objecttypes").result
    assert len(set(namespaces)) == len(namespaces) > 0
    for one in types:
        assert {"elementId", "displayName", "sourceTypeId"} <= one.keys()
        assert one["namespaceUri"] in namespaces
        assert one["schema"]["type"]
    assert any(one["schema"].get("properties") for one in types), "or the type system counts as immature"
    for uri in (*namespaces, "urn:nothing"):
        asked = quote(uri, safe="")
        assert peer.get(f"/objecttypes?namespaceUri={asked}").result == [
            one for one in types if one["namespaceUri"] == uri
        ]
    ids = [one["elementId"] for one in reversed(types)]
    found = peer.bulk("/objecttypes/query", [*ids, NOWHERE])
    assert [one.get("result") for one in found] == [*reversed(types), None]


def test_every_relation_has_its_reverse(peer: I3xPeer) -> None:
    """EXP-09 to 11."""
    relations = {one["elementId"]: one for one in peer.get("/relationshiptypes").result}
    for name, one in relations.items():
        assert relations[one["reverseOf"]]["reverseOf"] == name
        assert one["relationshipId"]
    found = peer.bulk("/relationshiptypes/query", ["HasParent", NOWHERE])
    assert [one["success"] for one in found] == [True, False]


def test_every_object_has_a_type_a_sound_id_and_a_way_to_the_root(peer: I3xPeer, objects: dict[str, Any]) -> None:
    """EXP-12 to 18."""
    types = [one["elementId"] for one in peer.get("/objecttypes").result]
    relations = [one["elementId"] for one in peer.get("/relationshiptypes").result]
    ids = [*objects, *types, *relations]
    assert len(set(ids)) == len(ids)
    for one in ids:
        assert one == one.strip()
        assert one.isprintable()
    assert [one["elementId"] for one in peer.get("/objects?root=true").result] == ["plant"]
    for one in objects.values():
        assert one["typeElementId"] in types
        assert one["displayName"]
        assert one["parentId"] in objects if one["parentId"] else one["elementId"] == "plant"
    for kind in {one["typeElementId"] for one in objects.values()}:
        asked = quote(kind, safe="")
        found = peer.get(f"/objects?typeElementId={asked}").result
        assert found == [one for one in objects.values() if one["typeElementId"] == kind]
    for one in peer.get("/objects?includeMetadata=true").result:
        assert isinstance(one["metadata"]["typeNamespaceUri"], str)
        assert isinstance(one["metadata"]["sourceTypeId"], str)
        assert set(one["metadata"]["relationships"]) <= set(relations)
        assert one.pop("metadata")
        assert one == objects[one["elementId"]]
    found = peer.bulk("/objects/list", [*objects, NOWHERE])
    assert [one.get("result") for one in found] == [*objects.values(), None]


def test_every_relation_is_told_from_both_ends(peer: I3xPeer, objects: dict[str, Any]) -> None:
    """EXP-19 to 22: also the way from a child to its parent; a filter gives that relation alone."""
    reverse = {one["elementId"]: one["reverseOf"] for one in peer.get("/relationshiptypes").result}
    edges = {
        (one["elementId"], edge["sourceRelationship"], edge["object"]["elementId"])
        for one in peer.bulk("/objects/related", [*objects])
        for edge in one["result"]
    }
    assert all((to, reverse[relation], start) in edges for start, relation, to in edges)
    for one in objects.values():
        if one["parentId"]:
            assert any((start, to) == (one["elementId"], one["parentId"]) for start, _, to in edges)
    (found,) = peer.bulk("/objects/related", ["asset/acme-pump"], relationshipType="HasParent")
    assert [edge["object"]["elementId"] for edge in found["result"]] == ["site/north-plant"]


def test_every_value_is_of_its_type(peer: I3xPeer, objects: dict[str, Any]) -> None:
    """QRY-01 to 04: also of an asset whose name is of the worst kind."""
    schemas = {one["elementId"]: one["schema"] for one in peer.get("/objecttypes").result}
    found = peer.bulk("/objects/value", [*objects, NOWHERE])
    assert [one["success"] for one in found] == [True] * len(objects) + [False]
    for one in found[:-1]:
        told = one["result"]
        sound(told)
        assert "components" not in told
        held = objects[one["elementId"]]
        assert told["isComposition"] == held["isComposition"]
        assert told["value"] is None or fits(told["value"], schemas[held["typeElementId"]])
    values = {objects[one["elementId"]]["displayName"]: one["result"]["value"] for one in found[:-1]}
    assert values["count"] == str(2**64 - 1)
    assert (values["pressure"], values["running"], values["mode"], values["never"]) == (6.5, True, 2, None)


def test_components_come_where_they_are_asked_for(peer: I3xPeer, objects: dict[str, Any]) -> None:
    """QRY-05, 06: those of the asset, with sound values; none with maxDepth 1."""
    for depth, there in ((0, True), (1, False), (2, True)):
        (found,) = peer.bulk("/objects/value", ["asset/acme-pump"], maxDepth=depth)
        parts = found["result"].get("components", {})
        assert set(parts) == ({one for one in objects if one.startswith("tag/acme-pump/")} if there else set())
        for one in parts.values():
            sound(one)


def test_a_history_holds_what_was_asked_for(peer: I3xPeer, plant: I3xPlant, objects: dict[str, Any]) -> None:
    """QRY-07 to 09: oldest first, inside the range; a value that is no number, or not believed, is none."""
    now_s = plant.clock() // 10**9
    start, end = (datetime.fromtimestamp(now_s + one, UTC).isoformat().replace("+00:00", "Z") for one in (-86400, 1))
    found = peer.bulk("/objects/history", [*objects, NOWHERE], startTime=start, endTime=end)
    told = {one["elementId"]: one["result"]["values"] for one in found[:-1]}
    pressure = told["tag/acme-pump/pressure"]
    for values in told.values():
        assert [one["timestamp"] for one in values] == sorted(one["timestamp"] for one in values)
        for one in values:
            sound(one)
            assert start <= one["timestamp"] < end
    assert [one["quality"] for one in pressure[:3]] == ["Bad", "Uncertain", "Bad"]
    assert [one["value"] for one in pressure[:4]] == [None, 5.5, None, 6.0]
    assert len(pressure) == 64
    assert [one["value"] for one in told["asset/acme-pump"]] == [{"state": "up", "text": ""}]
    assert found[-1]["success"] is False


def test_nothing_is_ever_written(peer: I3xPeer) -> None:
    """UPD-05: what is declared as missing is answered so."""
    for path in ("/objects/value", "/objects/history"):
        body = {"updates": [{"elementId": "tag/acme-pump/pressure", "value": {"value": 0}}]}
        answer = peer.ask("PUT", path, body)
        assert (answer.status, answer.json["responseDetail"]["title"]) == (501, "Not Implemented")


def test_a_subscription_lives_from_its_making_to_its_end(peer: I3xPeer) -> None:
    """SUB-01 to 08, 10, 11, 13, 15, 16."""
    assert peer.post("/subscriptions", displayName="nobody's").status == 400
    made = peer.post("/subscriptions", clientId="mine", displayName="named").result
    assert (made["clientId"], made["displayName"]) == ("mine", "named")
    mine = {"clientId": "mine", "subscriptionId": made["subscriptionId"]}
    theirs = mine | {"clientId": "another's"}
    asked = {"subscriptionIds": [made["subscriptionId"]]}

    assert peer.post("/subscriptions/sync", subscriptionId=made["subscriptionId"]).status == 400
    assert peer.post("/subscriptions/sync", **theirs).status == 404
    (listed,) = peer.bulk("/subscriptions/list", asked["subscriptionIds"], clientId="another's", **asked)
    assert listed["success"] is False

    names = ["tag/acme-pump/pressure", "tag/acme-pump/running"]
    for _ in range(2):
        assert [one["result"] for one in peer.bulk("/subscriptions/register", names, **mine)] == [None, None]
    mixed = [one["success"] for one in peer.bulk("/subscriptions/register", [names[0], NOWHERE], **mine)]
    assert mixed == [True, False]
    (listed,) = peer.bulk("/subscriptions/list", asked["subscriptionIds"], clientId="mine", **asked)
    assert listed["result"]["monitoredObjects"] == [{"elementId": one, "maxDepth": 1} for one in names]

    first = peer.post("/subscriptions/sync", **mine).result
    assert [one["elementId"] for batch in first for one in batch["updates"]] == names
    for batch in first:
        for one in batch["updates"]:
            sound(one)
    again = peer.post("/subscriptions/sync", **mine).result
    assert again == first
    assert peer.post("/subscriptions/sync", **mine, lastSequenceNumber=2**63).result == first
    last = first[-1]["sequenceNumber"]
    assert peer.post("/subscriptions/sync", **mine, lastSequenceNumber=last).result == []
    peer.bulk("/subscriptions/register", ["tag/acme-pump/mode"], **mine)
    assert [one["sequenceNumber"] for one in peer.post("/subscriptions/sync", **mine).result] == [last + 1]
    assert peer.post("/subscriptions/sync", **mine, lastSequenceNumber=-1).result == []

    ended = [one["success"] for one in peer.bulk("/subscriptions/unregister", [names[0], NOWHERE], **mine)]
    assert ended == [True, False]
    (deleted,) = peer.bulk("/subscriptions/delete", asked["subscriptionIds"], clientId="mine", **asked)
    assert deleted["success"] is True
    gone = peer.post("/subscriptions/sync", **mine)
    assert (gone.status, gone.json["success"], gone.json["responseDetail"]["status"]) == (404, False, 404)
    assert peer.post("/subscriptions/stream", **mine).status == 404


def test_a_name_of_the_worst_kind_is_found_by_its_id_and_told_inert(peer: I3xPeer, objects: dict[str, Any]) -> None:
    """It begins and ends with spaces and holds a slash, a per cent, a line feed and a sign that turns text around."""
    ids = [one for one in objects if "pump%22" in one or "%202E" in one or '"pump"' in one]
    assert len(ids) == 2
    for one in peer.bulk("/objects/list", ids):
        assert one["result"]["displayName"].isprintable()
        assert HOSTILE not in one["result"]["displayName"]

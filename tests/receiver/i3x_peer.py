"""A plant for the tests of i3X, and a client of few lines that asks as the specification says."""

from __future__ import annotations

import gzip
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portal_plant import Clock, Plant

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row

BAD, UNCERTAIN = 0x80000000, 0x40000000
S = 10**9
HOSTILE = ' %2F/../<b>\u202e"pump"\n '
ASSETS = (
    Asset(name="acme-pump", site="north-plant", vendors=("Acme",), model="P-7", simulated=True),
    Asset(name=HOSTILE, site="north-plant", vendors=("Acme",)),
    Asset(name="volta-press", site="north-plant", vendors=("Volta",)),
)
TAGS = (
    Tag(id=0, asset="acme-pump", name="pressure", unit="bar", type="float64", low=0, high=10, address="40001"),
    Tag(id=1, asset="acme-pump", name="running", type="bool"),
    Tag(id=2, asset="acme-pump", name="mode", type="uint8", states=("off", "manual", "automatic")),
    Tag(id=3, asset="acme-pump", name="count", type="uint64"),
    Tag(id=4, asset="acme-pump", name="batch", type="string"),
    Tag(id=5, asset="acme-pump", name="never", type="float32", unit="Cel"),
    Tag(id=6, asset=HOSTILE, name=HOSTILE, unit="kN", type="float64"),
    Tag(id=7, asset="volta-press", name="volta-force", unit="kN", type="float64"),
)


class I3xPlant(Plant):
    """A pump with a value of each kind, an asset with a name of the worst kind, and another vendor's press."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        super().__init__(folder, ASSETS, TAGS, clock=clock)
        self.time = clock
        now = clock()
        self.condition("acme-pump", "up")
        self.send([Row(0, now - (60 - at) * S, 6.0 + at / 10) for at in range(60)])
        self.send(
            [
                Row(0, now - 300 * S, 4.0, BAD),
                Row(0, now - 200 * S, 5.5, UNCERTAIN),
                Row(0, now - 100 * S, float("nan")),
            ]
        )
        self.say({("acme-pump", "pressure"): 6.5, ("acme-pump", "running"): True, ("acme-pump", "mode"): 2})
        self.say({("acme-pump", "count"): -1, ("acme-pump", "batch"): "=1+2", (HOSTILE, HOSTILE): 1.5})
        self.say({("volta-press", "volta-force"): 88.0})
        self.report()


@dataclass
class I3xReply:
    """What a question brought."""

    status: int
    headers: Mapping[str, str]
    json: Any

    @property
    def result(self) -> Any:
        """Of an answer that is one."""
        assert (self.status, self.json["success"]) == (200, True), self.json
        return self.json["result"]


@dataclass
class I3xPeer:
    """Asks one server."""

    base: str
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> I3xReply:
        return self.ask("GET", path, None, headers)

    def post(self, path: str, /, **body: Any) -> I3xReply:
        return self.ask("POST", path, body)

    def bulk(self, path: str, names: list[str], /, **body: Any) -> list[Any]:
        """Results in the order of the question, each of its form."""
        key = "subscriptionId" if "subscriptionIds" in body else "elementId"
        asked = body if key == "subscriptionId" else {"elementIds": names, **body}
        told = self.ask("POST", path, asked).json
        assert [one[key] for one in told["results"]] == names
        assert told["success"] == all(one["success"] for one in told["results"])
        for one in told["results"]:
            if not one["success"]:
                assert one["responseDetail"].keys() == {"title", "status", "detail"}
                assert one["responseDetail"]["status"] == 404
        return list(told["results"])

    def ask(self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> I3xReply:
        sent = {"Content-Type": "application/json", "Accept": "application/json"} | self.headers | dict(headers or {})
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.base + "/i3x/v1" + path, data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return _reply(reply)
        except urllib.error.HTTPError as error:
            with error:
                return _reply(error)


def _reply(reply: Any) -> I3xReply:
    body = reply.read()
    if reply.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    assert reply.headers["Content-Type"] == "application/json"
    return I3xReply(reply.status, reply.headers, json.loads(body))

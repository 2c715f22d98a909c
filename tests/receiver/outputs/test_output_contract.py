"""The project's own outputs keep every law of the contract."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from influx_peer import FakeInflux, Told, serving

from protocol.content.sample import Value
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.historian.read import Door
from receiver.outputs.influx.output import InfluxOutput
from receiver.outputs.scope import Scope
from receiver.outputs.testing.contract import OutputContract
from receiver.outputs.testing.feed import Fact


class TestHistorian(OutputContract):
    """The embedded historian, read by its own door."""

    output = HistorianOutput
    wrong = {"keep_s": "400d"}  # noqa: RUF012 - never changed

    def held(self, state: Path) -> Counter[Fact]:
        out: Counter[Fact] = Counter()
        door = Door(state / "history", Scope())
        try:
            for view in [view for asset in door.assets() for view in door.tags(asset.asset.name)]:
                for one in door.samples(view.series, -(2**62), 2**62, None):
                    out[Fact(view.tag.asset, view.tag.name, one.time_ns, one.value)] += 1
        finally:
            door.close()
        return out


class TestInflux(OutputContract):
    """Line protocol, to a false server that stores by series and time, as the real ones do."""

    output = InfluxOutput
    wrong = {"url": "127.0.0.1:8086", "bucket": "", "org": 1, "token_file": 7}  # noqa: RUF012 - never changed
    fake: FakeInflux

    def settings(self) -> Mapping[str, Any]:
        return {"url": self.fake.url, "bucket": "plant"}

    @contextmanager
    def destination(self) -> Iterator[None]:
        with serving(FakeInflux()) as self.fake:
            yield

    @contextmanager
    def away(self) -> Iterator[None]:
        self.fake.judge = lambda lines: Told(503, "not now")
        self.fake.metrics = Told(503)
        yield
        self.fake.judge, self.fake.metrics = lambda lines: None, None

    def held(self, state: Path) -> Counter[Fact]:
        stored = list(self.fake.stored.items())
        return Counter(
            _fact(series, time_ns, fields) for (series, time_ns), fields in stored if series[:7] == "sample,"
        )


def _fact(series: str, time_ns: int, fields: str) -> Fact:
    parts = dict(one.split("=", 1) for one in re.split(r"(?<!\\),", series)[1:])
    return Fact(_plain(parts["asset"]), _plain(parts["tag"]), time_ns, _value(fields))


def _plain(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


def _value(fields: str) -> Value:
    if text := re.match(r'vs="((?:[^"\\]|\\.)*)"', fields):
        return re.sub(r"\\(.)", r"\1", text[1])
    name, _, value = fields.split(",")[0].partition("=")
    if name == "vb":
        return value == "true"
    return float(value) if name == "v" else None

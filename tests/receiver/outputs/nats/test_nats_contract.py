"""The nats output keeps every law of the contract, against Debian's server."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nats_peer import NatsServer

from receiver.outputs.nats.output import NatsOutput
from receiver.outputs.testing.contract import OutputContract
from receiver.outputs.testing.feed import Fact

STREAMS = itertools.count()


class TestNats(OutputContract):
    """Messages of a stream, as one who reads them keeps them."""

    output = NatsOutput
    wrong = {  # noqa: RUF012 - never changed
        "url": "nats://user:secret@127.0.0.1:4222",
        "stream": "no.stream",
        "subject": "a.>",
        "user": 7,
        "password_file": 7,
        "ca_file": 7,
        "tls": "on",
        "keep": 5,
    }
    server: NatsServer
    stream: str

    @pytest.fixture(autouse=True)
    def _served(self, nats_server: NatsServer) -> None:
        self.server = nats_server

    def settings(self) -> Mapping[str, Any]:
        return {"url": self.server.url, "stream": self.stream, "subject": f"plant.{self.stream}"}

    @contextmanager
    def destination(self) -> Iterator[None]:
        self.stream = f"CONTRACT_{next(STREAMS)}"
        self.server.add(self.stream, subjects=f"plant.{self.stream}.>")
        yield

    @contextmanager
    def away(self) -> Iterator[None]:
        self.server.stop()
        yield
        self.server.start()

    def held(self, state: Path) -> Counter[Fact]:
        kept = {}
        for _, _, lines in self.server.read(self.stream):
            for one in lines:
                kept[one["stream"], one["number"], one["asset"], one["rank"]] = one
        return Counter(Fact(one["asset"], one["tag"], one["time_ns"], one["value"]) for one in kept.values())

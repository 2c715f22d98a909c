"""A small plant for the portal's tests: it writes a real history and the reports that the processes would write."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import Row, Value, from_rows
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, StateBody, StreamDescription, TallyBody
from receiver.outputs.historian.output import HistorianOutput
from receiver.portal.serving.serve import Server, bind, url

SECOND = 10**9


class Clock:
    """Wall time that stands still until it is moved, and running time beside it, which nobody sets."""

    def __init__(self, now_ns: int = 1_763_884_800 * SECOND) -> None:
        self.now_ns = now_ns
        self.since_boot_ns = 5000 * SECOND

    def __call__(self) -> int:
        return self.now_ns

    def move(self, seconds: float) -> None:
        """Time passes."""
        self.now_ns += round(seconds * SECOND)
        self.since_boot_ns += round(seconds * SECOND)

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.now_ns += round(seconds * SECOND)

    def since_boot(self) -> int:
        return self.since_boot_ns


class Plant:
    """One stream into one history."""

    def __init__(
        self,
        folder: Path,
        assets: Sequence[Asset],
        tags: Sequence[Tag],
        *,
        clock: Callable[[], int],
        key: bytes = b"\x01" * 8,
        boot: int = 1,
    ) -> None:
        self.history = folder / "history"
        self.state = folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.clock = clock
        self.output = HistorianOutput(self.history, clock=clock)
        self.stream = StreamDescription(
            key=key,
            boot=boot,
            site="north-plant",
            assets={asset.name: asset for asset in assets},
            tags={tag.id: tag for tag in tags},
        )
        self.number = 0
        self.ids = {(tag.asset, tag.name): tag.id for tag in tags}
        self.take(Page(index=0, assets=tuple(assets), tags=tuple(tags)))

    def take(self, *bodies: BatchBody | EventBody | Page | StateBody | TallyBody, healed: bool = False) -> None:
        """Hand blocks to the historian, numbered on."""
        blocks = []
        for body in bodies:
            blocks.append(
                OpenedBlock(stream=self.stream, number=self.number, healed=healed, received_ns=self.clock(), body=body)
            )
            self.number += 1
        self.output.take(blocks, b"place")

    def send(self, rows: Sequence[Row]) -> None:
        """One batch of samples."""
        self.take(batch(rows))

    def say(self, values: Mapping[tuple[str, str], Value], *, quality: int = 0, native: int = 0) -> None:
        """One sample now of each named tag, `(asset, tag)`."""
        now = self.clock()
        self.send([Row(self.ids[name], now, value, quality, native) for name, value in values.items()])

    def lose(self, blocks: int) -> None:
        """The next numbers never arrive."""
        self.number += blocks

    def condition(self, asset: str, what: str, text: str = "") -> None:
        """The asset goes up or down."""
        self.take(StateBody(asset=asset, time_ns=self.clock(), what=what, text=text))

    def report(self, **changes: Any) -> None:
        """All three processes say that they are well; `link`, `blocks`, `gaps` .. change parts of catch's report."""
        write_report(self.state, "catch", self.clock(), catch_report(**changes))
        write_report(
            self.state, "publish", self.clock(), {"children": {"historian": {"restarts": 0}, "acme-influx": {}}}
        )
        latency = {"p50": 140.2, "p99": 311.0}
        write_report(self.state, "historian", self.clock(), {"latency_ms": latency, "waiting": 2, "trouble": ""})

    def close(self) -> None:
        """Let the history go."""
        self.output.close()


def batch(rows: Sequence[Row]) -> BatchBody:
    """A batch, its times from its rows."""
    times = [row.time_ns for row in rows]
    return BatchBody(columns=from_rows(rows), first_ns=min(times), last_ns=max(times))


def catch_report(**changes: Any) -> dict[str, Any]:
    """A healthy catch, with `changes` to its parts (a map is merged, anything else replaces)."""
    body: dict[str, Any] = {
        "process": "catch",
        "pid": 1,
        "warnings": [],
        "link": {
            "session": "a1b2c3d4",
            "confirmed": True,
            "beat_age_s": 0.4,
            "beat_wall_ns": None,
            "frames_sent": 10_000,
            "frames_received": 9_950,
            "loss": 0.005,
            "loss_total": 0.005,
            "kernel_drops": 0,
            "queue_overflow": 0,
            "refused": {"double": 3},
            "versions": {},
        },
        "blocks": {"expected": 812, "whole": 790, "repaired": 19, "healed": 3, "missing": 0, "expired": 0},
        "streams": [],
        "gaps": [],
    }
    for name, change in changes.items():
        body[name] = body.get(name, {}) | change if isinstance(change, dict) else change
    return body


def write_report(state: Path, process: str, time_ns: int, body: Mapping[str, Any]) -> None:
    """As the processes do it: by rename."""
    beside = state / f"status-{process}.new"
    beside.write_text(json.dumps({"process": process, "time_ns": time_ns, **body}))
    beside.replace(state / f"status-{process}.json")


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """The application behind a real server in a thread; gives its address without the last slash."""
    sock = bind("127.0.0.1", 0)
    ready = threading.Event()
    server = Server(app, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        assert ready.wait(20), "the server did not start"
        yield url(sock).rstrip("/")
    finally:
        server.should_exit = True
        thread.join(20)
        sock.close()
    assert not thread.is_alive(), "the server did not stop"


class Answer:
    """What a request brought."""

    def __init__(self, reply: HTTPResponse | urllib.error.HTTPError) -> None:
        self.status = reply.status
        self.headers = reply.headers
        self.body = reply.read()

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(address: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
    """One request; an error status is an answer too."""
    request = urllib.request.Request(address, method=method, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return Answer(reply)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error)


class Ear:
    """A browser's EventSource, as far as the tests need it."""

    def __init__(self, base: str, path: str, headers: Mapping[str, str] | None = None) -> None:
        host, port = base.removeprefix("http://").split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=20)
        self.connection.request("GET", path, headers={"Accept-Encoding": "gzip", **(headers or {})})
        self.reply = self.connection.getresponse()
        assert self.reply.status == 200
        assert self.reply.headers["Content-Type"] == "text/event-stream"
        assert self.reply.headers["Content-Encoding"] is None

    def next(self) -> tuple[str, Any]:
        """The next message: its type and body."""
        name = ""
        while True:
            line = self.reply.readline().decode()
            if not line:
                raise EOFError("the stream has ended")
            line = line.rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                return name, json.loads(line[6:])

    def until(self, fits: Callable[[str, Any], bool]) -> Any:
        """The body of the first message that fits."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            name, body = self.next()
            if fits(name, body):
                return body
        raise AssertionError("it was not told")

    def ends(self) -> bool:
        """Read until the stream ends; False where it goes on after a hundred messages."""
        try:
            for _ in range(100):
                self.next()
        except (EOFError, http.client.IncompleteRead):
            return True
        return False

    def close(self) -> None:
        self.reply.close()
        self.connection.close()

    def __enter__(self) -> Ear:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

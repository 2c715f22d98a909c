"""A small InfluxDB for the tests: an HTTP server that takes lines, or answers as it was told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Line = tuple[str, str, int]
"""Series (measurement and tags, as sent), fields as sent, time [ns]."""


GONE = -1
"""Instead of a status: the connection breaks without an answer."""


@dataclass
class Told:
    """An answer to give."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    takes: Callable[[bytes], bool] | None = None
    """Which lines are stored nonetheless; None: none."""


class FakeInflux:
    """Stores what it takes by series and time, like the real one; `judge` may answer instead."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, int], str] = {}
        self.requests: list[bytes] = []
        self.tokens: set[str] = set()
        self.queries: set[tuple[tuple[str, str], ...]] = set()
        self.judge: Callable[[bytes], Told | None] = lambda lines: None
        self.admits: Callable[[str], Told | None] = lambda token: None
        """What a token is answered with instead of all else."""
        self.started = 1_763_884_800.5
        self.metrics: Told | None = None
        self.ping = {"X-Influxdb-Version": "2.7.1"}
        """What `/ping` says of what it is."""
        self.paths: tuple[str, ...] = ("/api/v2/write",)
        """Where it takes lines; elsewhere it answers 404."""
        self.statements: list[str] = []
        """What `/exec` was asked, in QuestDB's manner."""
        self.tables: Callable[[str], Told] = lambda statement: Told(200, '{"ddl":"OK"}')
        """What a statement is answered with."""
        self.url = ""

    def restart(self, lose: Callable[[str, int], bool]) -> None:
        """Another process of the server, that lost some of what it had taken."""
        self.started += 100
        self.stored = {key: fields for key, fields in self.stored.items() if not lose(*key)}

    def take(self, lines: bytes) -> None:
        """Store lines; a wrong one is an error of the test."""
        for line in lines.splitlines():
            series, fields, time_ns = split(line)
            self.stored[series, time_ns] = fields

    def answer(self, lines: bytes) -> Told:
        """What the server does with lines."""
        self.requests.append(lines)
        told = self.judge(lines)
        if told is None:
            self.take(lines)
            return Told(204)
        if told.takes is not None:
            self.take(b"".join(line for line in lines.splitlines(keepends=True) if told.takes(line)))
        return told

    def page(self) -> Told:
        """`/metrics`."""
        return self.metrics or Told(200, f"go_goroutines 9\nprocess_start_time_seconds {self.started}\n")


def split(line: bytes) -> Line:
    """A line's three parts, by the protocol's rules and no code of the product's."""
    text, at, quoted = line.decode(), 0, False
    spaces: list[int] = []
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == '"' and spaces:
            quoted = not quoted
        elif text[at] == " " and not quoted:
            spaces.append(at)
        at += 1
    assert len(spaces) == 2, text
    return text[: spaces[0]], text[spaces[0] + 1 : spaces[1]], int(text[spaces[1] + 1 :])


@contextmanager
def serving(fake: FakeInflux, port: int = 0) -> Iterator[FakeInflux]:
    """The server on a port of 127.0.0.1, its address in `fake.url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if urlsplit(self.path).path not in fake.paths:
                self.tell(Told(404, "404 page not found"))
                return
            token = self.headers.get("Authorization", "")
            fake.tokens.add(token)
            if (refused := fake.admits(token)) is not None:
                self.tell(refused)
                return
            fake.queries.add(tuple(sorted((k, v[0]) for k, v in parse_qs(urlsplit(self.path).query).items())))
            self.tell(fake.answer(body))

        def do_GET(self) -> None:
            where = urlsplit(self.path)
            if where.path == "/exec" and (refused := fake.admits(self.headers.get("Authorization", ""))) is not None:
                self.tell(refused)
                return
            if where.path == "/exec":
                (statement,) = parse_qs(where.query)["query"]
                fake.statements.append(statement)
                self.tell(fake.tables(statement))
                return
            pages = {"/metrics": fake.page(), "/ping": Told(204, headers=fake.ping)}
            self.tell(pages.get(self.path, Told(404)))

        def tell(self, told: Told) -> None:
            if told.status == GONE:
                self.close_connection = True
                return
            body = told.body.encode()
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            if told.status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if told.status != 204:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Tests print nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Quiet(("127.0.0.1", port), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()

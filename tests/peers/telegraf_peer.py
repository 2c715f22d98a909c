"""Answers as Telegraf 1.37 with its listener for InfluxDB does, and writes on what it took a while later.

    POST /api/v2/write   204, and the lines are in memory
    GET /ping            204, X-Influxdb-Version: 1.0
    all else             404: there are no counters, and nothing tells that it was started again

A kill loses what was not written on, as Telegraf's own does (tried: 1,001 of 25,000 lines over two kills). Run as a
program of its own: port, then the file that it writes to.
"""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FLUSH_S = 0.3
"""Between two writes [s]; Telegraf's default is 10, which would make the test as slow."""


class Listener(BaseHTTPRequestHandler):
    """Its listener."""

    protocol_version = "HTTP/1.1"
    buffer: list[bytes] = []  # noqa: RUF012 one buffer for all connections
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.partition("?")[0] != "/api/v2/write":
            self._tell(404)
            return
        with self.lock:
            self.buffer.append(body)
        self._tell(204)

    def do_GET(self) -> None:
        self._tell(204 if self.path.partition("?")[0] == "/ping" else 404)

    def log_message(self, format: str, *args: object) -> None:
        """It prints nothing."""

    def _tell(self, status: int) -> None:
        self.send_response(status)
        self.send_header("X-Influxdb-Version", "1.0")
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()


def main() -> None:
    """Listen, and write on."""
    port, sink = int(sys.argv[1]), Path(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", port), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pause = threading.Event()
    while not pause.wait(FLUSH_S):
        with Listener.lock:
            lines = b"".join(Listener.buffer)
            Listener.buffer.clear()
        with sink.open("ab") as file:
            file.write(lines)


if __name__ == "__main__":
    main()

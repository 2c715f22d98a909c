"""Security of the demo: a listener on loopback that the pages tell of broken glass, emergencies and alerts.

A real site names a mailbox, a webhook of its own or a syslog server in `access.toml`. The demo's names this listener:
what it takes is said on the screen, and kept in `told.txt` of the work folder, a line each.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from protocol.inert import inert

FILE = "told.txt"
"""In the work folder."""

LARGEST = 256 * 1024
"""Of a notice [bytes]; a larger one is refused."""

PATIENCE_S = 5.0
"""For one request [s]."""


class DemoSecurity:
    """Listens from `start` to `close`, in threads of its own."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """
        Args:
            folder: The demo's work folder.
            say: Takes lines for people.
        """
        self._folder, self._say = folder, say
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="demo-security", daemon=True)

    @property
    def policy(self) -> str:
        """Text of an `access.toml` that tells here."""
        where = f"http://127.0.0.1:{self._server.server_address[1]}/"
        lines = ("# Security is told here; the demo says it on the screen.", "[[tell]]", 'name = "demo-screen"')
        return "\n".join((*lines, 'kind = "webhook"', f'url = "{where}"')) + "\n"

    def start(self) -> None:
        """Begin to listen; writes `access.toml` of the low side."""
        (self._folder / "low/access.toml").write_text(self.policy)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def take(self, body: bytes) -> bool:
        """One notice; False for what is none."""
        try:
            told = json.loads(body)
            title, emergency = str(told["title"]), bool(told["emergency"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        line = f"security was told{' AT ONCE' if emergency else ''}: {inert(title, 300)}"
        with self._lock, (self._folder / FILE).open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")
        self._say(line)
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self.take

        class Handler(BaseHTTPRequestHandler):
            """Takes POST and nothing else."""

            timeout = PATIENCE_S

            def do_POST(self) -> None:
                size = self.headers.get("Content-Length", "")
                fits = size.isascii() and size.isdigit() and len(size) < 8 and int(size) <= LARGEST
                self.send_response(204 if fits and take(self.rfile.read(int(size))) else 400)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the screen is for people."""

        return Handler

"""Servers that security is told by, of a few lines each, on loopback: mail, a webhook, a collector of syslog."""

from __future__ import annotations

import http.server
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Taken:
    """What a server was given, and how it answers."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.there = threading.Event()
        self.refuse = False
        self.tls: ssl.SSLContext | None = None
        self.peer_spoke_tls = False

    def take(self, line: bytes) -> None:
        """One message."""
        self.lines.append(line)
        self.there.set()


class MailHandler(socketserver.StreamRequestHandler):
    """RFC 5321 as far as one client needs it; STARTTLS where the server has a certificate."""

    timeout = 5.0

    def handle(self) -> None:
        taken: Taken = self.server.taken  # type: ignore[attr-defined]
        self._say(b"220 mail.test")
        encrypted = False
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"EHLO":
                offered = [b"mail.test", b"AUTH PLAIN"] + ([b"STARTTLS"] if taken.tls and not encrypted else [])
                for at, one in enumerate(offered, 1):
                    self._say(b"250" + (b" " if at == len(offered) else b"-") + one)
            elif word == b"STARTTLS" and taken.tls is not None:
                self._say(b"220 go on")
                self.request = taken.tls.wrap_socket(self.request, server_side=True)
                self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
                encrypted = taken.peer_spoke_tls = True
            elif word == b"DATA":
                self._say(b"354 go on")
                whole = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    whole += part
                if taken.refuse:
                    self._say(b"451 try later")
                else:
                    taken.take(whole)
                    self._say(b"250 kept")
            elif word == b"QUIT":
                self._say(b"221 bye")
                return
            else:
                self._say(b"235 yes" if word == b"AUTH" else b"250 yes")

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


class SyslogHandler(socketserver.StreamRequestHandler):
    """Octet counting (RFC 6587)."""

    timeout = 5.0

    def handle(self) -> None:
        taken: Taken = self.server.taken  # type: ignore[attr-defined]
        digits = b""
        while (one := self.rfile.read(1)) and one != b" ":
            digits += one
        taken.take(self.rfile.read(int(digits)))


class WebHandler(http.server.BaseHTTPRequestHandler):
    """Takes what is posted."""

    timeout = 5.0

    def do_POST(self) -> None:
        taken: Taken = self.server.taken  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if taken.refuse:
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/")
        else:
            taken.take(str(self.headers["Authorization"]).encode() + b" " + body)
            self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def server(kind: str, *, tls: tuple[Path, Path] | None = None, wrapped: bool = False) -> Iterator[tuple[int, Taken]]:
    """A server of `mail`, `webhook` or `syslog`; its port, and what it was given.

    Args:
        tls: Certificate and key.
        wrapped: TLS is spoken from the start.
    """
    handlers: dict[str, Any] = {"mail": MailHandler, "webhook": WebHandler, "syslog": SyslogHandler}

    class Quiet(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that does not trust us hangs up."""

    made = Quiet(("127.0.0.1", 0), handlers[kind])
    taken = made.taken = Taken()  # type: ignore[attr-defined]
    if tls is not None:
        taken.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        taken.tls.load_cert_chain(*tls)
        if wrapped:
            made.socket = taken.tls.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=lambda: made.serve_forever(0.01), daemon=True)
    thread.start()
    try:
        yield made.server_address[1], taken
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


@contextmanager
def datagrams() -> Iterator[tuple[int, socket.socket]]:
    """A socket of UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to:
        to.bind(("127.0.0.1", 0))
        to.settimeout(5.0)
        yield to.getsockname()[1], to

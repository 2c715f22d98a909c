"""Binds the address, serves the pages until a signal, and says where they are.

uvicorn serves what the doorstep (`connection.py`) has taken in; it never accepts by itself.

A taken port moves up by one, at most `PORTS` times, and the address that was really bound is written to
`state/portal.json` by rename once the pages answer: nobody has to guess it. One process serves a state folder: it holds
`state/portal.lock`, or the second one would take that note over and remove it at its own end.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import logging
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import uvicorn
from starlette.applications import Starlette

from protocol.errors import ConfigError, HeldError, StoreError
from protocol.store import statefile
from receiver.outputs.historian.views import Scope
from receiver.portal.app import create_app
from receiver.portal.scoped.scoped_view import ScopedViews
from receiver.portal.serving.connection import Connection, Doorstep, raise_limit
from receiver.portal.serving.crowd import CONNECTIONS, KEEP_S, Crowd
from receiver.portal.serving.portal_tls import PortalTls
from receiver.portal.signing_in.office import SignInOffice
from receiver.portal.signing_in.oidc import OpenIdProvider
from receiver.report_settings import ReportTable

PORTS = 20
"""How far a taken port moves up."""

SWITCH_S = 0.001
"""Longest time for which one thread of this process keeps the others out of Python [s]: a page is made of many short
steps, and at Python's 5 ms each of them may wait so long for the thread that reads the history."""

YOUNG = 50_000
"""New objects after which the collector looks for cycles: a look at 20,000 tags makes that many and frees them by
itself, and a collection of everything there is takes 40 ms, in which no page is answered."""

STUCK_MS = 30_000
"""A connection whose other end takes nothing for this long is closed by the kernel [ms] (tcp(7), TCP_USER_TIMEOUT)."""

FILES = 300
"""Descriptors that are not for plain connections: live streams, the history's files, and what a process has open."""

LEAST = 16
"""Plain connections where descriptors are that few."""

WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, never chosen
"""Listening on every interface."""


def run(
    history: Path,
    state: Path,
    listen: str,
    scope: Scope | None,
    *,
    names: Sequence[str] = (),
    bound: Callable[[], None] = lambda: None,
    tls: Callable[[], PortalTls | None] = lambda: None,
    office: Callable[[], SignInOffice | None] = lambda: None,
    oidc: OpenIdProvider | None = None,
    foot: str = "",
    zone: str = "",
    reports: Sequence[ReportTable] = (),
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Serve the pages until SIGINT or SIGTERM.

    Args:
        history: Folder of the historian's store.
        state: State folder: reports are read there, `portal.json` is written there.
        listen: `host:port`.
        scope: What anyone reads without signing in; None: nothing.
        names: Further host names of the pages, as behind a proxy.
        bound: Called once the address is bound, before anything is read: here privileges are given up.
        tls: Gives what TLS is spoken with; called after `bound`.
        office: Gives what signs people in; called after `bound`.
        oidc: An organisation's own sign-in, beside.
        foot: Stands at the foot of each page.
        zone: Time zone of the plant (IANA), which readers may choose; empty: there is no choice.
        reports: What is made by itself.
        say: Takes lines for people.

    Raises:
        ConfigError: The address cannot be bound.
        HeldError: Another process serves the pages of this state folder.
        StoreError: The folder cannot be written.
    """
    host, port = split(listen)
    sock = bind(host, port)
    bound()
    held = _hold(state / "portal.lock")
    wild = host in WILDCARDS
    hosts = [*names, socket.gethostname()] if wild else [*names, host]
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(YOUNG, 10, 10)
    note, desk = state / "portal.json", None
    try:
        spoken, desk = tls(), office()
        app = create_app(
            history,
            state,
            scope,
            clock=time.time_ns,
            hosts=hosts,
            any_address=wild,
            since_boot=_since_boot,
            boot=_boot(),
            office=desk,
            oidc=oidc,
            foot=foot,
            zone=zone,
            reports=reports,
            say=say,
        )
        where = url(sock, encrypted=spoken is not None)
        if spoken is not None:
            trust = ", an own one: compare it in the browser" if spoken.own else ""
            say(f"the pages' certificate: SHA-256 {spoken.fingerprint}{trust}")

        def ready() -> None:
            _write(note, {"url": where, "pid": os.getpid()})
            if desk is not None:
                desk.offer_first(where, say)

        _serve(app, sock, ready, encrypted=spoken.context if spoken else None)
    finally:
        if desk is not None:
            desk.close()
        sock.close()
        note.unlink(missing_ok=True)
        os.close(held)


def serve(app: Starlette, host: str, port: int, *, ready: Callable[[str], None] = lambda url: None) -> None:
    """Serve an application until SIGINT or SIGTERM; `ready` gets its address once it answers.

    Raises:
        ConfigError: The address cannot be bound.
    """
    with bind(host, port) as sock:
        _serve(app, sock, lambda: ready(url(sock)))


def bind(host: str, port: int) -> socket.socket:
    """A listening-to-be TCP socket at the port, or at one of the `PORTS` above it; port 0 takes any.

    Raises:
        ConfigError: None of them is free, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for tried in range(port, min(port + PORTS, 65535) + 1):
        # asyncio lets an answer go at once (TCP_NODELAY) only from a socket that names its protocol.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_MS)
            sock.bind((host, tried))
            sock.listen(128)
        except OSError as error:
            sock.close()
            if error.errno != 98:  # EADDRINUSE
                text = f"portal.listen: {host}:{tried} cannot be bound: {error.strerror}"
                raise ConfigError(text, hint="Name an address of this machine, such as 127.0.0.1:8600.") from error
        else:
            return sock
    hint = "Stop what listens there, or choose another port."
    raise ConfigError(f"portal.listen: {host}:{port} and the {PORTS} ports above it are taken", hint=hint)


def split(listen: str) -> tuple[str, int]:
    """`host:port`, the host in brackets where it is IPv6; unlike the link's address it may be a name, or port 0 (any).

    Raises:
        ConfigError: It is not of that form.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"portal.listen: {listen!r} is not host:port", hint='Write it as "127.0.0.1:8600".')
    return host.strip("[]"), int(port)


def url(sock: socket.socket, *, encrypted: bool = False) -> str:
    """Where a browser on this machine finds the pages."""
    host, port = sock.getsockname()[:2]
    if host in WILDCARDS:
        host = "::1" if host == "::" else "127.0.0.1"
    scheme = "https" if encrypted else "http"
    return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"


class Server(uvicorn.Server):
    """Says when it serves, lets go of open streams before it waits for connections to end, and ends when Live does."""

    def __init__(self, app: Starlette, ready: Callable[[], None], *, encrypted: ssl.SSLContext | None = None) -> None:
        super().__init__(configured(app))
        self._views: ScopedViews = app.state.views
        self._encrypted = encrypted
        self._ready = ready
        self._crowd = app.state.crowd = Crowd(min(CONNECTIONS, max(raise_limit() - FILES, LEAST)))
        self._doorsteps: list[Doorstep] = []
        logging.getLogger("uvicorn.error").addFilter(_expected)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])  # connections are taken in by the doorstep, which has a bound
        if self.started:
            self._doorsteps = [
                Doorstep(sock, self._crowd, self._connection, encrypted=self._encrypted) for sock in sockets or []
            ]
            self._ready()

    def _connection(self) -> Connection:
        given = {"config": self.config, "server_state": self.server_state}
        return Connection(self._crowd, self.lifespan.state, **given)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for doorstep in self._doorsteps:
            doorstep.close()
        for view in self._views.all():
            view.live.streams.close()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        return self._views.failed is not None or await super().on_tick(counter)


def configured(app: Starlette) -> uvicorn.Config:
    """How uvicorn is run: quiet, bounded, and told nothing about itself in its answers."""
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(KEEP_S),
        timeout_graceful_shutdown=2,
    )


def _serve(
    app: Starlette, sock: socket.socket, ready: Callable[[], None], *, encrypted: ssl.SSLContext | None = None
) -> None:
    server, before = Server(app, ready, encrypted=encrypted), None

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    if threading.current_thread() is threading.main_thread():
        # uvicorn listens to it a moment later, and raises it once more when it has shut down: neither may be lost on
        # the way, nor end the process there and then.
        before = signal.signal(signal.SIGTERM, stop)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[sock])
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
    if failed := app.state.views.failed:
        raise failed


def _hold(path: Path) -> int:
    """Hold the lock of the one process that serves a state folder; returns what `os.close` lets go."""
    try:
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        raise HeldError(f"the pages are served already: {path} is held by another process") from error
    return held


def _since_boot() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _boot() -> str:
    """The kernel's name for the present boot; empty where it does not say (random(4))."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


_EXPECTED = ("returned without completing response", "Invalid HTTP request", "Unsupported upgrade request")
"""What uvicorn writes when a live stream is ended from our side, which is how slow readers leave, and for what anybody
may send as often as they like."""


def _expected(record: logging.LogRecord) -> bool:
    """False for a line that is no news."""
    return not any(part in record.getMessage() for part in _EXPECTED)


def _write(path: Path, body: dict[str, object]) -> None:
    statefile.write(path, orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE))

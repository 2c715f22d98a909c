"""Debian's nats-server for tests, killed and started again on its files; streams are read whole."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import nats
from nats.js import api
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

BINARY = shutil.which("nats-server") or ""
ABSENT = "" if BINARY else "nats-server is not installed (deploy/test-packages.txt)"


class NatsServer:
    """One server with JetStream, on a port and a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder, self._options = folder, options
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"nats://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [BINARY, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self._folder), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pause, other = socket.socketpair()
        with pause, other:
            pause.settimeout(0.02)
            for _ in range(1000):
                with socket.socket() as tried:
                    if not tried.connect_ex(("127.0.0.1", self.port)):
                        return
                try:
                    pause.recv(1)
                except TimeoutError:
                    continue
        raise AssertionError("nats-server does not start")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def add(self, stream: str, *, subjects: str, **given: Any) -> None:
        """Make a stream."""

        async def make(context: JetStreamContext) -> None:
            await context.add_stream(api.StreamConfig(name=stream, subjects=[subjects], **given))

        self._run(make)

    def edit(self, stream: str, **given: Any) -> None:
        """Change settings of a stream."""

        async def change(context: JetStreamContext) -> None:
            found = await context.stream_info(stream)
            await context.update_stream(found.config, **given)

        self._run(change)

    def read(self, stream: str) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """Every message of a stream: subject, id, lines; nothing where there is no such stream."""

        async def fetch(context: JetStreamContext) -> list[tuple[str, str, list[dict[str, Any]]]]:
            try:
                found = await context.stream_info(stream)
            except NotFoundError:
                return []
            out = []
            if found.state.messages:
                pulled = await context.subscribe(
                    (found.config.subjects or [""])[0], stream=stream, ordered_consumer=True
                )
                for _ in range(found.state.messages):
                    one = await pulled.next_msg(5)
                    lines = [json.loads(line) for line in one.data.split(b"\n")]
                    out.append((one.subject, (one.headers or {})["Nats-Msg-Id"], lines))
                await pulled.unsubscribe()
            return out

        got: list[tuple[str, str, list[dict[str, Any]]]] = self._run(fetch)
        return got

    def _run(self, work: Any) -> Any:
        async def whole() -> Any:
            client = await nats.connect(self.url, allow_reconnect=False)
            try:
                return await work(client.jetstream())
            finally:
                await client.close()

        task: Coroutine[Any, Any, Any] = whole()
        return asyncio.run(task)

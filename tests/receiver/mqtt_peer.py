"""Debian's mosquitto for tests, killed and started again on its files, and a reader that keeps all it hears."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

BINARY = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""
ABSENT = "" if BINARY else "mosquitto is not installed (deploy/test-packages.txt)"


class MosquittoBroker:
    """One broker on loopback, on a port and a folder of its own."""

    def __init__(self, *lines: str, files: Mapping[str, bytes] | None = None) -> None:
        """
        Args:
            lines: More of its configuration; `{folder}` is its own.
            files: What stands there besides.
        """
        self._own = tempfile.TemporaryDirectory(prefix="checkvalve-mosquitto-")
        folder = Path(self._own.name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"mqtt://127.0.0.1:{self.port}"
        told = [f"listener {self.port} 127.0.0.1", "persistence true", "persistence_location {folder}/", *lines]
        if not any(line.startswith("allow_anonymous") for line in lines):
            told.append("allow_anonymous true")
        self._config = folder / "mosquitto.conf"
        self._config.write_text("".join(f"{line}\n" for line in told).replace("{folder}", str(folder)))
        for name, data in (files or {}).items():
            (folder / name).write_bytes(data)
        self._user: int | None = None
        self._group: int | None = None
        if os.getuid() == 0:  # never with more rights than a broker needs
            nobody = pwd.getpwnam("nobody")
            self._user, self._group = nobody.pw_uid, nobody.pw_gid
            for path in (folder, *folder.iterdir()):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        self.process: subprocess.Popen[bytes] | None = None
        """The broker itself, while it runs."""
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [BINARY, "-c", str(self._config)]
        quiet, groups = subprocess.DEVNULL, None if self._user is None else list[int]()
        self.process = subprocess.Popen(
            command, stdout=quiet, stderr=quiet, user=self._user, group=self._group, extra_groups=groups
        )
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
        raise AssertionError("mosquitto does not start")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def close(self) -> None:
        """End it, and remove its folder."""
        self.stop()
        self._own.cleanup()


class DurableReader:
    """Subscribes with QoS 1 and a session that outlives its connection; comes back by itself; keeps what it hears."""

    def __init__(self, port: int, topics: Sequence[str], name: str = "reader", *, host: str = "") -> None:
        """
        Args:
            port: Of the broker.
            topics: What it subscribes to.
            name: Its client id.
            host: It says as this Sparkplug host that it is online, and by its will that it is not.
        """
        self.heard: list[tuple[str, bytes, bool]] = []
        """Topic, body, and whether it was a retained one."""
        self._topics, self._ready, self._changed = topics, threading.Event(), threading.Condition()
        client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
        client.reconnect_delay_set(0.1, 0.1)  # type: ignore[arg-type]  # it waits for as long
        client.on_connect, client.on_message, client.on_subscribe = self._connected, self._message, self._subscribed
        self._host = host
        if host:
            client.will_set(f"spBv1.0/STATE/{host}", _state(online=False), 1, True)
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 3600
        client.connect("127.0.0.1", port, 10, clean_start=False, properties=session)
        client.loop_start()
        self._client = client
        assert self._ready.wait(20), "the reader does not subscribe"

    def publish(self, topic: str, body: bytes, *, retain: bool = False) -> None:
        """Say something."""
        self._client.publish(topic, body, 1, retain).wait_for_publish(20)

    def until(self, holds: Any, most_s: float = 20) -> None:
        """Wait until something holds of what was heard."""
        with self._changed:
            assert self._changed.wait_for(holds, most_s), f"never heard; {len(self.heard)} messages"

    def close(self) -> None:
        """Go."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        client.subscribe([(one, 1) for one in self._topics])

    def _subscribed(self, client: Client, data: Any, mid: int, reasons: Any, properties: Any) -> None:
        if self._host:
            client.publish(f"spBv1.0/STATE/{self._host}", _state(online=True), 1, True)
        self._ready.set()

    def _message(self, client: Client, data: Any, message: MQTTMessage) -> None:
        with self._changed:
            self.heard.append((message.topic, bytes(message.payload), message.retain))
            self._changed.notify_all()


def _state(*, online: bool) -> bytes:
    return json.dumps({"online": online, "timestamp": time.time_ns() // 10**6}).encode()

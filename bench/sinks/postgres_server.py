"""Debian's PostgreSQL for benches and tests: as an unprivileged user, killed and started again on its files."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

BIN = next((one for one in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), Path())
ABSENT = "" if BIN.name else "postgresql is not installed (deploy/test-packages.txt)"
"""Why there is none here; empty where there is."""
PASSWORD = "s3cret pass"  # noqa: S105 of a server that lives for a test
START_S = 30.0
"""Longest start, recovery after a kill among it [s]."""
_QUIET: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class PostgresServer:
    """One cluster: `writer` by password over TCP, `owner` over the socket."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._data = folder, folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"postgresql://127.0.0.1:{self.port}/plant"
        self._process: subprocess.Popen[bytes] | None = None
        self._as: list[str] = []
        if os.getuid() == 0:
            other = pwd.getpwnam("postgres")
            os.chown(folder, other.pw_uid, other.pw_gid)
            self._as = ["setpriv", f"--reuid={other.pw_uid}", f"--regid={other.pw_gid}", "--clear-groups"]
        options = ("-U", "owner", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self._run("initdb", "-D", str(self._data), *options)
        (self._data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        self.start()
        self.sql(f"CREATE ROLE writer LOGIN PASSWORD '{PASSWORD}'", database="postgres")
        self.sql("CREATE DATABASE plant OWNER writer", database="postgres")

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {
            "port": self.port,
            "unix_socket_directories": self.folder,
            "listen_addresses": "127.0.0.1",
            "max_wal_size": "256MB",
            "shared_buffers": "64MB",
            "recovery_init_sync_method": "syncfs",  # else every file is synced one by one after a kill
        }
        command = [*self._as, str(BIN / "postgres"), "-D", str(self._data)]
        command += [f"--{name}={value}" for name, value in options.items()]
        self._process = subprocess.Popen(command, **_QUIET, cwd=self.folder)
        until(lambda: self._answers(command), START_S)

    def set(self, **given: str) -> None:
        """Change settings that need no restart; an empty one is as it was."""
        for name, value in given.items():
            self.sql(f"ALTER SYSTEM SET {name} = '{value}'" if value else f"ALTER SYSTEM RESET {name}")
        self.sql("SELECT pg_reload_conf()")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it; by SIGKILL all of its processes at once, as a power cut does."""
        if self._process is not None:
            backends = _children(self._process.pid) if how == signal.SIGKILL else []
            self._process.send_signal(how)
            for one in backends:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, how)
            self._process.wait(20)
            self._process = None

    def sql(self, statement: str, given: Sequence[Any] = (), *, database: str = "plant") -> list[tuple[Any, ...]]:
        """What a statement of the owner gives."""
        told: dict[str, Any] = {"host": str(self.folder), "port": self.port, "user": "owner", "dbname": database}
        with psycopg.connect(**told, autocommit=True) as one:
            done = one.execute(statement, given or None)
            return done.fetchall() if done.description else []

    def _answers(self, command: Sequence[str]) -> bool:
        try:
            self.sql("SELECT 1", database="postgres")
        except psycopg.OperationalError:
            if self._process is not None and self._process.poll() is not None:  # a backend of the one before lingered
                self._process = subprocess.Popen(command, **_QUIET, cwd=self.folder)
            return False
        return True

    def _run(self, name: str, *given: str) -> None:
        done = subprocess.run([*self._as, str(BIN / name), *given], capture_output=True, cwd=self.folder, check=False)
        assert not done.returncode, done.stderr.decode()


def until(holds: Callable[[], bool], most_s: float) -> None:
    """Wait for a condition."""
    ends = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.02)


@contextmanager
def running() -> Iterator[PostgresServer]:
    """A fresh cluster, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="checkvalve-postgres-"))
    server = PostgresServer(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _children(of: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{of}/task/{of}/children").read_text().split()]

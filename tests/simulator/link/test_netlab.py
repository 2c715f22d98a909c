"""The namespace lab: built by the real recipe, one-way, gone afterwards; refused with a reason where it cannot be."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from small_plant import on_free_ports

from protocol.errors import ConfigError
from simulator.link import netlab

ROOT = Path(__file__).parents[3]

READ = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, 2)


def namespaces() -> list[str]:
    """Those of labs that there are."""
    if shutil.which("ip") is None:
        return []
    told = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    return [line.split()[0] for line in told.splitlines() if line.split()[0].endswith(("-plant", "-high", "-low"))]


def made() -> str | None:
    """Why no lab can be built here, None where one was."""
    why = netlab.refusal()
    if why is not None or os.geteuid() != 0:
        return why or "the lab is tried as root"
    lab = netlab.NetLab(lambda _: None)
    try:
        lab.build()
    except ConfigError as error:
        return str(error)
    finally:
        lab.remove()
    return None


def test_a_plant_in_namespaces_is_read_from_the_high_side_and_nothing_comes_back(tmp_path: Path) -> None:
    """Devices answer in the high side's namespace; a datagram crosses the diode, none returns; all is removed."""
    if made() is not None:
        if os.geteuid() == 0 or netlab.refusal() is not None:
            with pytest.raises(ConfigError):
                netlab.run(["small"], lambda _: None)
        return
    scene, ports = tmp_path / "scene.toml", tmp_path / "ports.json"
    text = on_free_ports()
    scene.write_text(text[: text.index('asset = "turbine-1"')].rpartition("[[server]]")[0], encoding="utf-8")
    words = ["simulate", str(scene), "--netns", "--ports-file", str(ports)]
    command = [sys.executable, "-m", "simulator.cli", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            while not ports.exists():
                assert process.poll() is None, process.stdout and process.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            place: dict[str, Any] = json.loads(ports.read_text())["pump-7"]
            assert place["host"] == netlab.PLANT
            assert process.stdout is not None
            first = process.stdout.readline()
            high, low = first.split("high ")[1].split(":")[0], first.split("low ")[1].split(":")[0]
            assert len(asked(high, "ask", place["host"], place["port"])) == 2 * (9 + 4)
            got = subprocess.Popen(_inside(low, "hear"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            assert got.stdout is not None
            assert got.stdout.readline() == "ready\n"
            asked(high, "send", netlab.LOW, netlab.PORT)
            assert got.communicate(timeout=30)[0].strip() == b"through".hex()
            assert asked(low, "send", netlab.HIGH, netlab.PORT) in ("", "refused")
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            rest = process.stdout.read()
        finally:
            process.terminate()
    assert "back: 0" in rest
    assert not {high, low} & set(namespaces())


def test_a_lab_that_cannot_be_is_refused_with_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its tools nothing is built, and the message says what to do."""
    monkeypatch.setattr(netlab, "TOOLS", ("no-such-tool-anywhere",))
    with pytest.raises(ConfigError) as refused:
        netlab.run(["small"], lambda _: None)
    assert "no-such-tool-anywhere" in str(refused.value)
    assert "127.0.0.1" in refused.value.hint


PROGRAM = """
import socket, struct, sys
what, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
if what == "ask":
    made = socket.create_connection((host, port), 20)
    made.sendall(bytes.fromhex("000100000006010300000002"))
    got = b""
    while len(got) < 13:
        got += made.recv(64)
    print(got.hex())
elif what == "send":
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"through", (host, port))
    except OSError:
        print("refused")
else:
    held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    held.bind((host, port))
    held.settimeout(30)
    print("ready", flush=True)
    print(held.recv(100).hex())
"""


def _inside(namespace: str, what: str, host: str = netlab.LOW, port: int = netlab.PORT) -> list[str]:
    return ["ip", "netns", "exec", namespace, sys.executable, "-c", PROGRAM, what, host, str(port)]


def asked(namespace: str, what: str, host: str, port: int) -> str:
    """What a program in a namespace prints."""
    command = _inside(namespace, what, host, port)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_the_request_is_the_one_that_is_sent() -> None:
    """The program's bytes are a read of two holding registers."""
    assert READ.hex() in PROGRAM
    assert socket.inet_aton(netlab.PLANT)

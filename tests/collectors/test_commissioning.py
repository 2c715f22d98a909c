"""From an unknown device to a running configuration by commands alone: discover, send --check, plan, peek, watch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.scene.file import SCENES

HEAD = """site = "s"
[outlet]
to = "127.0.0.1:5005"
rate_mbit = 1
[keys]
own = "keys/high"
receivers = ["keys/low.pub"]
[spool]
keep = "1d"
max_gb = 1
"""
DEADLINE_S = 60.0
KINDS = ("modbus", "opcua", "enip")
RANGES = {"modbus": ["--range", "holding:0-24", "--range", "coil:3", "--never-read", "holding:6-7"]}


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The small plant in a process of its own: url by protocol."""
    folder = tmp_path_factory.mktemp("plant")
    scene, file = folder / "scene.toml", folder / "ports.json"
    scene.write_text(re.sub(r"(?m)^port = \d+", "port = 0", (SCENES / "small.toml").read_text(encoding="utf-8")))
    words = [sys.executable, "-m", "checkvalve", "simulate", str(scene), "--ports-file", str(file)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + DEADLINE_S
        while not file.exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        told = json.loads(file.read_text())
        try:
            yield {one["protocol"]: one["url"] for one in told.values()}
        finally:
            process.terminate()
            process.wait(30)


def command(*words: str) -> str:
    """What a command prints; it must succeed."""
    whole = [sys.executable, "-m", "checkvalve", *words]
    env = {**os.environ, "COLUMNS": "200"}
    said = subprocess.run(whole, capture_output=True, text=True, timeout=110, env=env)
    assert said.returncode == 0, said.stderr
    return said.stdout


def test_what_commands_find_is_accepted_planned_and_read(plant: dict[str, str], tmp_path: Path) -> None:
    """Drafts of three protocols, appended as they stand, pass `send --check`; each tag is planned, and watched."""
    sections = {kind: command("discover", kind, plant[kind], "--name", kind, *RANGES.get(kind, [])) for kind in KINDS}
    drafts = {kind: tomllib.loads(section)["asset"][0] for kind, section in sections.items()}
    tags = {kind: draft["scan"][0]["tags"] for kind, draft in drafts.items()}
    counts = {kind: sum(tag.get("count", 1) for tag in listed) for kind, listed in tags.items()}
    assert all(count > 10 for count in counts.values()), counts
    file = tmp_path / "sender.toml"
    file.write_text(HEAD + "\n".join(sections.values()))
    assert f"3 assets, {sum(counts.values())} tags" in command("send", "--check", str(file))
    for planned in json.loads(command("plan", "--json", str(file)))["devices"]:
        assert sum(one["points"] for one in planned["requests"]) >= counts[planned["asset"]]
        assert planned["requests_s"] > 0
    seen = json.loads(command("watch", str(file), "--seconds", "5", "--json"))
    good = {(row["asset"], row["tag"]) for row in seen["rows"] if row["quality"] == "good"}
    for kind in KINDS:
        assert (kind, tags[kind][0]["name"]) in good, seen["assets"]
    # Modbus has no list: what was typed is read, and what must never be read is a hole in it
    places = {tag["at"] for tag in tags["modbus"]}
    assert {f"holding:{at}" for at in range(25) if at not in (6, 7)} | {"coil:3"} == places
    assert drafts["modbus"]["never_read"] == ["holding:6-7"]
    shown = command("peek", plant["modbus"], "holding:0")
    for words in ("hex", "float32, big words", "float32, little words, swapped bytes", "uint64, big words", "good"):
        assert words in shown
    (reading,) = json.loads(command("peek", plant["enip"], tags["enip"][0]["at"], "--json"))["readings"]
    assert reading["quality"] == "good"
    assert "# [[asset.scan]]" in command("discover", "modbus", plant["modbus"])

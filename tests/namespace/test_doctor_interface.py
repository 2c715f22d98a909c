"""`doctor` on real interfaces: with both ends running, what the kernel knows of the link is broken."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import HIGH, LOW, LOW_MAC, PORT, Lab, checkvalve, configure, lab, missing, run

from oneway.firewall import low_rules
from protocol import keymaking

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"no lab: {missing()}")

PATIENCE = 60.0
"""Longest wait for what doctor says [s]: catch holds a sender for live for 5 s, and a busy machine starts it late."""
_SENDER = f"""
site = "north"
[outlet]
to = "{LOW}:{PORT}"
[keys]
own = "keys/high"
receivers = ["keys/low.pub"]
[[asset]]
name = "pump"
collector = "modbus"
url = "tcp://127.0.0.1:9"
[[asset.scan]]
every = "1s"
tags = [{{ name = "level", at = "holding:0", type = "float32" }}]
"""
_RECEIVER = f"""
[inlet]
listen = "{LOW}:{PORT}"
[keys]
own = "keys/low"
senders = ["keys/high.pub"]
[portal]
listen = "127.0.0.1:8123"
"""
Change = Callable[[Lab], None]


def high(*words: str) -> Change:
    """`ip` on the high side."""
    return lambda one: void(run("ip", "-n", one.high, *words))


def rules(port: int) -> Change:
    """The low side's firewall lets this port in."""
    return lambda one: void(
        run("ip", "netns", "exec", one.low, "nft", "-f", "-", stdin=low_rules("lo0", LOW, port, HIGH))
    )


def void(done: object) -> None:
    """A change has no result."""


ENTRY = ("neigh", "replace", LOW, "dev", "hi0", "nud", "permanent", "lladdr")
CASES: dict[str, tuple[str, Change, str, Change]] = {
    "the firewall lets another port in": ("low", rules(PORT + 1), "firewall", rules(PORT)),
    "another MAC": ("low", high(*ENTRY, "02:dd:00:00:00:77"), "other-mac", high(*ENTRY, LOW_MAC)),
    "no neighbour": ("high", high("neigh", "del", LOW, "dev", "hi0"), "interface", high(*ENTRY, LOW_MAC)),
    "mtu too small": (
        "high",
        high("link", "set", "dev", "hi0", "mtu", "1000"),
        "interface",
        high("link", "set", "dev", "hi0", "mtu", "1500"),
    ),
    "interface down": ("high", high("link", "set", "dev", "hi0", "down"), "interface-down", lambda one: None),
}
"""Side that is asked, what is done, what is named, what undoes it; the last is not undone."""
SOUND = {"clock-unsynchronised", "loss"}
"""What may be told of a sound link: the machine's clock, and what a trouble before this one has cost."""


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Path]]:
    """Both ends as the recipe makes them, with processes."""
    folder = tmp_path_factory.mktemp("ends")
    for side in ("high", "low"):
        keymaking.make(side, folder / f"{side}/keys/{side}")
    shutil.copy(folder / "high/keys/high.pub", folder / "low/keys/high.pub")
    shutil.copy(folder / "low/keys/low.pub", folder / "high/keys/low.pub")
    (folder / "high/sender.toml").write_text(_SENDER)
    (folder / "low/receiver.toml").write_text(_RECEIVER)
    running = []
    with lab() as one:
        try:
            configure(one.high_ground())
            configure(one.low_ground())
            for namespace in (one.high, one.low):
                run("ip", "-n", namespace, "link", "set", "dev", "lo", "up")
            for namespace, *words in (
                (one.low, "receive", f"{folder}/low/receiver.toml"),
                (one.high, "send", f"{folder}/high/sender.toml"),
            ):
                argv = checkvalve(namespace, *words, "--preflight", "warn")
                running.append(subprocess.Popen(argv))
            yield one, folder
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(60)


def found(one: Lab, folder: Path, side: str) -> list[str]:
    """What doctor names, the most likely first."""
    namespace, file = (one.high, "high/sender.toml") if side == "high" else (one.low, "low/receiver.toml")
    done = run(*checkvalve(namespace, "doctor", f"{folder}/{file}", "--json"), check=False)
    return [one["name"] for one in json.loads(done.stdout)["troubles"]]


def until(done: Callable[[list[str]], object], one: Lab, folder: Path, side: str) -> None:
    """What doctor names is so, soon."""
    ends, seen = time.monotonic() + PATIENCE, list[str]()
    while time.monotonic() < ends:
        seen = found(one, folder, side)
        if done(seen):
            return
    raise AssertionError(f"{seen} was named at last")


@pytest.mark.parametrize("name", CASES)
def test_a_trouble_of_the_interface_is_named(ends: tuple[Lab, Path], name: str) -> None:
    """With the link sound nothing of it is named, though what was lost before may be; with the trouble, the trouble."""
    one, folder = ends
    side, change, expected, back = CASES[name]
    until(lambda names: {*names} <= SOUND, one, folder, "low")
    change(one)
    until(lambda names: names[:1] == [expected], one, folder, side)
    back(one)

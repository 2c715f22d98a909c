"""The namespace lab: plant, diode and IT side on one Linux machine, each in a network namespace of its own.

    PLANT                       HIGH                           LOW
    simulated devices           here the sender runs           here the receiver runs
    pl0 10.77.0.1/24 --------- pl1 10.77.0.2/24
                                hi0 192.0.2.1 ====diode====>   lo0 192.0.2.2

The diode is a veth pair whose two ends are made one-way by `checkvalve setup high` and `setup low`, the very commands
that a plant uses; they run as programs, for this room knows nothing of that one. Nothing of the machine's own network
is touched: a namespace's interfaces and rules end with it, and all are removed on exit.

Root, or a user who may make user namespaces (`unshare --map-root-user`), in which the lab then lives.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import supervise
from protocol.errors import ConfigError

PLANT, ASKING = "10.77.0.1", "10.77.0.2"
HIGH, LOW, PORT = "192.0.2.1", "192.0.2.2", 5005
HIGH_MAC, LOW_MAC = "02:dd:00:00:00:01", "02:dd:00:00:00:02"

TOOLS = ("ip", "nft", "sysctl")

PATIENCE_S = 60.0
"""Longest time of one command [s]."""

INSIDE = "CHECKVALVE_NETLAB"
"""Set where the lab already lives in a user namespace of its own."""


class NetLab:
    """The three namespaces; `remove` may be called at any time and more than once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        token = secrets.token_hex(3)
        self.plant, self.high, self.low = (f"cv{token}-{name}" for name in ("plant", "high", "low"))
        self._say = say
        self._made: list[str] = []

    def build(self) -> None:
        """Make namespaces and cables, and make the diode one-way.

        Raises:
            ConfigError: a command failed; what was made is removed.
        """
        try:
            for name in (self.plant, self.high, self.low):
                _run("ip", "netns", "add", name)
                self._made.append(name)
                _run("ip", "-n", name, "link", "set", "dev", "lo", "up")
            _cable((self.plant, "pl0", "02:dd:00:00:01:01"), (self.high, "pl1", "02:dd:00:00:01:02"))
            for name, interface, address in ((self.plant, "pl0", PLANT), (self.high, "pl1", ASKING)):
                _run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", interface)
                _run("ip", "-n", name, "link", "set", "dev", interface, "up")
            _cable((self.high, "hi0", HIGH_MAC), (self.low, "lo0", LOW_MAC))
            self._one_way()
        except BaseException:
            self.remove()
            raise

    def command(self, namespace: str, *words: str) -> list[str]:
        """A Checkvalve command in a namespace."""
        return ["ip", "netns", "exec", namespace, *supervise.command(*words)]

    def remove(self) -> None:
        """Take everything away."""
        for name in self._made:
            subprocess.run(("ip", "netns", "del", name), capture_output=True, timeout=PATIENCE_S, check=False)
        self._made = []

    def counts(self) -> dict[str, int]:
        """Frames over the diode so far, and back."""
        return {
            "over": _counter(self.low, "lo0", "rx_packets"),
            "back": _counter(self.high, "hi0", "rx_packets"),
        }

    def _one_way(self) -> None:
        """The recipe of both ends; each looks at its result by itself and says so."""
        with tempfile.TemporaryDirectory(prefix="checkvalve-netns-") as folder:
            inlet = Path(folder) / "receiver.toml"
            # no larger receive buffer: that setting is the machine's, not the namespace's
            inlet.write_text(f'[inlet]\nlisten = "{LOW}:{PORT}"\nbuffer_mib = 0\n')
            low = ("setup", "low", "--interface", "lo0", "--config", str(inlet), "--sender", HIGH, "--apply")
            high = ("setup", "high", "--interface", "hi0", "--address", HIGH, "--to", f"{LOW}:{PORT}")
            _run(*self.command(self.low, *low))
            _run(*self.command(self.high, *high, "--peer-mac", LOW_MAC, "--apply"))


def refusal() -> str | None:
    """Why there can be no lab here; None where there can."""
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    if lacking:
        return f"{', '.join(lacking)} not installed"
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() == 0:
        return None
    if shutil.which("unshare") is None:
        return "unshare not installed"
    tried = subprocess.run(_unshared("true"), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return None if tried.returncode == 0 else f"no user namespaces for this user: {tried.stderr.strip()}"


def run(words: Sequence[str], say: Callable[[str], None]) -> int:
    """Build the lab, serve a scene in its plant until SIGINT or SIGTERM, remove it.

    Args:
        words: Arguments of `checkvalve simulate` without `--netns` and `--host`.
        say: Takes lines for people.

    Returns:
        Exit code of the simulator.

    Raises:
        ConfigError: no lab can be made here.
    """
    why = refusal()
    if why is not None:
        raise ConfigError(f"no namespace lab: {why}", hint="run it as root, or leave --netns out: all on 127.0.0.1")
    if os.geteuid() != 0:
        environment = {**os.environ, INSIDE: "1"}
        inner = supervise.command("simulate", *words, "--netns")
        return _served(subprocess.Popen(_unshared(*inner), env=environment))
    lab = NetLab(say)
    stopped: list[int] = []
    before = [(one, signal.signal(one, lambda got, _: stopped.append(got))) for one in (signal.SIGTERM, signal.SIGINT)]
    try:
        lab.build()
        for line in _directions(lab):
            say(line)
        process = subprocess.Popen(lab.command(lab.plant, "simulate", *words, "--host", PLANT), start_new_session=True)
        while process.poll() is None:
            if stopped:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_S)
            time.sleep(0.05)
        say("frames over the diode: {over}, back: {back}".format(**lab.counts()))
        return process.returncode
    finally:
        lab.remove()
        for number, handler in before:
            signal.signal(number, handler)


def _directions(lab: NetLab) -> list[str]:
    """What to type in the lab's namespaces, line by line."""
    enter = f"nsenter -t {os.getpid()} -U -m --preserve-credentials " if os.environ.get(INSIDE) else ""
    return [
        f"plant {lab.plant}: devices at {PLANT}; high {lab.high}: {ASKING} and {HIGH}; low {lab.low}: {LOW}",
        f'sender: {enter}ip netns exec {lab.high} checkvalve send sender.toml       # to = "{LOW}:{PORT}"',
        f'receiver: {enter}ip netns exec {lab.low} checkvalve receive receiver.toml   # listen = "{LOW}:{PORT}"',
        "both ends of the diode are as `checkvalve setup` makes them",
    ]


def _served(process: subprocess.Popen[bytes]) -> int:
    """Hand signals on until it ends."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: process.send_signal(got))
    return process.wait()


def _unshared(*argv: str) -> list[str]:
    """A command in a user, mount and network namespace of its own, with a /run that `ip netns` can write to."""
    script = 'mount -t tmpfs tmpfs /run && exec "$@"'
    return ["unshare", "--map-root-user", "--mount", "--net", "sh", "-c", script, "sh", *argv]


def _cable(here: tuple[str, str, str], there: tuple[str, str, str]) -> None:
    (one, name, mac), (other, far, far_mac) = here, there
    words = ("netns", one, "address", mac, "type", "veth", "peer", "name", far, "netns", other, "address", far_mac)
    _run("ip", "link", "add", name, *words)


def _counter(namespace: str, interface: str, name: str) -> int:
    output = _run("ip", "netns", "exec", namespace, "cat", f"/sys/class/net/{interface}/statistics/{name}")
    return int(output)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode:
        output = (done.stderr or done.stdout).strip() or "no message"
        raise ConfigError(
            f"{' '.join(argv)}: exit {done.returncode}: {output}", hint="run it as root, or leave --netns out"
        )
    return done.stdout

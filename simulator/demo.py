"""`checkvalve demo`: the whole path on one machine, each part a process of its own, started by the command line.

    simulate -> send --only poll -> spool -> send --only emit -> relay (loses on purpose) -> receive -> history, page

No room is imported here: what the demo shows is what the commands do. Both sides live in folders of their own under
one work folder, each with its configuration, keys and state, and only public key files are carried between them.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

import supervise
from protocol import terminal
from protocol.errors import ConfigError
from protocol.process.statusfile import read_status
from simulator import summary
from simulator.demo_people import DemoPeople
from simulator.demo_security import DemoSecurity
from simulator.summary import PathSummary

EXAMPLES = next(
    folder
    for folder in (Path(__file__).parent.parent / "examples", Path(__file__).parent / "examples")
    if folder.is_dir()
)
"""Beside the rooms in a checkout, inside this one when installed from a wheel."""
READY = 60.0
"""Longest wait for the first data on the page [s]."""
DRAIN = 35.0
"""Longest time after the last reading: one repeat (20 s), its sending and the commit [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line asked for."""

    loss: str = "5%"
    """Share of frames the link loses; also the sender's `loss_target`."""
    burst: str | None = None
    cut: tuple[str, ...] = ()
    seed: int = 1
    seconds: float | None = None
    """How long to read; None: until Ctrl-C."""
    folder: Path | None = None
    """Work folder that stays; None: a temporary one, which goes when all went well."""
    control: int | None = None
    """Port for lines that break devices and let them trip; None: nowhere."""
    people: bool = True
    """Enrol people to sign in as."""


@dataclass(slots=True)
class Demo:
    """The parts of a demonstration as they run, and what their status files say."""

    wish: Wish
    folder: Path
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def high(self) -> Path:
        """State of the high side."""
        return self.folder / "high" / "state"

    @property
    def low(self) -> Path:
        """State of the low side."""
        return self.folder / "low" / "state"

    def start(self, name: str, *words: str) -> None:
        """Start a part; what it prints goes to `NAME.log` in the work folder."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.parts[name] = subprocess.Popen(
                supervise.command(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def end(self, name: str) -> None:
        """Ask a part to end and wait for it."""
        part = self.parts.pop(name, None)
        if part is None:
            return
        if part.poll() is None:
            part.send_signal(signal.SIGTERM)
            try:
                part.wait(supervise.PATIENCE + 10)
            except subprocess.TimeoutExpired:
                part.kill()
                part.wait()

    def check(self) -> None:
        """Raise when a part has ended by itself, with the last it said."""
        for name, part in self.parts.items():
            if part.poll() is not None:
                lines = (self.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()[-12:]
                text = f"{name} ended with exit code {part.returncode}:\n  " + "\n  ".join(lines)
                raise ConfigError(text, hint=f"its whole output is in {self.folder / f'{name}.log'}, which stays")

    def summary(self) -> PathSummary:
        """What all parts say of themselves now."""
        return summary.gather(
            poll=read_status(self.high, "poll"),
            emit=read_status(self.high, "emit"),
            catch=read_status(self.low, "catch"),
            historian=read_status(self.low, "historian"),
            relay=_read_json(self.folder / "relay.json"),
        )

    def page(self) -> str | None:
        """Address of the page, once it is served."""
        document = _read_json(self.low / "portal.json")
        return None if document is None else str(document.get("url"))


def run(
    wish: Wish, *, say: Callable[[str], None], show: Callable[[PathSummary, float, str | None, Sequence[str]], None]
) -> PathSummary:
    """Run the demo to its end.

    Args:
        wish: What was asked for.
        say: Takes lines for people.
        show: Called once a second with the counts, the seconds since data were visible, the page's address, and lines
            about who may sign in now.

    Returns:
        The last summary, counted after everything has drained.

    Raises:
        ConfigError: a part did not start or ended by itself.
    """
    folder = wish.folder or Path(tempfile.mkdtemp(prefix="checkvalve-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    demo = Demo(wish, folder)
    stop: list[int] = []
    people: DemoPeople | None = None
    security: DemoSecurity | None = None
    well = False
    before = [(number, signal.signal(number, lambda got, _: stop.append(got))) for number in (15, 2)]
    try:
        if wish.people:
            (folder / "low").mkdir(exist_ok=True)
            security = DemoSecurity(folder, say)
            security.start()
        _prepare(demo, say)
        _await_data(demo, stop)
        say(f"page: {demo.page()}")
        if wish.people and not stop:
            people = DemoPeople(folder, demo.page() or "", say)
            people.start()
        started = time.monotonic()
        while not stop and (wish.seconds is None or time.monotonic() < started + wish.seconds):
            demo.check()
            people_told = people.tend(time.time()) if people is not None else ()
            show(demo.summary(), time.monotonic() - started, demo.page(), people_told)
            _pause(stop, 1.0)
        if people is not None:
            people.close()
        result = _finish(demo, stop, say)
        well = True
        return result
    finally:
        if people is not None:
            people.close()
        for name in list(demo.parts):
            demo.end(name)
        if security is not None:
            security.close()
        for number, handler in before:
            signal.signal(number, handler)
        if wish.folder is None and well:
            shutil.rmtree(folder, ignore_errors=True)
        elif not well:
            say(f"configurations, keys and logs are in {folder}")


def _prepare(demo: Demo, say: Callable[[str], None]) -> None:
    for side in ("high", "low"):
        keys = demo.folder / side / "keys"
        keys.mkdir(parents=True, exist_ok=True)
        if not (keys / f"{side}.pub").exists():
            _once("keys", "new", side, str(keys / side))
    shutil.copy(demo.folder / "low/keys/low.pub", demo.folder / "high/keys/low.pub")
    shutil.copy(demo.folder / "high/keys/high.pub", demo.folder / "low/keys/high.pub")
    ports = demo.folder / "ports.json"
    ports.unlink(missing_ok=True)
    plant = ["simulate", "small", "--seed", str(demo.wish.seed), "--ports-file", str(ports)]
    if demo.wish.control is not None:
        plant += ["--control", str(demo.wish.control)]
    demo.start("simulate", *plant)
    say("the simulated plant is starting")
    link_in, link_out = _free_udp(15005), _free_udp(15006)
    _write_configurations(demo, link_in, link_out)
    demo.start("receive", "receive", str(demo.folder / "low/receiver.toml"))
    relay = ["--listen", f"127.0.0.1:{link_in}", "--to", f"127.0.0.1:{link_out}", "--loss", demo.wish.loss]
    relay += ["--seed", str(demo.wish.seed), "--status", str(demo.folder / "relay.json")]
    if demo.wish.burst:
        relay += ["--burst", demo.wish.burst]
    for cut in demo.wish.cut:
        relay += ["--cut", cut]
    _until(lambda: read_status(demo.low, "catch") is not None, demo, "the receiver did not start")
    demo.start("relay", "relay", *relay)
    _until(ports.exists, demo, "the simulated plant did not start")
    _point_at(demo.folder / "high/sender.toml", json.loads(ports.read_text()))
    for line in (demo.folder / "simulate.log").read_text(errors="replace").splitlines():
        if line.startswith("control: "):
            where = line.removeprefix("control: ").replace(":", " ")
            say(f'control: echo "trip turbine-1" | nc -q1 {where}; also fault, heal, list, counts (docs/simulator.md)')
    demo.start("emit", "send", str(demo.folder / "high/sender.toml"), "--only", "emit")
    demo.start("poll", "send", str(demo.folder / "high/sender.toml"), "--only", "poll")


def _write_configurations(demo: Demo, link_in: int, link_out: int) -> None:
    """The files of examples/, with this run's ports and loss."""
    sender = (EXAMPLES / "sender.toml").read_text()
    sender = _set(sender, "to", f'"127.0.0.1:{link_in}"')
    lossy = demo.wish.loss.strip().rstrip("%").strip("0.") != ""
    sender = _set(sender, "loss_target", f'"{demo.wish.loss}"' if lossy else '"0.1%"')
    (demo.folder / "high/sender.toml").write_text(sender)
    receiver = _set((EXAMPLES / "receiver.toml").read_text(), "listen", f'"127.0.0.1:{link_out}"')
    (demo.folder / "low/receiver.toml").write_text(receiver)


def _point_at(path: Path, devices: dict[str, Any]) -> None:
    """Put the simulator's real addresses into the sender's configuration, each under its asset's name."""
    lines, name = path.read_text().split("\n"), ""
    for at, line in enumerate(lines):
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "name" and value.startswith('"'):
            name = value.split('"')[1]
        elif key == "url" and name in devices:
            lines[at] = f'url = "{devices[name]["url"]}"'
    path.write_text("\n".join(lines))


def _set(text: str, key: str, value: str) -> str:
    """Replace the first `key = ..` of a file."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if line.split("=")[0].strip() == key:
            lines[at] = f"{key} = {value}"
            return "\n".join(lines)
    raise ConfigError(f"the example has no key {key}")


def _await_data(demo: Demo, stop: list[int]) -> None:
    def visible() -> bool:
        return bool(stop) or (demo.page() is not None and demo.summary().published > 0)

    _until(visible, demo, f"no data were visible after {READY:g} s")


def _finish(demo: Demo, stop: list[int], say: Callable[[str], None]) -> PathSummary:
    """Stop reading, let everything that was sent arrive, count."""
    stop.clear()
    demo.end("poll")
    say("reading has stopped; waiting for what is still missing")
    ends = time.monotonic() + DRAIN
    while time.monotonic() < ends and not stop and not demo.summary().drained():
        demo.check()
        _pause(stop, 0.25)
    demo.end("emit")
    _pause(stop, 1.5)  # the last status files
    result = demo.summary()
    for name in ("relay", "receive", "simulate"):
        demo.end(name)
    return result


def _until(done: Callable[[], bool], demo: Demo, text: str) -> None:
    ends = time.monotonic() + READY
    while not done():
        demo.check()
        if time.monotonic() > ends:
            raise ConfigError(text, hint=f"see the .log files in {demo.folder}, which stays")
        time.sleep(0.05)


def _pause(stop: Sequence[int], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not stop and time.monotonic() < ends:
        time.sleep(0.05)


def _once(*words: str) -> None:
    done = subprocess.run(supervise.command(*words), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"checkvalve {' '.join(words)}: {done.stderr.strip()}")


def _free_udp(port: int) -> int:
    """The port, or the next free one above it."""
    for candidate in range(port, port + 200, 2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
            try:
                trial.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            if candidate != port:
                terminal.complain(f"port {port} is taken; using {candidate}")
            return candidate
    raise ConfigError(f"no free UDP port from {port} on")


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command("demo")
def demo_command(
    loss: Annotated[str, typer.Option(help="Share of frames the link loses.")] = "5%",
    burst: Annotated[str | None, typer.Option(help="Bursts: mean length/mean distance, 50ms/5s.")] = None,
    cut: Annotated[list[str] | None, typer.Option(help="Cable out: start+length, 20s+10s; may be repeated.")] = None,
    seconds: Annotated[float | None, typer.Option(help="End by itself after reading for so long.")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="No live picture.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object at the end.")] = False,
    seed: Annotated[int, typer.Option(help="Same seed, same plant and same fate of frames.")] = 1,
    folder: Annotated[Path | None, typer.Option(help="Keep the work folder here: configurations, keys, logs.")] = None,
    control: Annotated[
        int | None, typer.Option(help="Port on 127.0.0.1 for lines: fault ASSET TEXT, heal ASSET, trip ASSET.")
    ] = None,
) -> None:
    """A simulated plant, a lossy one-way link, a historian and a page, until Ctrl-C or for --seconds."""
    from simulator.screen import Screen

    wish = Wish(
        loss=loss,
        burst=burst,
        cut=tuple(cut or ()),
        seed=seed,
        seconds=seconds,
        folder=folder,
        control=control,
        people=not as_json,
    )
    with Screen(live=not (headless or as_json), quiet=as_json) as screen:
        result = run(wish, say=screen.say, show=screen.show)
    if as_json:
        terminal.data(result.to_json())
    else:
        screen.print(result)

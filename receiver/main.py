"""`receive`: one process that listens, one that publishes (a child an output, one for the pages), and this parent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import supervise
from oneway import watchdog
from oneway.gate import enter
from oneway.preflight import Policy
from oneway.recipe import Side
from protocol.errors import ConfigError
from protocol.process.capabilities import NET_ADMIN, NET_BIND_SERVICE, must_write, shed
from protocol.process.confine import Mode
from protocol.process.statusfile import PERIOD, write_status
from receiver import catch_file

if TYPE_CHECKING:
    from receiver.config import ReceiverConfig
    from receiver.publish.patience import Patience
    from receiver.settings import CatchConfig


def run(
    path: Path,
    only: str | None,
    say: Callable[[str], None],
    *,
    mode: Mode = Mode.ON,
    preflight: Policy = Policy.REFUSE,
) -> int:
    """Run everything, or one part of it here.

    Args:
        path: `receiver.toml`.
        only: `catch`, `publish`, `portal`, an output's name, or None for catch and publish, supervised.
        say: Takes lines for people.
        mode: How catch is confined.
        preflight: What a fault of the diode's interface does.

    Returns:
        The exit code.

    Raises:
        ConfigError: a fault of the diode's interface, before anything is started.
        ConfigError, StoreError: from a part that runs here.
    """
    if only is not None and watchdog.wanted():
        argv = supervise.command(
            "receive", str(path), "--confine", mode.value, "--preflight", preflight.value, "--only", only
        )
        shed(NET_ADMIN if only == "catch" else NET_BIND_SERVICE)
        return watchdog.keep(only, argv, path.absolute().parent / "state", say)
    if only == "catch":
        return _catch(catch_file.load(path), mode, preflight)
    from receiver import config as configuration  # outputs' own models with it, which catch must not hold

    config = configuration.load(path)
    config.state.mkdir(parents=True, exist_ok=True)
    if only is None:
        return _all(config, say, mode, preflight)
    if only == "publish":
        return _publish(config, say)
    if only == "portal":
        return _portal(config, say)
    return _output(config, only)


def _all(config: ReceiverConfig, say: Callable[[str], None], mode: Mode, preflight: Policy) -> int:
    found = enter(Side.LOW, config.inlet.listen[0], preflight)
    _check_keys(config)
    for line in (*config.warnings, *found.warnings):
        say(f"warning: {line}")
    shed(NET_ADMIN, NET_BIND_SERVICE)
    must_write(config.state, config.state / "journal")
    supervise.alone(config.path, config.state / "journal" / "lock")
    words = ("--confine", mode.value, "--preflight", preflight.value, "--only", "catch")
    catch_child = supervise.Child("catch", supervise.command("receive", str(config.path), *words))
    return supervise.run([catch_child, _child(config.path, "publish")], say)


def _catch(config: CatchConfig, mode: Mode, preflight: Policy) -> int:
    from receiver.catch.process import run as catch

    config.state.mkdir(parents=True, exist_ok=True)
    found = enter(Side.LOW, config.inlet.listen[0], preflight)
    return catch(config, mode, found.plain())


def _publish(config: ReceiverConfig, say: Callable[[str], None]) -> int:
    from protocol.process.document import to_json
    from receiver.config import HISTORIAN
    from receiver.publish.lag_watch import LagWatch  # it knows what opens blocks, which catch has no use for
    from receiver.publish.report_watch import report_alarms
    from receiver.status.publish import ChildStatus, PublishStatus

    shed(NET_BIND_SERVICE)
    must_write(config.state)
    outputs = [HISTORIAN, *(output.name for output in config.outputs)]
    children = [_child(config.path, name, vital=False) for name in (*outputs, "portal")]
    watch, began_ns = LagWatch(config, outputs), time.time_ns()
    said = [0.0]

    def tick() -> None:
        now = time.monotonic()
        if now >= said[0] + PERIOD:
            said[0] = now
            running = {child.name for child in children if child.process is not None}
            status = PublishStatus(
                children={child.name: ChildStatus(restarts=child.restarts) for child in children},
                alarms=(
                    *watch.alarms(now, running),
                    *report_alarms(config.reports, config.state, config.portal.zone or "", time.time_ns(), began_ns),
                ),
                warnings=(*watch.warnings(), *(f"portal.{key}: {text}" for key, text in config.portal.weaknesses())),
                open=config.portal.open_to(),
            )
            write_status(config.state, "publish", to_json(status), time_ns=time.time_ns())

    return supervise.run(children, say, tick=tick)


def _child(path: Path, name: str, *, vital: bool = True) -> supervise.Child:
    return supervise.Child(name, supervise.command("receive", str(path), "--only", name), vital=vital)


def _portal(config: ReceiverConfig, say: Callable[[str], None]) -> int:
    from receiver.portal.process import run as portal

    def bound() -> None:
        shed()
        must_write(config.state)

    portal(config, say, bound=bound)
    return 0


def _output(config: ReceiverConfig, name: str) -> int:
    from receiver.publish.patience import GivenUp, Patience

    shed()
    must_write(config.state)

    def say() -> None:
        told = "its disk is full: waiting for space, nothing is lost meanwhile"
        write_status(config.state, name, {"trouble": told, "warnings": [told]}, time_ns=time.time_ns())

    patience = Patience(say)
    patience.listen()
    try:
        return _follow_journal(config, name, patience)
    except GivenUp:
        return 0  # before anything was handed over


def _follow_journal(config: ReceiverConfig, name: str, patience: Patience) -> int:
    from receiver.outputs import registry
    from receiver.outputs.historian.output import HistorianTable
    from receiver.publish.process import OutputProcess

    kept = config.retention
    most_bytes = math.inf if kept.history_max_gb is None else kept.history_max_gb * 1e9
    tables = (HistorianTable(keep_s=kept.history, most_bytes=most_bytes), *config.outputs)
    for table in tables:
        if table.name == name:
            output = registry.load(table.kind).build(table, config.state, wait=patience.wait)
            return OutputProcess(
                config, name, output, table.scope, patience=patience, tidy=output.tidy, begin=table.begin
            ).run()
    names = ", ".join(["catch", "publish", "portal", *(one.name for one in tables)])
    raise ConfigError(f"{config.path} has no part {name!r}", hint=f"one of {names}")


def _check_keys(config: ReceiverConfig) -> None:
    """Say at once what a child would say later."""
    from protocol import keys

    for kind in ("catch", "open"):
        keys.load(config.keys.own, kind)
    kinds = {key.kind for path in config.keys.senders for key in keys.load_public(path)}
    if not {"sign", "link-sign"} <= kinds:
        raise ConfigError(
            "[keys] senders lack a sign or a link-sign key", hint="carry DIR.pub of `keys new high DIR` over"
        )

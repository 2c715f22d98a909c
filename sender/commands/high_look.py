"""`checkvalve doctor sender.toml`: collects the facts of the high side, reading only, and has them judged."""

from __future__ import annotations

import os
import time
from pathlib import Path

from oneway.doctor import keyfiles, machine
from oneway.doctor.both_sides import KeyFile
from oneway.doctor.trouble import Diagnosis, diagnosis
from oneway.gate import findings
from oneway.preflight import Finding, Level, loopback
from oneway.readings import LOOPBACK, read
from oneway.recipe import Side
from protocol.errors import ConfigError
from sender.commands.high_troubles import HighFacts, troubles
from sender.emit.errands import FOLDER
from sender.link_file import load

LOOKED = (
    "the configuration",
    "disk and inodes",
    "owners of state/ and keys",
    "key files",
    "route, neighbour, mtu and firewall of the interface",
    "poll and emit",
    "devices",
    "backlog and spool",
    "the clock",
)


def look(file: Path) -> Diagnosis:
    """Look twice, a short pause apart."""
    state, fault, hint, config = file.absolute().parent / "state", "", "", None
    try:
        from sender.poll.config import load as load_all

        load_all(file)
    except ConfigError as error:
        fault, hint = str(error), error.hint
    try:
        config = load(file)
    except ConfigError as error:
        fault, hint = fault or str(error), hint or error.hint
    held: list[KeyFile] = []
    unseen: list[str] = []
    found: list[Finding] = []
    if config is not None:
        held, unseen = keyfiles.look(config.keys.own, ("sign", "link-sign"), config.keys.receivers, ("catch", "open"))
        host = config.outlet.to[0]
        found = [] if loopback(host) else findings(Side.HIGH, host, config.outlet.mtu)
    readings = read()
    away = config is not None and not loopback(config.outlet.to[0])
    seen = readings.interfaces if readings is not None and away else ()
    first = machine.processes(state, time.time_ns())
    if any(one.runs for one in first.values()):
        time.sleep(machine.WATCH_S)
    facts = HighFacts(
        file=file,
        folder=machine.folder(state, file),
        config_fault=fault.splitlines(),
        config_hint=hint,
        disk=machine.disk(state),
        keys=held,
        findings=found,
        interfaces=[one for one in seen if not one.flags & LOOPBACK],
        processes=first,
        later=machine.processes(state, time.time_ns()),
        outlet_holder=machine.holder(state / "emit.lock"),
        errands=len(list((state / FOLDER).glob("*.json"))) if os.access(state, os.R_OK | os.X_OK) else 0,
        synced=machine.clock_synced(),
    )
    unread = [one.text for one in found if one.level == Level.UNREAD]
    return diagnosis(list(troubles(facts)), LOOKED, [*unseen, *unread])

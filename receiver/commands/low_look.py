"""`checkvalve doctor receiver.toml`: collects the facts of the low side, reading only, and has them judged."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from oneway.doctor import keyfiles, machine
from oneway.doctor.both_sides import KeyFile
from oneway.doctor.trouble import Diagnosis, diagnosis
from oneway.gate import findings
from oneway.preflight import Finding, Level, loopback
from oneway.readings import read
from oneway.recipe import Side
from protocol.errors import ConfigError
from receiver.commands.low_troubles import LowFacts, troubles
from receiver.commands.programme import governed_doctor
from receiver.publish.portal_note import read_note
from receiver.status.wording import complete

LOOKED = (
    "the configuration",
    "disk and inodes",
    "owners of state/ and keys",
    "key files",
    "interface, ports and firewall",
    "catch, publish and outputs",
    "what came within two seconds",
    "loss and gaps",
    "the trail and what people sign in with",
    "the clocks",
)


def look(file: Path) -> Diagnosis:
    """Look twice, a short pause apart."""
    from receiver.config import HISTORIAN, load

    state, fault, hint, config = file.absolute().parent / "state", "", "", None
    try:
        config = load(file)
    except ConfigError as error:
        fault, hint = str(error), error.hint
    held: list[KeyFile] = []
    unseen: list[str] = []
    found: list[Finding] = []
    interface, here = None, True
    if config is not None:
        keys, host = config.keys, config.inlet.listen[0]
        held, unseen = keyfiles.look(keys.own, ("catch", "open"), keys.senders, ("sign", "link-sign"))
        readings = read()
        if not loopback(host):
            found = findings(Side.LOW, host)
            seen = readings.interfaces if readings is not None else ()
            interface = next((one for one in seen if host in (*one.addresses, *one.broadcasts)), None)
            here = not seen or interface is not None or host == "0.0.0.0"  # noqa: S104  it is every address
    first, before = _processes(state), machine.kernel()
    time.sleep(machine.WATCH_S)
    later, after = _processes(state), machine.kernel()
    folder = machine.folder(state, file)
    governed, shut = governed_doctor.look(file, state, folder.damaged, time.time_ns())
    facts = LowFacts(
        file=file,
        folder=folder,
        host=config.inlet.listen[0] if config else "",
        port=config.inlet.listen[1] if config else 0,
        address_here=here,
        portal_port=config.portal.listen[1] if config else 0,
        portal_lives=_portal_lives(state),
        config_fault=fault.splitlines(),
        config_hint=hint,
        disk=machine.disk(state),
        keys=held,
        findings=found,
        interface=interface,
        outputs=(HISTORIAN, *(one.name for one in config.outputs)) if config else (),
        processes=first,
        later=later,
        before=before,
        after=after,
        rules=machine.rules() if interface is not None else None,
        journal_holder=machine.holder(state / "journal" / "lock"),
        history_damaged=[
            name
            for name in folder.damaged
            if name.partition(".damaged-")[0].endswith(".db") and not name.startswith("people.db")
        ],
        governed=governed,
        wall_ns=time.time_ns(),
        synced=machine.clock_synced(),
    )
    unread = [one.text for one in found if one.level == Level.UNREAD]
    return diagnosis(list(troubles(facts)), LOOKED, [*unseen, *shut, *unread])


def _processes(state: Path) -> dict[str, machine.Process]:
    """Last words; what catch counted is put in words here, as catch has none."""
    told = machine.processes(state, time.time_ns())
    return {name: replace(one, said=complete(one.said)) if name == "catch" else one for name, one in told.items()}


def _portal_lives(state: Path) -> bool:
    """By the process that wrote `portal.json`."""
    note = read_note(state)
    return note is not None and machine.lives(note.pid)

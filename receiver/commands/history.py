"""`checkvalve history check|rebuild`: for people who do not trust the history's files, or know that they should not.

`check` only reads, beside a running historian. `rebuild` does by hand, and for every byte, what the historian does by
itself for what it meets (`receiver/outputs/historian/mending/rebuild.py`); it holds the history's lock, so the
historian must not run. Started by root it works as the folder's owner: what it makes is the service's, and no link that
the service's user could plant is followed with more rights than that user has.
"""

from __future__ import annotations

import os
import pwd
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from protocol import keys
from protocol.errors import ConfigError, StoreError
from protocol.opening_keys import load_opening
from protocol.process.capabilities import shed
from receiver.config import ReceiverConfig
from receiver.outputs.disk import sorted_errors
from receiver.outputs.historian.mending.verify import check as look
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.scope import Scope
from receiver.publish.opener import Opener

SAY_S = 5.0
"""Between two lines about how far the journal was read [s]."""


def check(config: ReceiverConfig, say: Callable[[str], None]) -> bool:
    """Say what is to be said of each file; returns whether all are sound."""
    as_owner(folder_of(config))
    sound = True
    for line in look(folder_of(config)):
        sound &= "DAMAGED" not in line
        say(line)
    return sound


def rebuild(config: ReceiverConfig, say: Callable[[str], None]) -> None:
    """Make the history anew from sound chunks and the journal; ended in the middle, the historian goes on with it.

    Raises:
        ConfigError: there is no history, or a key is missing.
        HeldError: the historian runs.
        StoreError: the disk fails, or is full.
    """
    folder = folder_of(config)
    own, *others = load_opening(config.keys.own)
    publics = [key for path in config.keys.senders for key in keys.load_public(path)]
    as_owner(folder)
    signers = {key.id: key for key in publics if key.kind == "sign"}
    output = HistorianOutput(folder, wait=_full)

    def new_opener() -> Opener:
        place, now, wall_ns = output.place(), time.monotonic(), time.time_ns()
        return Opener(
            config.journal,
            place,
            own=own,
            signers=signers,
            scope=Scope(),
            now=now,
            wall_ns=wall_ns,
            others=others,
        )

    try:
        for line in output.status()["warnings"]:
            say(line)
        try:
            with sorted_errors(folder):
                output.rebuild(say)
        except sqlite3.Error as error:
            raise StoreError(f"{folder}: {error}: make room, then begin again") from error
        said = time.monotonic()
        opener = new_opener()
        moved = True
        while moved:
            if output.begun_again():
                opener.close()
                opener = new_opener()
            if not output.wants():
                output.step(time.monotonic())
                continue
            blocks, moved = opener.step(time.monotonic())
            if moved:
                output.take(blocks, opener.place())
            if time.monotonic() >= said + SAY_S:
                said = time.monotonic()
                say(_told(output))
        if opener.waiting:
            say(f"{opener.waiting} blocks of the journal cannot be opened yet; the historian goes on with them")
        say(_told(output))
    finally:
        output.close()


def _told(output: HistorianOutput) -> str:
    status = output.status()
    return (
        f"journal: {status['blocks']} blocks read, {status['known_again']} samples were in chunks already; "
        f"{status['rows']} samples in all, {status['missing_blocks']} blocks missing"
    )


def folder_of(config: ReceiverConfig) -> Path:
    """The history's folder.

    Raises:
        ConfigError: there is none, or it is a link.
    """
    folder = config.state / "history"
    if folder.is_symlink():
        raise ConfigError(f"{folder} is a link, and is not followed", hint="see who put it there, and take it away")
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no history", hint="is this the receiver.toml of the running service?")
    return folder


def as_owner(folder: Path) -> None:
    """Be the service's user from now on, in its groups; root's own history is worked on without capabilities.

    The folder is believed to be root's only where the state folder is too: nobody else can put another in its place.

    Raises:
        ConfigError: that user may not work there.
    """
    held = folder.lstat()
    if held.st_uid == 0:
        held = folder.parent.stat()
    if os.geteuid() == 0 and held.st_uid != 0:
        try:
            os.initgroups(pwd.getpwuid(held.st_uid).pw_name, held.st_gid)
        except KeyError:
            os.setgroups([held.st_gid])
        os.setgid(held.st_gid)
        os.setuid(held.st_uid)
    else:
        shed()
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        hint = f"see who owns it and the folders above it: chown -R {held.st_uid}:{held.st_gid} {folder}"
        raise ConfigError(f"{folder} may not be read and written by user {os.geteuid()}", hint=hint)


def _full(seconds: float) -> None:
    raise StoreError("the history's disk is full: make room, then begin again")

"""`checkvalve apply`: another configuration, checked, shown, asked for, kept, and taken by what runs.

    1  settle what a killed command left; check the new file as if it stood there already
    2  what ran before without any application is kept too, so that one can go back to it
    3  show what changes, and ask
    4  keep a copy and a note (`applications.begin`), let the file take the place of `sender.toml`, ask poll to take it
    5  the note becomes the record (`applications.finish`); where poll refused, the old file is put back, the note goes

Killed at any moment, `sender.toml` is the old one or the new one, as a whole: it is replaced by rename, and only here.
Poll says the change on the link by itself, when it takes the file: at the reload, or at its next start.
"""

from __future__ import annotations

import contextlib
import pwd
import signal
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from protocol.content.applied import APPLY, BACK, BY, FOUND, TICKET, WHY, AppliedChange
from protocol.errors import ConfigError
from protocol.store import statefile
from sender.change import applications, running
from sender.change.place_file import must_place, put
from sender.change.running import RunningCopy
from sender.commands.change_words import ChangeWords, of_files
from sender.poll import reload
from sender.poll.config import SenderConfig, load

SOURCE_S = 20.0
"""How long a pipe may take to hand a configuration over [s]."""
AGAIN = "sudo systemctl restart {}, or end `checkvalve send` and start it"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedChange:
    """What was typed."""

    why: str = ""
    ticket: str = ""
    by: str = ""
    source: Path | None = None
    """The file that shall take the place; None: the one that stands was edited."""
    back: bool = False
    """To the configuration before, which is then the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What an application does to people and clocks; a test hands in its own."""

    say: Callable[[str], None]
    ask: Callable[[str], str] | None
    """Puts a question; None: it was answered with yes already."""
    wall_ns: int
    """Wall time [ns since 1970 UTC]."""
    ask_poll: Callable[[Path, str, Callable[[str], None]], None] = reload.ask_and_wait
    runs: Callable[[Path], bool] = reload.runs
    check: Callable[..., SenderConfig] = load


def run(path: Path, wanted: WantedChange, shell: Shell) -> AppliedChange | None:
    """Apply; returns what was applied, None where nothing changes.

    Args:
        path: `sender.toml`, which the service reads.

    Raises:
        ConfigError: the new file is wrong, the person says no, poll refuses it, or this user may not.
        HeldError: somebody else applies.
        StoreError: the disk fails.
    """
    path = path.absolute()
    state = path.parent / "state"
    named(wanted)
    must_be_high(path)
    if not path.exists():
        raise ConfigError(f"{path} does not exist", hint="name the sender.toml that `checkvalve send` is given")
    if not state.is_dir():
        raise ConfigError(f"{state} is not there yet", hint=f"start it once: checkvalve send {path}; then apply")
    try:
        with applications.alone(state):
            return _run(path, state, wanted, shell)
    except PermissionError as error:
        what = f"{error.filename or state} cannot be used by this user"
        raise ConfigError(what, hint=f"run it as the owner of {state}, or as root: sudo checkvalve apply ..") from None
    except OSError as error:
        what = f"{error.filename or state} cannot be used: {error.strerror}"
        raise ConfigError(what, hint="see what stands there and how full the disk is, then again") from None


def must_be_high(path: Path) -> None:
    """Whether a file is the high side's, as far as that can be seen.

    Raises:
        ConfigError: it is the low side's configuration.
    """
    with contextlib.suppress(OSError):
        if path.is_file() and b"[inlet]" in path.read_bytes():
            hint = "that one is edited where it stands: checkvalve receive FILE --check, then restart it"
            raise ConfigError(f"{path} is the low side's file; apply changes the high side's, sender.toml", hint=hint)


def named(wanted: WantedChange) -> None:
    """Whether what was typed can be kept and sent.

    Raises:
        ConfigError: it cannot.
    """
    if wanted.back and wanted.source is not None:
        raise ConfigError("--back and --from name two configurations", hint="give one of them")
    for option, text, most in (
        ("--why", wanted.why, WHY),
        ("--ticket", wanted.ticket, TICKET),
        ("--by", wanted.by, BY),
    ):
        if len(text) > most or not (text == "" or (text.strip() and text.isprintable())):
            told = f"{option} {text[:80]!r} is empty, not printable, or longer than {most} characters"
            raise ConfigError(told, hint="say it in one short line")


def person(environment: Mapping[str, str], user: int) -> str:
    """Who types: the user behind sudo or doas, else the user of this process."""
    for name in ("SUDO_USER", "DOAS_USER"):
        if environment.get(name):
            return f"{environment[name]} (as {_name(user)})"
    return _name(user)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """What is known before anything is done."""

    standing: bytes
    """`sender.toml`."""
    ran: RunningCopy | None
    records: list[AppliedChange]

    @property
    def last(self) -> AppliedChange | None:
        return self.records[-1] if self.records else None

    @property
    def waits(self) -> bool:
        """The last application was not taken yet: what runs is what it replaced."""
        last, ran = self.last, self.ran
        return last is not None and ran is not None and ran.digest != last.after and ran.digest == last.before

    @property
    def unapplied(self) -> bool:
        """What runs was never applied."""
        last, ran = self.last, self.ran
        return last is not None and ran is not None and ran.digest != last.after and not self.waits


def _run(path: Path, state: Path, wanted: WantedChange, shell: Shell) -> AppliedChange | None:
    standing = _standing(path)
    applications.settle(state, standing, shell.say, wall_ns=shell.wall_ns)
    records = applications.records(state, shell.say, wall_ns=shell.wall_ns)
    before = _Before(standing=standing, ran=running.load(state, shell.say, wall_ns=shell.wall_ns), records=records)
    target = _behind(state, before) if wanted.back else None
    source = applications.copy_path(state, target.number) if target is not None else wanted.source
    with _ends(source):
        config = shell.check(path, look=True, source=source)
    for line in config.warnings:
        shell.say(f"warning: {line}")
    last = before.last
    if last is not None and last.after == config.digest and standing == config.data and not before.unapplied:
        more = "; it waits for a start of `send`" if before.waits else ""
        shell.say(f"nothing changes: this is what {last.told()} left{more}")
        return None
    if source is not None:
        must_place(path)
    old = _old(state, before, config)
    words = _show(before, old, config, edits_go=source is not None, say=shell.say)
    alive = shell.runs(state)
    _tell_how(words, old, alive, shell.say)
    if not wanted.why and target is None:
        raise ConfigError("nothing was applied: why?", hint="say it: --why TEXT, and --ticket where there is one")
    if shell.ask is not None and shell.ask("Apply this? [y/N]:").strip().lower() not in ("y", "yes"):
        edited = source is None and standing != old
        hint = f"{path} still has its edits, and the next start takes them" if edited else "all is as it was"
        raise ConfigError("nothing was applied", hint=hint)
    number = (applications.numbers(state) or [0])[-1] + 1
    if old is not None and (last is None or before.unapplied):
        last = applications.found(number, last, old, shell.wall_ns)
        applications.add(state, last, old)
        number += 1
    change = AppliedChange(
        kind=APPLY if target is None else BACK,
        number=number,
        place=number if target is None else target.number,
        over=last.place if last is not None else 0,
        time_ns=shell.wall_ns,
        by=wanted.by,
        why=wanted.why or f"back to what ran as {target.number if target is not None else 0}",
        ticket=wanted.ticket,
        before=applications.digest_of(old) if old is not None else "",
        after=config.digest,
        lines=tuple(running.differences(old, config.data)) if old is not None else (),
    )
    placed = source is not None and config.data != standing
    _do(state, change, config, standing if placed else None, alive and not words.restarts, shell)
    shell.say(f"{change.told()}: kept as {applications.copy_path(state, change.number)}")
    if not alive:
        shell.say("poll does not run here: it takes effect at the next start, and is said on the link then")
    if words.restarts and (alive or "emit" in words.restarts):
        units = " ".join(f"checkvalve-{one}" for one in words.restarts)
        shell.say(f"it takes effect once {' and '.join(words.restarts)} started again: {AGAIN.format(units)}")
    return change


def _do(
    state: Path, change: AppliedChange, config: SenderConfig, replaced: bytes | None, asked: bool, shell: Shell
) -> None:
    """Keep it, let it take its place, and let poll take it where it is asked to; what poll refuses is undone.

    Args:
        replaced: The file that it takes the place of; None: it stands there already.
    """
    applications.begin(state, change, config.data)
    if replaced is not None:
        put(config.path, config.data)
    try:
        if asked:
            shell.ask_poll(state, config.digest, shell.say)
    except ConfigError as error:
        if isinstance(error, reload.UnansweredError) and not error.withdrawn:
            applications.finish(state, change)  # poll may have taken it
            raise
        left = f"{config.path} keeps its edits"
        if replaced is not None:
            put(config.path, replaced)
            left = f"{config.path} is as it was"
        applications.discard(state, change)
        raise ConfigError(f"nothing was applied; {left}: {error}", hint=error.hint) from None
    applications.finish(state, change)


def _behind(state: Path, before: _Before) -> AppliedChange:
    """The application whose configuration was there before."""
    place, last = 0, before.last
    if last is not None:
        place = last.place if before.unapplied else last.over
        if last.kind == BACK and not before.unapplied:
            place = next((one.over for one in before.records if one.number == last.place), 0)
    target = next((one for one in before.records if one.number == place), None)
    if target is None or applications.copy(state, target) is None:
        told = f"the copy of application {place} is not here" if place else "there is no configuration before this one"
        raise ConfigError(told, hint="checkvalve apply FILE --list shows what is kept; --from applies any file")
    return target


def _old(state: Path, before: _Before, config: SenderConfig) -> bytes | None:
    """The configuration that is changed: what runs or ran last, else the last application's, else the file's."""
    if before.ran is not None:
        return before.ran.data
    if before.last is not None and (data := applications.copy(state, before.last)) is not None:
        return data
    return before.standing if before.standing != config.data else None


def _show(
    before: _Before, old: bytes | None, config: SenderConfig, *, edits_go: bool, say: Callable[[str], None]
) -> ChangeWords:
    new, last = running.tables(config.data), before.last
    try:
        words = of_files(running.tables(old) if old is not None else {}, new)
    except statefile.UNBELIEVED:
        words = of_files({}, new)
        say("what runs cannot be compared: all of the new file is shown")
    if last is not None and before.unapplied:
        say(f"what runs was changed without apply after {last.told()}; it is kept too")
    if last is not None and before.waits:
        say(f"not taken yet, since nothing was started again: {last.told()}")
    if edits_go and before.standing not in (old, config.data) and not before.waits:
        say(f"{config.path} has edits that were never applied: they go")
    if old == config.data:
        say("this runs already")
    elif not words.lines:
        say("no value changes, only remarks or the order of lines")
    for line in words.lines:
        say(line)
    return words


def _tell_how(words: ChangeWords, old: bytes | None, alive: bool, say: Callable[[str], None]) -> None:
    if words.loud and old is not None:
        lines = f"{words.loud} lines with a ! change" if words.loud > 1 else "the line with a ! changes"
        say(f"{lines} what is read or what a value means: compare with the plant")
    if alive and words.restarts:
        fixed, processes = ", ".join(words.fixed), " and ".join(words.restarts)
        say(f"{fixed} cannot change while it runs: all of this waits for a start of {processes}")
    elif alive and words.lines:
        say("poll takes this while it runs; what is not named here goes on undisturbed")


def _standing(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="run it as a user who may") from None


@contextlib.contextmanager
def _ends(source: Path | None) -> Iterator[None]:
    """While it holds, a source is read that may be a pipe, as of `<(sed ..)`: one that never ends is given up.

    Raises:
        ConfigError: it does not end in time, or is a device.
    """
    mode = source.stat().st_mode if source is not None and source.exists() else stat.S_IFREG
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise ConfigError(
            f"--from {source} is a device, and no configuration", hint="name a file, or a pipe: <(sed ..)"
        )
    if not stat.S_ISFIFO(mode):
        yield
        return

    def late(number: int, frame: object) -> None:
        hint = "see what writes to it, or write a file first and name that"
        raise ConfigError(f"--from {source} is a pipe that did not end within {SOURCE_S:g} s", hint=hint)

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SOURCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def list_lines(path: Path, say: Callable[[str], None], *, wall_ns: int) -> list[str]:
    """What was applied, newest first, a line each.

    Args:
        path: `sender.toml`.
        say: Told of a record that was set aside.
        wall_ns: Wall time [ns since 1970 UTC].

    Raises:
        ConfigError: this user may not look, or the file is the low side's.
    """
    must_be_high(path)
    try:
        records = applications.records(path.absolute().parent / "state", say, wall_ns=wall_ns)
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}", hint="run it as root") from None
    return [
        f"{_moment(one.time_ns)}  {one.told()}  sha256 {one.after[:16]}, {len(one.lines)} changed"
        if one.kind != FOUND
        else f"{_moment(one.time_ns)}  {one.told()}: found as {one.number}  sha256 {one.after[:16]}"
        for one in reversed(records)
    ]


def _moment(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%SZ")

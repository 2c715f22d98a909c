"""What `checkvalve init` of both sides shares: a folder that appears whole, keys that were carried, the sheet to print.

    DIR/sender.toml or receiver.toml   the configuration
    DIR/keys/SIDE/*.key                private, 0600; they never leave this machine
    DIR/keys/SIDE.pub                  to be carried across; the other side's lies beside it once it has come
    DIR/commissioning.txt              the sheet

All of it is made in `.DIR.unfinished` beside DIR and renamed into place, synced: whoever is killed in the middle leaves
no DIR, and the next `init` begins with taking the rest away. The sheet is made from the files as they stand, so it can
be printed again when the other side's keys have come. It is plain text of 78 columns; what only people know is a line
to write on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from protocol import keymaking
from protocol.errors import ConfigError
from protocol.inert import inert
from protocol.keys import SIDES, PublicKey, load_public
from protocol.settings.key_files import secret

SHEET = "commissioning.txt"
WIDTH = 78
"""Columns of the sheet: a page of A4 or Letter in any printer's own letters."""
OTHER = {"high": "low", "low": "high"}
_BLANK = "____ " * 8
_SIGNED = ("keys made by", "fingerprints read by", "fingerprints heard by", "link tested by", "witness")
"""Who signs the sheet, and when."""


def must_be_free(folder: Path) -> None:
    """Refuse a folder that holds anything.

    Raises:
        ConfigError: it does, it is no folder, or it is the one that the person stands in.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise ConfigError(f"{folder} is there, and is no folder", hint="name a folder that is not there yet")
    if any(folder.iterdir()):
        hint = "name a folder that is not there yet; --sheet prints the sheet of one that is"
        raise ConfigError(f"{folder} is not empty, and nothing in it is overwritten", hint=hint)
    if folder.samefile("."):
        hint = "name one inside of it that is not there yet: it is put in place as a whole"
        raise ConfigError(f"{folder} is the folder that you are in", hint=hint)


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `folder` at the end; it is taken away if anything is raised.

    Raises:
        ConfigError: it cannot be made, or `folder` was filled by somebody else meanwhile.
    """
    must_be_free(folder)
    folder = folder.resolve()
    work = folder.with_name(f".{folder.name}.unfinished")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if work.is_dir() and not work.is_symlink():
            shutil.rmtree(work)  # of an init that was killed: nobody has used these keys
        work.mkdir(mode=0o700)
        try:
            yield work
            _sync(work)
            os.rename(work, folder)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        _sync(folder.parent)
    except OSError as error:
        hint = "choose a folder on a disk with room that this user may write"
        raise ConfigError(f"{folder} cannot be made: {error.strerror}; nothing was made", hint=hint) from None


def write_new(path: Path, text: str | bytes, mode: int = 0o644) -> None:
    """Write a file that is not there yet, synced, with this mode whatever the umask is."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(file, "wb") as opened:
        os.fchmod(opened.fileno(), mode)
        opened.write(text.encode() if isinstance(text, str) else text)
        opened.flush()
        os.fsync(opened.fileno())


def carried(side: str, typed: str) -> bytes | None:
    """The public keys of a side in a file that a person carried over; None where none was named.

    Raises:
        ValueError: what is wrong with it; next step.
    """
    if not typed:
        return None
    if lost := secret(Path(typed), side):
        raise ValueError(lost)
    try:
        kinds = {key.kind for key in load_public(Path(typed))}
        data = Path(typed).read_bytes()
    except ConfigError as error:
        raise ValueError("; ".join(one for one in (str(error), error.hint) if one)) from None
    except OSError as error:
        raise ValueError(f"{typed} cannot be read: {error.strerror}") from None
    if kinds != set(SIDES[side]):
        found = ", ".join(sorted(kinds)) or "no key"
        wanted = " and ".join(SIDES[side])
        raise ValueError(f"{typed} holds {found}; the {side} side's has {wanted}: carry its keys/{side}.pub")
    return data


def lay_keys(folder: Path, side: str, other: bytes | None) -> None:
    """Make the keys of a side in `folder`/keys, and put the other side's public keys beside them.

    Args:
        folder: The configuration's.
        side: `high` or `low`.
        other: What was carried over; None: not yet.
    """
    keys = folder / "keys"
    keys.mkdir()
    keys.chmod(0o755)
    keymaking.make(side, keys / side)
    if other is not None:
        write_new(keys / f"{OTHER[side]}.pub", other)
    _sync(keys / side)
    _sync(keys)


def sheet(side: str, facts: Mapping[str, str], own: Path, others: Sequence[Path]) -> str:
    """The commissioning sheet of a side.

    Args:
        side: `high` or `low`.
        facts: What is set: name -> value, in order; an empty value is a line to write on.
        own: Folder of the side's keys.
        others: The other side's `.pub` files, one a machine; one that is not there is a line to write on.

    Raises:
        ConfigError: a key file cannot be believed.
    """
    lines = ["CHECKVALVE COMMISSIONING SHEET".ljust(WIDTH - 9) + f"{side} side", "=" * WIDTH, ""]
    lines += [f"  {name:24}{inert(value) if value else '_' * 40}" for name, value in facts.items()]
    lines += ["", "KEYS", "Whoever is at a side reads its keys aloud; the one at the other compares.", ""]
    machines = {side: [own], OTHER[side]: list(others)}
    for one in ("high", "low"):
        for path in machines[one]:
            lines += _fingerprints(one, path)
    lines += ["SIGNED", ""]
    for who in _SIGNED:
        lines += [f"  {who:24}{'_' * 24}  date {'_' * 12}", ""]
    return "\n".join(lines)


def next_steps(side: str, folder: Path, name: str, verb: str, *, there: bool) -> Iterator[str]:
    """What is said once a folder is made.

    Args:
        side: `high` or `low`.
        folder: As it was typed.
        name: The configuration's.
        verb: `send` or `receive`.
        there: The other side's keys have come.
    """
    other = OTHER[side]
    yield f"made {folder}: {name}, keys/{side}, keys/{side}.pub, {SHEET}"
    yield f"carry {folder}/keys/{side}.pub to the {other} side by hand"
    if there:
        yield f"compare the fingerprints of both sheets, read aloud; {folder}/{SHEET} is to be printed and signed"
    else:
        yield f"put the {other} side's {other}.pub into {folder}/keys, then print the sheet again and compare it:"
        yield f"  checkvalve init {side} {folder} --sheet"
    yield f"then: checkvalve {verb} {folder / name} --check"


def _fingerprints(side: str, path: Path) -> Iterator[str]:
    """The two lines of each key, and a blank one."""
    there = path.is_dir() or path.exists()
    keys = {key.kind: key for key in keymaking.show(path)} if there else {}
    where = "in a safe" if keys.keys() == {"recovery"} else f"{side} side"
    yield f"  {where}, {inert(path.name.removesuffix('.pub'))}" + (
        "" if there else ": not here yet; print this sheet again once it is"
    )
    for kind in ("recovery",) if keys.keys() == {"recovery"} else SIDES[side]:
        first, second = _halves(keys.get(kind))
        yield f"    {kind:10} {first:44} agrees [ ]"
        yield f"    {'':10} {second}"
    yield ""


def _halves(key: PublicKey | None) -> tuple[str, str]:
    if key is None:
        return _BLANK.rstrip(), _BLANK.rstrip()
    return key.fingerprint[:39], key.fingerprint[40:]


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)

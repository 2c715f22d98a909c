"""`checkvalve backup` and `checkvalve restore`: both sides have them, and either machine can look at the other's."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from protocol import terminal
from protocol.errors import ConfigError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="A side's configuration: its sender.toml, or its receiver.toml.")],
    archive: Annotated[Path, typer.Argument(help="The tar to make; it must not be there.")],
    keys: Annotated[
        bool, typer.Option("--keys", help="The private keys alone, for the safe; else all but them.")
    ] = False,
) -> None:
    """Copy a side into one file while it runs: configuration, state, history; it is read again before it is named."""
    from protocol.backup.archive import write
    from protocol.settings.toml_file import read

    tables = read(file).tables
    side = "low" if "inlet" in tables else "high"
    folder = file.absolute().parent
    if folder.resolve() in archive.resolve().parents:
        raise ConfigError(f"{archive} would lie in {folder}, which it is a backup of", hint="choose another disk")
    manifest, told = write(folder, file.name, side, archive, secrets=keys, version=_version())
    what = "private keys" if keys else "everything but private keys"
    terminal.say(
        f"{archive}: {len(manifest.files)} files, {_size(manifest.size)}, {what} of the {side} side; read again"
    )
    for name in told.unread:
        terminal.complain(f"warning: not taken: {name}")
    if keys:
        terminal.say("whoever has this file is this side: keep it in the safe, and apart from the other one")
    elif told.secrets:
        terminal.say(f"not in it: {', '.join(told.secrets)}; --keys makes an archive of them, for the safe")
    own = tables.get("keys", {}).get("own") if isinstance(tables.get("keys"), dict) else None
    if isinstance(own, str) and folder not in (folder / own).resolve().parents:
        terminal.complain(f"warning: keys.own lies outside of {folder}: no archive has it")


@app.command()
def restore(
    archives: Annotated[list[Path], typer.Argument(help="What `backup` made: of the data, and of the keys.")],
    to: Annotated[Path | None, typer.Option(help="The folder to make; it must not be there.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only read all of it, and compare every byte.")] = False,
) -> None:
    """Make a side's folder from its backup, with owners and modes; or only look whether the backup is whole."""
    from protocol.backup import archive
    from protocol.backup.restore import restore as make

    if (to is None) is not check:
        raise ConfigError(
            "where to? or only --check, one of them", hint="checkvalve restore FILE.tar KEYS.tar --to DIR"
        )
    manifests = [archive.check(path) for path in archives] if to is None else make(archives, to)
    for path, one in zip(archives, manifests, strict=True):
        what = "keys" if one.what == "keys" else one.config
        terminal.say(
            f"{path}: sound; {what} of the {one.side} side, {len(one.files)} files, {_size(one.size)}, {one.version}"
        )
    if to is not None:
        terminal.say(f"made {to}")
        if all(one.what != "keys" for one in manifests):
            terminal.say("private keys are not in it: restore both archives, or make keys anew (docs/life/replaced.md)")


def _version() -> str:
    for name in ("checkvalve-high", "checkvalve-low", "checkvalve"):
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return "checkvalve"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} bytes"

"""The key files of a side, looked at for `doctor`: there, readable, of the right kind; no private byte is told."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from oneway.doctor.both_sides import KeyFile
from protocol import keys
from protocol.errors import ConfigError


def look(
    own: Path, kinds: Sequence[str], publics: Sequence[Path], wanted: Sequence[str]
) -> tuple[list[KeyFile], list[str]]:
    """Every key file that a side uses, and what this user may not see of them.

    Args:
        own: Folder of the private keys.
        kinds: Kinds that must be in it.
        publics: Files of the other side.
        wanted: Kinds that must be in these together.
    """
    out, unseen, met = [], [], set()
    for kind in kinds:
        path = own / f"{kind}.key"
        owner = _owner(path)
        if owner not in (None, os.geteuid()) and not os.access(path, os.R_OK):
            unseen.append(f"{path} belongs to user {owner}; sudo checkvalve doctor looks into it")
            out.append(KeyFile(path=path, owner=owner))
            continue
        try:
            keys.load(own, kind)
            out.append(KeyFile(path=path, owner=owner))
        except ConfigError as error:
            out.append(KeyFile(path=path, owner=owner, fault=str(error), hint=error.hint))
    for path in publics:
        try:
            met |= {key.kind for key in keys.load_public(path)}
            out.append(KeyFile(path=path))
        except ConfigError as error:
            out.append(KeyFile(path=path, fault=str(error), hint=error.hint))
            met |= set(wanted)  # told already
    if lacking := [kind for kind in wanted if kind not in met]:
        text = f"the other side's public files hold no {' and no '.join(lacking)} key"
        out.append(KeyFile(path=publics[0] if publics else own, fault=text, hint="carry its DIR.pub over again"))
    return out, unseen


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None

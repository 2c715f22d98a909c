"""Whether the key files that a configuration names are the ones that belong there, told by kind of key.

A side has its own private keys and the public ones of the other side; the two are easily swapped, and nothing would be
noticed before the start. What has not been made yet is no mistake; what is there and is another thing is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from protocol import keys
from protocol.errors import ConfigError

OTHER = {"high": "low", "low": "high"}
TAKEN = {"high": ("catch", "open", "recovery"), "low": ("sign", "link-sign")}
"""Side -> kinds of public keys that it may be given."""


def unfit(side: str, key: str, own: Path, publics: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Key and text of each mistake.

    Args:
        side: `high` or `low`, whose configuration it is.
        key: The configuration's key of the public files, `receivers` or `senders`.
        own: Folder of the private keys.
        publics: The public files.
    """
    made = all((own / f"{kind}.key").exists() for kind in keys.SIDES[side])
    yield from (("own", text) for text in _private(side, own))
    kinds: set[str] = set()
    seen: dict[bytes, int] = {}
    wrong = False
    for index, path in enumerate(publics):
        text, held = _public(side, path, made)
        kinds |= {one.kind for one in held}
        twice = [seen[one.id] for one in held if one.id in seen]
        if twice and not text:
            text = f"{path} holds a key of {key}[{twice[0]}] once more; name each file of keys once, take this one out"
        seen |= {one.id: index for one in held}
        if text:
            wrong = True
            yield f"{key}[{index}]", text
    lack = [kind for kind in keys.SIDES[OTHER[side]] if kind not in kinds]
    if not wrong and lack and all(path.exists() for path in publics):
        what = f"no {' and no '.join(lack)} key in them"
        yield key, f"{what}; carry the whole file over that `checkvalve keys new {OTHER[side]} DIR` made, DIR.pub"


def unfit_alone(kind: str, path: Path) -> str:
    """What is wrong with a public file of the low side that has keys of one kind; nothing where it is not there yet.

    Args:
        kind: Such as `recommend`.
        path: The file, at the high side.
    """
    carry = f"carry over the .pub file that `checkvalve keys new {kind} DIR` made there"
    if path.is_dir():
        return f"{path} is a folder; name the .pub file that was carried over"
    if not path.exists():
        return ""
    if lost := secret(path, "low"):
        return lost
    try:
        others = sorted({one.kind for one in keys.load_public(path)} - {kind})
    except ConfigError as error:
        return f"{error}; {error.hint or f'{carry} again'}"
    return (
        f"{path} holds {', '.join(others)} keys, and only those of the kind {kind} belong here; {carry}"
        if others
        else ""
    )


def _private(side: str, own: Path) -> Iterator[str]:
    step = f"write the folder that `checkvalve keys new {side} FOLDER` made"
    if own.suffix == ".pub" or own.is_file():
        yield f"{own} is a file of keys, not the folder of the private ones; {step}, without .pub"
        return
    if not own.exists():
        return
    theirs = [kind for kind in keys.SIDES[OTHER[side]] if (own / f"{kind}.key").exists()]
    if theirs:
        yield f"{own} holds the keys of the {OTHER[side]} side ({', '.join(theirs)}); {step}"
        return
    bad = []
    for kind in keys.SIDES[side]:
        try:
            keys.load(own, kind)
        except ConfigError as error:
            bad.append(f"{error}; {error.hint or f'put its copy back, or {step} anew'}")
    if bad:
        yield " | ".join(bad)


def _public(side: str, path: Path, made: bool) -> tuple[str, list[keys.PublicKey]]:
    """What is wrong with a public file, and the keys in it."""
    other = OTHER[side]
    carry = f"carry over the .pub file of the {other} side"
    if path.is_dir():
        return f"{path} is a folder; name the .pub file that was carried over, such as {path}.pub", []
    if not path.exists():
        near = get_close_matches(path.name, [one.name for one in path.parent.glob("*.pub")], n=1, cutoff=0.8)
        if near:
            return f"{path} is not there; did you mean {near[0]}?", []
        return (f"{path} is not there, while this side's own keys are; {carry}" if made else ""), []
    if lost := secret(path, other):
        return lost, []
    try:
        held = keys.load_public(path)
    except ConfigError as error:
        return f"{error}; {error.hint or f'{carry} again'}", []
    ours = sorted({one.kind for one in held} - set(TAKEN[side]))
    if ours:
        whose = f"this side's own, of the {side} side" if set(ours) <= set(keys.SIDES[side]) else "not to be given here"
        return f"{path} holds {', '.join(ours)} keys, which are {whose}; {carry}", held
    return "", held


def secret(path: Path, side: str) -> str:
    """What to say where a private key stands in a file that should hold the public ones of `side`; else nothing."""
    try:
        words = [line.split(" ") for line in path.read_text("ascii").splitlines()]
    except (OSError, ValueError):
        return ""
    private = {kind: whose for whose, kinds in keys.SIDES.items() for kind in kinds}
    kind = next((one[1] for one in words if len(one) == 3 and one[0] == keys.LABEL and one[1] in private), None)
    if kind is None:
        return ""
    if private[kind] == OTHER[side]:
        return f"{path} holds this side's own private key ({kind}); carry over the .pub file of the {side} side"
    what = f"{path} holds a private key ({kind}), which must never leave its side"
    return f"{what}; take it off this machine, and let the {private[kind]} side make new keys"

"""What a disk does to a file at rest, as data: each fault has a name, a seed decides where it strikes."""

from __future__ import annotations

import json
import os
import random
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

UNTOUCHED = ("lock", "emit.lock")
"""Files without content."""


def cut(data: bytes, chance: random.Random) -> bytes:
    """Its end is missing."""
    return data[: chance.randrange(len(data))]


def zero(data: bytes, chance: random.Random) -> bytes:
    """A sector reads as zeros."""
    first = chance.randrange(len(data))
    after = min(len(data), first + 512)
    return data[:first] + bytes(after - first) + data[after:]


def flip(data: bytes, chance: random.Random) -> bytes:
    """One bit is another."""
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def garbage(data: bytes, chance: random.Random) -> bytes:
    """A sector belongs to another file."""
    first = chance.randrange(len(data))
    after = min(len(data), first + 512)
    return data[:first] + chance.randbytes(after - first) + data[after:]


def gone(data: bytes, chance: random.Random) -> None:
    """There is no file."""


def types(data: bytes, chance: random.Random) -> bytes:
    """JSON of the same keys, with values of other types; what is no JSON is garbage from end to end."""
    try:
        held = json.loads(data)
    except ValueError:
        return chance.randbytes(len(data))
    return json.dumps(_twisted(held, chance)).encode()


def nested(data: bytes, chance: random.Random) -> bytes:
    """JSON that no reader's stack bears."""
    return b"[" * 200_000


def empty(data: bytes, chance: random.Random) -> bytes:
    """As after a power cut on a file system that orders nothing."""
    return b""


FAULTS: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    one.__name__: one for one in (cut, zero, flip, garbage, gone, types, nested, empty)
}


def files(state: Path) -> Iterator[Path]:
    """Every plain file with content below a state folder, in a fixed order."""
    for path in sorted(state.rglob("*")):
        held = path.lstat()
        if stat.S_ISREG(held.st_mode) and held.st_size and path.name not in UNTOUCHED and ".damaged-" not in str(path):
            yield path


def strike(path: Path, fault: str, chance: random.Random) -> None:
    """Do it."""
    data = FAULTS[fault](path.read_bytes(), chance)
    if data is None:
        path.unlink()
        return
    with path.open("r+b") as file:
        file.write(data)
        file.truncate(len(data))
        os.fsync(file.fileno())


def _twisted(held: Any, chance: random.Random) -> Any:
    """Somewhere in it, values of another type; always at least at the top's own values."""
    deeper = chance.random() < 0.4
    if deeper and isinstance(held, dict):
        return {key: _twisted(one, chance) for key, one in held.items()}
    if deeper and isinstance(held, list):
        return [_twisted(one, chance) for one in held]
    return chance.choice([one for one in _OTHERS if type(one) is not type(held)])


_OTHERS: tuple[Any, ...] = (None, "text", -1, 2**70, 1.5, [], {}, True, [[]], {"a": None})

"""What a running process has loaded, by its memory map: compiled libraries, and files that were replaced since.

/proc/PID/maps names every mapped file. A library in a site-packages folder must belong to what the end imports, or to
what that requires; one of Python's own must not be an event loop's or TLS; one of the system's must be among those that
Python and our libraries need. Modules in pure Python leave no mapping.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata

from audit.source.installed import libraries_of, plain_name
from audit.source.walk import Closure

BY_FILE = {"pyeclib"}
"""Distributions whose library protocol/wire/engines.py loads by its path."""
FRONT_DOOR = {"typer"}
"""The command line's own library: every process starts through it."""
_NOT_PYTHON = {"_asyncio", "_ssl", "_multiprocessing", "_sqlite3", "_tkinter", "_curses", "readline"}
"""Compiled modules of Python that neither end has any use for."""
_SYSTEM = re.compile(
    r"(ld-linux|ld64|ld-musl|libc|libm|libdl|libpthread|librt|libutil|libgcc_s|libstdc\+\+|libz|libbz2|liblzma|libffi|libcrypto"
    r"|libuuid|libexpat|libpython3|libisal|libgomp|libgfortran|libquadmath|libzstd|libmvec|linux-vdso)[-.\d_]"
)


@dataclass(slots=True, kw_only=True)
class Loaded:
    """One process's mapped files, judged."""

    libraries: dict[str, list[str]] = field(default_factory=dict)
    """By distribution: its compiled libraries."""
    python: list[str] = field(default_factory=list)
    """Python's own compiled modules."""
    system: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    """What no part of the end asks for."""
    unknown: list[str] = field(default_factory=list)
    """System libraries that are not on the list: look at them."""
    replaced: list[str] = field(default_factory=list)
    """Deleted or replaced on the disk since the process loaded them."""


def judge(maps: str, allowed: Iterable[str]) -> Loaded:
    """Sort what a map names.

    Args:
        maps: Text of /proc/PID/maps.
        allowed: Distributions that the process may load from, by `plain_name`.
    """
    out, allow = Loaded(), set(allowed)
    for path in sorted(mapped(maps)):
        name = path.removesuffix(" (deleted)")
        if name != path and (".so" in name or "python" in name.rsplit("/", 1)[-1]):
            out.replaced.append(name)
        if ".so" not in name.rsplit("/", 1)[-1]:
            continue
        _sort(out, name, allow)
    return out


def mapped(maps: str) -> set[str]:
    """Files that a map names."""
    libraries = set()
    for line in maps.splitlines():
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and parts[5].startswith("/"):
            libraries.add(parts[5])
    return libraries


def allowed_for(closure: Closure) -> set[str]:
    """Distributions that an end may load from: those of its imports, the front door's, and all they require."""
    providers = metadata.packages_distributions()
    names = {name for top in [*closure.libraries, *FRONT_DOOR] for name in providers.get(top, ())} | BY_FILE
    out = set()
    for name in names:
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        out.add(plain_name(distribution.name))
        out |= {plain_name(one.name) for one in libraries_of(distribution)}
    return out


def _sort(out: Loaded, path: str, allowed: set[str]) -> None:
    file = path.rsplit("/", 1)[-1]
    within = re.search(r"/(?:site|dist)-packages/([^/]+)", path)
    if within is not None:
        owner = _owner(within[1])
        if owner & allowed:
            out.libraries.setdefault(min(owner & allowed), []).append(file)
        else:
            out.strange.append(path)
    elif "/lib-dynload/" in path:
        (out.strange if file.split(".")[0] in _NOT_PYTHON else out.python).append(file)
    elif _SYSTEM.match(file):
        out.system.append(file)
    else:
        out.unknown.append(path)


def _owner(top: str) -> set[str]:
    """Distributions that may own a top-level name of site-packages: `numpy.libs`, `_cffi_backend.cpython-311-..so`."""
    name = top.removesuffix(".libs").split(".")[0]
    owners = metadata.packages_distributions().get(name, [])
    return {plain_name(one) for one in owners} | {plain_name(name)}
